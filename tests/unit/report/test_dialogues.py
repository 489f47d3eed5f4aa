"""Dialogues in the report: as turns, listed by what was asked last; invisible characters on request."""

import pandas as pd
from chromium import complaints, detail, open_browser, open_page, set_value, settle
from fixtures_report import build_report, render
from fixtures_results import DPO

from pipeline.jobs.io import read_yaml, write_parquet
from pipeline.report.texts import plain_text, turns


def dialogue(i):
    first = [("system", "Be kind 😀."), ("user", "Hello."), ("assistant", "Hi <b>you</b>."), ("user", f"And then {i}?")]
    return [{"role": role, "content": content} for role, content in first]


def response(run, i):
    return f"a\u200bb{i} \nthe {'old' if run == DPO else 'new one'} <b>end"


def test_turns_have_their_places_as_a_browser_counts():
    text, found = plain_text(dialogue(7)), turns(dialogue(7))
    units = text.encode("utf-16-le")
    assert [(role, units[2 * start : 2 * end].decode("utf-16-le")) for role, start, end in found] == [
        (message["role"], message["content"]) for message in dialogue(7)
    ]
    assert turns("user: no dialogue") == turns(None) == turns(["a", "b"]) == []
    assert turns([{"role": "\ud800", "content": "x"}])[0][0] == "\ufffd"


def test_a_dialogue_is_shown_in_turns_and_listed_by_its_last_question(tmp_path):
    build_report(tmp_path, prompts=6, seeds=(1, 2), text=response, render_it=False)
    for run in read_yaml(tmp_path / "runs.yaml")["runs"]:
        for files in run["seeds"].values():
            frame = pd.read_parquet(files["responses"])
            write_parquet(frame.assign(prompt=[dialogue(i) for i in range(6)]), files["responses"])
    page = open_browser()
    try:
        open_page(page, render(tmp_path))
        listed = "return [...document.querySelectorAll('.row .snippet')].map((part) => part.innerText)"
        assert page.execute_script(listed) == [f"And then {i}?" for i in range(6)]
        roles = "return [...document.querySelectorAll('.turn h4')].map((part) => part.innerText)"
        assert page.execute_script(roles) == ["system", "user", "assistant", "user"]
        shown = "return [...document.querySelectorAll('.turn .text')].map((part) => part.innerText)"
        assert page.execute_script(shown) == [message["content"] for message in dialogue(0)]
        assert "U+200B" not in detail(page)
        set_value(page, "[data-part=query]", "then 3", "input")
        settle(page)
        assert page.execute_script("return document.querySelector('.turn mark').innerText") == "then 3"
        page.execute_script("document.querySelector('[data-part=invisible]').click()")
        settle(page)
        signs = "return [...document.querySelectorAll('.sides article:first-child .invisible')].map((s) => s.innerText)"
        assert page.execute_script(signs) == ["U+200B", "·"]
        page.execute_script("document.querySelector('[data-part=invisible]').click()")
        page.execute_script("document.querySelector('[data-part=differences]').click()")
        settle(page)
        only = "return [...document.querySelectorAll('.sides ins')].map((part) => part.textContent)"
        assert page.execute_script(only) == ["new one", "old"]
        texts = "return [...document.querySelectorAll('.sides .text')].map((part) => part.textContent)"
        assert page.execute_script(texts) == [response("dpr", 3), response(DPO, 3)]
        assert complaints(page) == []
    finally:
        page.quit()
