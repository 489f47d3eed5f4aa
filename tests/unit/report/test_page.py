"""The report in a real Chromium: nothing asked for, nothing complained of; filter, sort, search and browse."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from chromium import (
    choose,
    complaints,
    detail,
    open_page,
    requests,
    set_value,
    settle,
    status,
    wait,
    window,
)
from fixtures_report import EVIL, build_report, render
from fixtures_results import DPO, DPR

import measure_parts
from pipeline.jobs.io import read_yaml, write_parquet

LONG = "long " * 200_000 + "end"
RTL = "مرحبا بالعالم"
TEXTS = {0: EVIL, 1: LONG, 2: RTL, 3: "</script><script>document.title='taken'</script>", 4: "# **bold** 😀\n\n- a"}


def response(run, i):
    return f"{TEXTS[i]} {run}" if i in TEXTS else f"{run} answers {i}."


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with every kind of text, both orders judged, and a judge's replies."""
    folder = tmp_path_factory.mktemp("page")
    build_report(folder, prompts=40, text=response)
    runs = read_yaml(folder / "runs.yaml")["runs"]
    path = runs[-1]["seeds"][1]["verdicts"][DPO]
    frame = pd.read_parquet(path)
    orders = []
    for order, flip in (("ab", False), ("ba", True)):
        preference = frame["preference"].where(frame.index % 2 == 0, 1 - frame["preference"] if flip else 1.0)
        key = [f"{order}-{i}" for i in frame.index]
        orders.append(
            frame.assign(order=order, preference=preference, request_key=key, judge="mine", judge_model="m-1")
        )
    both = pd.concat(orders, ignore_index=True)
    both["parts_run"] = [{"facts": float(i % 3), "tone": None if i % 2 else -1.0} for i in both.index]
    both["parts_baseline"] = [{"facts": 0.5, "tone": 0.0}] * len(both)
    write_parquet(both, path)
    replies = pd.DataFrame({"request_key": both["request_key"], "reply": [f"{EVIL} I prefer {i}" for i in both.index]})
    write_parquet(replies, folder / "replies.parquet")
    parts = ["--output", str(folder / "parts.csv"), "--figure", str(folder / "parts.svg")]
    measure_parts.main(["--runs", str(folder / "runs.yaml"), "--resamples", "50", *parts])
    given = {"--judgements": "replies.parquet", "--parts": "parts.csv"}
    return render(folder, extra=[part for name, file in given.items() for part in (name, str(folder / file))])


@pytest.fixture
def page(browser, report):
    open_page(browser, report)
    return browser


def rows(page):
    return page.execute_script(
        "return [...document.querySelectorAll('#results tbody tr')].map((row) => row.innerText.split('\\t'))"
    )


def test_nothing_is_asked_for_and_nothing_complained_of(page):
    settle(page)
    assert requests(page) == [] and complaints(page) == []
    charts = page.execute_script(
        "return [...document.querySelectorAll('.chart')].map((c) => c.querySelectorAll('svg path').length)"
    )
    assert len(charts) > 10 and min(charts) > 0
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_lets_nothing_else_run_or_leave(page):
    page.execute_script(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'http://evil.example/x'}));"
        "const script = document.createElement('script'); script.textContent = 'window.taken = 1';"
        "document.body.append(script); fetch('http://evil.example/y').catch(() => 0)"
    )
    time.sleep(0.3)
    assert page.execute_script("return window.taken") is None
    refused = [message for message in complaints(page) if "Content Security Policy" in message]
    assert len(refused) >= 3
    assert requests(page) == []


