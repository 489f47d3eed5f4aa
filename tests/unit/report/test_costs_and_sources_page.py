"""What the runs cost and were made from, in a real Chromium: shown, inert, and readable on a phone and in the dark."""

import json
import sqlite3

import pandas as pd
import pytest
import yaml
from chromium import complaints, open_page, requests, window
from fixtures_records import COMMIT, PROMPT, SECONDS, write_records
from fixtures_report import build_report, render
from fixtures_results import DPO, DPR

from pipeline.jobs.io import read_yaml, write_parquet

CONFIG = {"tag": "test", "tasks": [{"method": "dpo"}], "definitions": {"models": {"W1M": {"path": "</pre><b>x</b>"}}}}


WIDTH = 1440  # of the browser


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with records, the whole config, and replies of a judge that were paid for."""
    folder = tmp_path_factory.mktemp("made")
    build_report(folder, prompts=10, render_it=False)
    write_records(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    path = read_yaml(folder / "runs.yaml")["runs"][-1]["seeds"][1]["verdicts"][DPO]
    frame = pd.read_parquet(path)
    write_parquet(frame.assign(request_key=[f"k{i // 2}" for i in range(len(frame))]), path)
    with sqlite3.connect(folder / "mine.sqlite") as store:
        store.execute(
            "create table replies (key, attempt, content, refusal, body, prompt_tokens, completion_tokens, price_usd)"
        )
        rows = [(f"k{i}", attempt, "A", None, "A", 900, 100, 0.25) for i in range(9) for attempt in (1, 2)]
        store.executemany("insert into replies values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    extra = ["--config", str(folder / "config.yaml"), "--judgements", str(folder), "--dollars-per-hour", "36"]
    return render(folder, extra=extra)


@pytest.fixture
def page(browser, report):
    open_page(browser, report)
    return browser


def costs(page):
    """The table of what each run took: a mapping from heading to text for each run."""
    return page.execute_script(
        "const heads = [...document.querySelectorAll('.costs thead th')].map((head) => head.innerText);"
        "return Object.fromEntries([...document.querySelectorAll('.costs tbody tr')].map((row) => {"
        "const cells = [...row.children].map((cell) => cell.innerText.trim());"
        "return [cells[0], Object.fromEntries(heads.map((head, i) => [head, cells[i]]))]}))"
    )


def text(page, selector):
    return page.execute_script("return document.querySelector(arguments[0]).textContent", selector)


def test_each_run_has_its_share_of_everything(page):
    rows = costs(page)
    assert set(rows) == {"sft", DPO, DPR}
    assert rows[DPR]["reward model"] == "3 min 20 s" and rows[DPO]["reward model"] == "–"
    assert rows[DPO]["SFT"] == rows["sft"]["SFT"] == "30 s" == f"{SECONDS['train_sft'] // 3} s"
    # three seeds: 300 s of training, of which a quarter of 20, 40 and 60 s went into sampling
    assert rows[DPR]["its trainings"] == "4 min 30 s" and rows[DPR]["sampling in them"] == "30 s"
    assert rows[DPR]["tokens of responses"] == "120" and "GPU hours" not in rows[DPR]
    # five replies settled ten verdicts, each asked twice; an hour of a job is 36 dollars
    assert rows[DPR]["tokens of the judge"] == "10.0 k" and rows[DPO]["tokens of the judge"] == "–"
    seconds = 300 + 200 + (90 + 30 + 40) / 3 + 3 * (10 + 5 + 2 * 2)
    assert float(rows[DPR]["dollars"]) == pytest.approx(36 * seconds / 3600 + 5 * 0.5, abs=0.01)
    widths = page.execute_script(
        "return [...document.querySelectorAll('.stack')].map((bar) => [...bar.children].reduce("
        "(sum, part) => sum + part.getBoundingClientRect().width, 0) / bar.getBoundingClientRect().width)"
    )
    assert widths[2] == pytest.approx(1, abs=0.01) and widths[0] < widths[1] < 0.8
    assert complaints(page) == [] and requests(page) == []


def test_the_page_says_what_it_was_made_from(page):
    assert text(page, "pre.command") == f"git checkout {COMMIT}\nsnakemake --configfile config.yaml --cores all"
    assert yaml.safe_load(text(page, "pre.config")) == CONFIG
    made = text(page, "#made-from")
    for part in ("2026-01-02T03:04:05", "torch 2.13.0", "Linux-6, 8 CPUs", "me/W1M", "m-1", PROMPT, "ab" * 32, "0.7"):
        assert part in made, part
    assert page.execute_script("return document.querySelectorAll('#made-from b').length") == 0
    assert page.execute_script("return document.querySelectorAll('#made-from .note').length") == 0
    assert [part.text for part in page.find_elements("css selector", "nav a")][-1] == "Made from"


def test_the_headline_says_what_these_seeds_and_prompts_can_show(page):
    sentence = text(page, "#answer .soft")
    assert "3 seeds and 10 prompts" in sentence and "points in 4 of 5 cases" in sentence and "2 runs" in sentence


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_both_sections_fit_into_any_window(browser, report, width, scheme):
    with window(browser, width, scheme):
        open_page(browser, report)
        browser.execute_script("document.querySelectorAll('#made-from details').forEach((part) => part.open = true)")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        # a number can be read without scrolling
        first = "document.querySelector('.costs tbody td').getBoundingClientRect().right"
        assert browser.execute_script(f"return {first}") <= width
        values = "return [...document.querySelectorAll('#made-from td .text')].map((cell) => cell.clientWidth)"
        assert min(browser.execute_script(values)) > 100
        colors = browser.execute_script(
            "const style = getComputedStyle(document.querySelector('pre.config'));"
            "return [style.color, style.backgroundColor]"
        )
        ink, paper = (max(json.loads(color.replace("rgb(", "[").replace(")", "]"))) for color in colors)
        assert abs(ink - paper) > 120 and (paper < 60) == (scheme == "dark")
