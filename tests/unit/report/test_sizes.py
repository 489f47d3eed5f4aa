"""How large the page is: it opens within another page; of one that is too large, an excerpt does, in Chromium."""

import base64
import random
import re

import pandas as pd
import pytest
from chromium import complaints, detail, open_page, requests, set_value, settle, wait
from fixtures_results import DPO, DPR, build_results, pair_scores

from pipeline.report import ReportInputs, render_report
from pipeline.report.responses import block_size
from pipeline.results.page_limit import LARGEST_WITHIN, opens_within
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import cost_table, winrate_table

RUNS = {"sft": ("sft", {}), DPO: ("dpo", {"beta": 0.1}), DPR: ("dpr", {"beta": 0.1, "g": 0.3})}
RUNS |= {f"{method}-beta0.1": (method, {"beta": 0.1}) for method in ("ddp", "dpp")}
STRENGTH = {name: (0.3 + 0.1 * number, 0.4 + 0.1 * number) for number, name in enumerate(RUNS)}
WORDS = ("use", "colour", "place", "garden", "spade", "lemon", "blue", "thanks", "look", "people", "keep", "sure")


def answer(run, i):
    """Twenty words, which differ from run to run but for the first ones."""
    drawn = random.Random(f"{run} {i}")
    return " ".join([*random.Random(i).choices(WORDS, k=8), *drawn.choices(WORDS, k=12)])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of the embedded default's shape: five runs, three seeds, two decodings, 512 prompts."""
    folder = tmp_path_factory.mktemp("default")
    shape = {"runs": RUNS, "strength": STRENGTH, "prompts": 512, "decodings": {"sample": {}, "greedy": {}}}
    table = read_run_table(build_results(folder, text=answer, **shape))
    pairs = {"world": pair_scores(folder / "scored.parquet", shape["prompts"])}
    winrate = winrate_table(table, resamples=50, refits=0)
    return render_report(ReportInputs(table, winrate, cost_table(table), pairs=pairs))


@pytest.fixture(scope="module")
def report(page, tmp_path_factory):
    """Its file."""
    path = tmp_path_factory.mktemp("whole") / "report.html"
    path.write_text(page.html(), encoding="utf-8")
    return path


def within(browser, page, folder):
    """Open a page as Snakemake's report holds it, and wait for its charts."""
    content = base64.b64encode(page.read_bytes()).decode()
    (folder / "outer.html").write_text(f'<iframe width="900" src="data:text/html;base64,{content}"></iframe>')
    browser.switch_to.default_content()
    browser.get((folder / "outer.html").as_uri())
    browser.switch_to.frame(0)
    wait(browser, "document.documentElement.dataset.charts === 'drawn'", 60)


def test_the_page_of_the_default_opens_within_another(browser, page, report, tmp_path):
    assert opens_within(report) and report.stat().st_size < 0.8 * LARGEST_WITHIN
    whole = report.read_text(encoding="utf-8")
    assert page.excerpt(whole, "report.html") == whole
    within(browser, report, tmp_path)
    try:
        assert "beats DPO" in browser.execute_script("return document.querySelector('.lead').textContent")
        wait(browser, "document.getElementById('responses').dataset.state === 'ready'")
        assert browser.execute_script("return document.querySelectorAll('.sides article').length") == 2
    finally:
        browser.switch_to.default_content()


def test_of_a_page_that_is_too_large_an_excerpt_opens_within_another(browser, page, report, tmp_path):
    excerpt = tmp_path / "excerpt.html"
    whole = report.read_text(encoding="utf-8")
    largest = len(page.html(frozenset({"responses"})).encode()) - 1  # so that another section is left out too
    excerpt.write_text(page.excerpt(whole, "results/report.html", largest), encoding="utf-8")
    assert excerpt.stat().st_size <= largest
    within(browser, excerpt, tmp_path)
    try:
        said = browser.execute_script("return document.querySelector('header').innerText")
        [left_out] = re.findall(r"Left out here: Responses side by side, ([^.]+)\.", said)
        size = f"{report.stat().st_size / 1e6:.1f} MB"
        assert f"The whole page, results/report.html, has {size}, more than browsers open within another page" in said
        titles = browser.execute_script("return [...document.querySelectorAll('h2')].map((head) => head.textContent)")
        assert left_out not in titles and "Responses side by side" not in titles and "All results" in titles
        there = "document.getElementById(link.hash.slice(1).split('?')[0])"
        dead = f"[...document.querySelectorAll('a[href^=\"#\"]')].filter((link) => !{there})"
        assert browser.execute_script(f"return {dead}.length") == 0
        assert browser.execute_script("return document.querySelectorAll('#results tbody tr').length") > 5
        assert browser.execute_script("return document.querySelectorAll('#results tbody button').length") == 0
        assert complaints(browser) == [] and requests(browser) == []
    finally:
        browser.switch_to.default_content()


def test_a_browser_that_cannot_unpack_says_so(browser, report):
    script = browser.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.DecompressionStream"}
    )
    try:
        browser.get(report.as_uri())
        said = browser.execute_script("return document.querySelector('header').innerText")
        assert "This browser cannot unpack what the page carries" in said and "Safari 16.4" in said
        assert "beats" in browser.execute_script("return document.querySelector('.lead').textContent")
        assert complaints(browser) == []
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_a_search_that_takes_long_tells_what_it_has_found(browser, report):
    slow = "let passed = 0; performance.now = () => (passed += 500)"
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": slow})
    try:
        open_page(browser, report)
        browser.execute_script(
            "window.told = []; const place = document.querySelector('[data-part=status]');"
            "new MutationObserver(() => window.told.push(place.textContent)).observe(place, {childList: true});"
            "document.querySelector('[data-part=query]').focus()"
        )
        set_value(browser, "[data-part=query]", "spade", "input")
        settle(browser)
        *told, last = browser.execute_script("return window.told")
        whole = int(last.split()[0])
        assert 100 < whole < 512 and last.endswith(" of 512 prompts")
        assert "so far, searching…" in told[-1] and int(told[-1].split()[0]) <= whole
        shown = "return document.querySelector('.row[aria-selected=true]').id"
        assert browser.execute_script(shown) == "row-0" and "spade" in detail(browser)
        assert complaints(browser) == []
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_blocks_are_the_smaller_the_longer_the_responses_are():
    sizes = [
        block_size({i: pd.DataFrame({"text": ["x" * length] * 3})}) for i, length in enumerate((0, 100, 2_000, 90_000))
    ]
    assert sizes == [512, 512, 128, 16] and block_size({}) == 512