def test_charts_answer_the_pointer(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    mark = page.find_element(By.CSS_SELECTOR, "#chart-winrate-0-0 .mark-symbol path")
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", mark)
    ActionChains(page).move_to_element(mark).perform()
    wait(page, "document.querySelector('#vg-tooltip-element.visible')", 5)
    assert "sft" in page.execute_script("return document.querySelector('#vg-tooltip-element').innerText")
    assert complaints(page) == []


def test_what_a_gain_is_made_of_is_drawn_and_told(page):
    page.execute_script("document.getElementById('parts').scrollIntoView()")
    wait(page, "document.querySelectorAll('#parts .chart svg .mark-rect path').length === 3")
    rows = page.execute_script(
        "return [...document.querySelectorAll('#parts tbody tr')].map((row) => row.innerText.split('\\t'))"
    )
    assert [row[:4] for row in rows] == [[DPR, DPO, "mine", part] for part in ("facts", "tone", "whole score")]
    assert rows[0][-1].startswith("+") and rows[1][-1].startswith("\u22121.00")
    assert [row[4] for row in rows] == ["40", "20", "40"]
    assert "Parts" in page.execute_script("return document.querySelector('nav').innerText")


def test_the_table_filters_and_sorts(page):
    assert len(rows(page)) == 5
    set_value(page, "[data-filter=against]", "chosen")
    assert [row[1] for row in rows(page)] == ["sft", DPO, DPR]
    order = []
    for _ in range(3):
        page.execute_script("document.querySelector('[data-sort=win_rate]').click()")
        order.append([row[1] for row in rows(page)])
    assert order[0] == [DPR, DPO, "sft"] and order[1] == ["sft", DPO, DPR] and order[2] == ["sft", DPO, DPR]
    set_value(page, "[data-filter=method]", "dpr")
    assert [row[1] for row in rows(page)] == [DPR]
    set_value(page, "[data-filter=method]", "")
    set_value(page, "[data-filter=against]", "")
    set_value(page, "[data-filter=seed]", "2")
    assert len(rows(page)) == 5 and all("2" in row for row in rows(page))
    set_value(page, "#results input[type=search]", "DPO-", "input")
    assert {row[1] for row in rows(page)} == {DPO}
    assert complaints(page) == []


def test_columns_can_be_chosen(page):
    heads = "return [...document.querySelectorAll('#results thead th')].map((head) => head.innerText)"
    assert "unparsed" not in page.execute_script(heads)
    page.execute_script("document.querySelector('[data-column=unparsed]').click()")
    assert "unparsed" in page.execute_script(heads)


def test_two_runs_stand_side_by_side_with_scores_verdicts_and_replies(page):
    choose(page, "left", f"{DPR}, seed 1")
    choose(page, "right", f"{DPO}, seed 1")
    set_value(page, "[data-part=query]", f"{DPR} answers 7.", "input")
    settle(page)
    assert status(page) == "1 of 40 prompts"
    text = detail(page)
    for part in (
        "Question 7?",
        f"{DPR} answers 7.",
        f"{DPO} answers 7.",
        "reward",
        "mine (m-1)",
        f"{DPO} shown first",
    ):
        assert part in text, part
    assert "against chosen" in text and "scores" in text
    page.execute_script("for (const part of document.querySelectorAll('.detail details')) part.open = true")
    assert detail(page).count("I prefer") == 2
    choose(page, "right", "rejected (dataset)")
    assert "No judge compared these two" in detail(page) and "no " in detail(page)
    assert complaints(page) == []


def test_the_list_is_filtered_by_who_was_preferred(page):
    choose(page, "left", f"{DPR}, seed 1")
    choose(page, "right", f"{DPO}, seed 1")
    counts = {}
    for name in ("all", "left", "right", "tie", "none", "flipped"):
        set_value(page, "[data-part=filter]", name)
        settle(page)
        counts[name] = int(status(page).split()[0])
    assert counts["all"] == 40 == sum(counts[name] for name in ("left", "right", "tie", "none"))
    assert counts["left"] > counts["right"] and counts["flipped"] > 0
    page.execute_script("document.querySelector('[data-part=swap]').click()")
    set_value(page, "[data-part=filter]", "left")
    settle(page)
    assert int(status(page).split()[0]) == counts["right"]
    set_value(page, "[data-part=filter]", "all")
    set_value(page, "[data-part=sort]", "score")
    settle(page)
    shown = "return [...document.querySelectorAll('.row .facts span:last-child')].map((part) => part.innerText)"
    found = [float(text.split()[-1].replace("−", "-")) for text in page.execute_script(shown)]
    assert found == sorted(found, reverse=True) and len(found) > 5
    assert complaints(page) == []


def test_search_looks_into_all_runs_where_asked(page):
    choose(page, "left", f"{DPR}, seed 1")
    choose(page, "right", "chosen (dataset)")
    set_value(page, "[data-part=query]", "SFT answers 9", "input")
    settle(page)
    assert status(page) == "0 of 40 prompts" and "No prompt matches" in detail(page)
    set_value(page, "[data-part=scope]", "all")
    settle(page)
    assert status(page) == "1 of 40 prompts"


def test_search_finds_a_prompt_by_the_id_that_is_printed(page):
    printed = page.execute_script("return document.querySelector('.detail .id').textContent")
    assert printed.startswith("prompt ")
    for query in (printed, printed.removeprefix("prompt ")):
        set_value(page, "[data-part=query]", query, "input")
        settle(page)
        assert status(page) == "1 of 40 prompts" and printed in detail(page)


def test_charts_are_named_for_those_who_hear_them(page):
    names = page.execute_script(
        "return [...document.querySelectorAll('.chart')].map((c) => [c.getAttribute('aria-label'), "
        "...[...c.querySelectorAll('[aria-label]')].slice(0, 1).map((inner) => inner.getAttribute('aria-label'))])"
    )
    spoken = [name for each in names for name in each]
    assert spoken and "Vega visualization" not in spoken and "Win rates: against the chosen responses" in spoken


def test_hostile_text_is_inert(page):
    choose(page, "left", f"{DPR}, seed 1")
    for i, text in TEXTS.items():
        set_value(page, "[data-part=query]", f"Question {i}?", "input")
        settle(page)
        shown = detail(page)
        if text is not LONG:
            assert " ".join(text.replace("\x00", "\ufffd").split())[:40] in " ".join(shown.split()), i
    assert page.execute_script("return document.querySelectorAll('.detail script, .detail img, .detail b').length") == 0
    assert page.title == "Results: test" and page.execute_script("return window.taken") is None
    assert requests(page) == [] and complaints(page) == []


def test_right_to_left_text_and_long_answers_are_shown_as_such(page):
    choose(page, "left", f"{DPR}, seed 1")
    set_value(page, "[data-part=query]", RTL, "input")
    settle(page)
    side = "document.querySelector('.sides .text')"
    assert page.execute_script(f"return getComputedStyle({side}).direction") == "rtl"
    set_value(page, "[data-part=query]", "Question 1?", "input")
    settle(page)
    assert len(page.execute_script(f"return {side}.textContent")) < 4_000
    page.execute_script("document.querySelector('.sides button').click()")
    assert len(page.execute_script(f"return {side}.textContent")) > 1_000_000
    # a search with very many matches in a text of a megabyte marks the first ones
    set_value(page, "[data-part=query]", "ong", "input")
    settle(page)
    page.execute_script("document.querySelector('.sides button')?.click()")
    marks = page.execute_script(f"return {side}.querySelectorAll('mark').length")
    assert 100 < marks <= 1_000
    # what is searched for is shown, however far behind it stands
    set_value(page, "[data-part=query]", "long end", "input")
    settle(page)
    assert page.execute_script(f"return {side}.querySelector('mark').textContent") == "long end"
    assert complaints(page) == []


def test_a_link_leads_back_to_a_view(page, report):
    choose(page, "left", f"{DPR}, seed 2")
    set_value(page, "[data-part=query]", "answers 3", "input")
    settle(page)
    before, link = detail(page), page.execute_script("return document.querySelector('[data-part=link]').hash")
    open_page(page, report, link)
    assert detail(page) == before and status(page).startswith("1")


def place_of(page, name):
    """Where a section begins in the window, in pixels."""
    return page.execute_script("return document.getElementById(arguments[0]).getBoundingClientRect().top", name)


@pytest.mark.parametrize("name", ["results", "cost", "responses", "data"])
def test_a_link_to_a_section_leads_there_though_charts_above_are_drawn_later(page, report, name):
    open_page(page, report, f"#{name}")
    time.sleep(0.2)
    assert 0 <= place_of(page, name) < 80  # below the navigation, which stays in sight
    # what changes afterwards moves a reader who has gone elsewhere no more
    page.execute_script("scrollTo({top: 0, behavior: 'instant'}); document.body.prepend(document.createElement('hr'))")
    time.sleep(0.2)
    assert page.execute_script("return scrollY") == 0 and complaints(page) == []


def test_a_link_to_a_view_leads_to_the_responses(page, report):
    link = page.execute_script("return document.querySelector('[data-part=link]').hash")
    assert page.execute_script("return scrollY") == 0
    open_page(page, report, link)
    time.sleep(0.2)
    assert 0 <= place_of(page, "responses") < 80
    other = link.replace("row=0", "row=3")
    assert other != link
    page.execute_script("scrollTo({top: 0, behavior: 'instant'}); location.hash = arguments[0]", other)
    wait(page, "Math.abs(document.getElementById('responses').getBoundingClientRect().top - 40) < 40", 5)


def test_a_run_of_the_table_opens_its_responses(page):
    page.execute_script("[...document.querySelectorAll('#results tbody button')].at(-1).click()")
    settle(page)
    name = "return document.querySelector('[data-part={}]').selectedOptions[0].text"
    assert page.execute_script(name.format("left")) == f"{DPR}, seed 1"
    assert page.execute_script(name.format("right")) == f"{DPO}, seed 1"


def test_the_keyboard_walks_through_the_list(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    place = page.find_element(By.CSS_SELECTOR, "[data-part=list]")
    first = detail(page)
    place.send_keys(Keys.ARROW_DOWN)
    wait(page, "document.querySelector('.row[aria-selected=true]').id === 'row-1'", 5)
    place.send_keys(Keys.END)
    wait(page, "document.querySelector('.row[aria-selected=true]').id === 'row-39'", 5)
    time.sleep(0.2)
    assert detail(page) != first and "p039" in detail(page)


def test_a_phone_and_a_dark_room_have_their_look(browser, report):
    with window(browser, 390, "dark", height=800):
        open_page(browser, report)
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
        dark = "getComputedStyle(document.body).backgroundColor"
        assert max(json.loads(browser.execute_script(f"return {dark}").replace("rgb(", "[").replace(")", "]"))) < 60
        ink = browser.execute_script("return getComputedStyle(document.querySelector('.chart svg text')).fill")
        assert min(json.loads(ink.replace("rgb(", "[").replace(")", "]"))) > 150
        assert complaints(browser) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompts", "seeds"),
    [(10_000, 1), *(pytest.param(*sizes, marks=pytest.mark.exhaustive) for sizes in ((33_333, 1), (3_333, 10)))],
)
def test_very_many_responses_open_and_can_be_searched(browser, tmp_path, prompts, seeds):
    words = np.random.default_rng(0).choice([f"word{i}" for i in range(3000)], (50, 60))
    texts = [" ".join(row) for row in words]

    def text(run, i):
        return f"{run} {i} needle{i} {texts[i % 50]}"

    build_report(tmp_path, prompts=prompts, seeds=tuple(range(1, seeds + 1)), text=text, render_it=False)
    started = time.monotonic()
    path = render(tmp_path)
    # Limits that only what grows with the square would reach, on a machine however busy.
    assert time.monotonic() - started < 300
    assert open_page(browser, path) < 60
    for query, scope, found in ((f"needle{prompts - 7} ", "shown", 1), (f"NEEDLE{prompts // 2} ", "all", 1)):
        set_value(browser, "[data-part=scope]", scope)
        started = time.monotonic()
        set_value(browser, "[data-part=query]", query, "input")
        # the search before also found one
        shown = f"document.querySelector('[data-part=detail]').innerText.includes('{query.lower().strip()}')"
        wait(browser, shown, 30)
        wait(browser, f"document.querySelector('[data-part=status]').textContent.startsWith('{found} of')", 30)
        assert time.monotonic() - started < 30
    set_value(browser, "[data-part=query]", "", "input")
    settle(browser)
    browser.execute_script(
        "const list = document.querySelector('[data-part=list]'); list.scrollTop = list.scrollHeight"
    )
    wait(browser, f"document.getElementById('row-{prompts - 1}')?.innerText.includes('Question')", 10)
    assert browser.execute_script("return document.querySelectorAll('.row').length") < 60
    assert complaints(browser) == []
