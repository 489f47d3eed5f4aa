"""Sets of prompts in the report: runs by sets with intervals, categories, a choice of prompts that the page follows."""

import re

import pandas as pd
import pytest
from chromium import choose, complaints, detail, open_page, set_value, settle, status, wait, window
from fixtures_costs import compare, set_costs
from fixtures_report import CARD, build_report
from fixtures_results import DPO, DPR
from fixtures_sets import IDS, categorise, made_set, put, render_with_sets

from pipeline.jobs.io import write_json, write_parquet
from pipeline.report.prompt_sets import _said

SHOWN = "[...document.querySelectorAll(`{}`)].filter((part) => part.getClientRects().length)"
WIDE = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with a set that has references and categories, and one that is checked; costs are known."""
    folder = tmp_path_factory.mktemp("made")
    build_report(folder, CARD | {"dataset": "world"}, prompts=6, seeds=(1, 2), render_it=False)
    set_costs(folder, {DPO: {"seconds": 60.0, "steps": 30}, DPR: {"seconds": 240.0, "steps": 20}})
    compare(folder)
    sets = {"alpaca": made_set(folder, "alpaca", "reference"), "sums": made_set(folder, "sums", "check")}
    categorise(sets["alpaca"], ["x", "y", "y"])
    put(sets["sums"], [1, 0, None], opponent="check")
    write_json({"alpaca": {"words": 8, "eval_prompts": 6, "shared": 3, "share": 0.5}}, folder / "found.json")
    references = pd.DataFrame({"prompt_id": IDS, "reference": [[f"Known {name}."] for name in IDS]})
    write_parquet(references, folder / "alpaca.parquet")
    more = ["--contamination", f"world={folder / 'found.json'}", "--references", f"alpaca={folder / 'alpaca.parquet'}"]
    return render_with_sets(folder, sets, more)


@pytest.fixture
def page(browser, report):
    open_page(browser, report)
    return browser


def section(report):
    return re.search(r'<section id="sets".*?</section>', report.read_text("utf-8"), re.S)[0]


def shown(page, selector):
    return page.execute_script(f"return {SHOWN.format(selector)}.map((part) => part.innerText)")


def take(page, name):
    """Choose the prompts that the page is about."""
    set_value(page, "[data-choose-set]", name)
    settle(page)
    wait(page, "document.documentElement.dataset.charts === 'drawn'")


def test_runs_stand_by_sets_with_intervals(report):
    text = section(report)
    titles = [f"Win rate against {DPO}, %", "Right answers, %", "Win rate against the reference answers, %"]
    assert re.findall(r"<h4>(.*?)</h4>|more\"(?: open)?><summary>(.*?)</summary>", text)[:3] == [
        (titles[0], ""),
        ("", titles[1]),
        ("", titles[2]),
    ]
    first, checked, _ = re.split("<table", text)[1:4]
    assert re.findall(r'data-name="(\w+)"', first) == ["eval", "alpaca", "sums", "all"]
    [line] = [line for line in checked.split("<tr>") if f">{DPR}<" in line]
    assert re.search(r">50.0<small>[\d.]+ to [\d.]+</small>", line)
    assert "Verdicts that could not be read: 2 on sums." in text
    assert "alpaca by category" in text and "sums by category" not in text
    assert re.findall(r'data-name="(\w)">\w<small>(\d) prompts', text)[:2] == [("x", "2"), ("y", "4")]
    assert "contamination_of_sets" in report.read_text("utf-8")


def test_what_is_clear_is_marked_and_the_best_run_is_first(tmp_path):
    build_report(tmp_path, prompts=40, seeds=(1, 2), render_it=False)
    strength = {"sft": (0.05, 0.05), DPO: (0.5, 0.5), DPR: (0.97, 0.97)}
    path = render_with_sets(tmp_path, {"own": made_set(tmp_path, "own", prompts=40, strength=strength)})
    best, worst = re.split("<tr>", section(path).split("<tbody>")[1])[1:3]
    assert f">{DPR}<" in best and best.count('class="n better"') == 2 and "clearly better" in best
    assert ">sft<" in worst and worst.count('class="n worse"') == 2
    counts = [re.findall(r'class="n count">(\d)<', line) for line in (best, worst)]
    assert counts == [["2", "0"], ["0", "2"]]


def test_few_prompts_that_all_went_one_way_are_not_called_clear():
    row = {"baseline": DPO, "win_rate": 100.0, "win_rate_low": 100.0, "win_rate_high": 100.0}
    assert _said(row, DPO) == "" and _said(row | {"win_rate_low": 60.0}, DPO) == "better"
    assert _said(row | {"p_value_holm": 0.001}, DPO) == "better"


def test_a_report_without_sets_has_no_such_section(tmp_path):
    page = build_report(tmp_path, prompts=6, seeds=(1,)).read_text("utf-8")
    assert 'id="sets"' not in page and "contamination_of_sets" not in page
    told = page.split("</main>")[0]
    assert "<select data-choose-set" not in told and "<div data-set" not in told and 'id="findings"' not in told


def test_the_whole_page_follows_the_choice_of_prompts(page):
    rows = "return document.querySelectorAll('#results tbody tr').length"
    assert (
        shown(page, "nav option") == []
        and page.execute_script("return document.querySelector('nav select').value") == "eval"
    )
    of_eval = page.execute_script(rows)
    assert of_eval == 5 and len(shown(page, ".of-split")) == 0
    charts = page.execute_script("return document.querySelectorAll('.chart svg').length")
    take(page, "alpaca")
    leads = shown(page, ".lead")
    assert len(leads) == 1 and leads[0].startswith("On alpaca:")
    assert page.execute_script("return document.querySelectorAll('.chart svg').length") > charts
    assert len(shown(page, "#figure-alpaca-winrate .chart svg")) == 2 and not shown(page, "#figure-winrate .chart svg")
    assert len(shown(page, "#figure-alpaca-winrate_vs_cost_training_seconds svg")) == 1
    [board] = shown(page, "#leaderboard table")
    assert DPR in board and "rating" in board
    against = page.execute_script(
        "return [...document.querySelectorAll('#results tbody tr')].map((row) => row.children[2].innerText)"
    )
    assert set(against) == {"reference", DPO} and page.execute_script(rows) == of_eval
    assert page.execute_script("return document.querySelector('[data-part=group]').selectedOptions[0].text") == (
        "world, W1M: alpaca"
    )
    assert len(shown(page, ".of-split")) >= 2
    assert page.execute_script("return location.hash") == "#answer?set=alpaca"
    take(page, "sums")
    assert "right answers, %" in shown(page, "#leaderboard table")[0]
    take(page, "all")
    assert shown(page, ".lead")[0].startswith("On all sets:") and page.execute_script(rows) == 2
    take(page, "eval")
    assert page.execute_script("return location.hash") == "#answer" and not shown(page, ".of-split")
    assert complaints(page) == []


def test_links_keep_the_choice(browser, report):
    open_page(browser, report, "#results?against=reference&set=alpaca")
    assert shown(browser, ".lead")[0].startswith("On alpaca:")
    assert browser.execute_script("return document.querySelectorAll('#results tbody tr').length") == 3
    for part in ("#results .count a", "#responses [data-part=link]"):
        wait(browser, f"document.querySelector('{part}').href.includes('set=alpaca')")
    browser.execute_script("location.hash = '#leaderboard'")
    wait(browser, "location.hash === '#leaderboard?set=alpaca'")
    assert shown(browser, ".lead")[0].startswith("On alpaca:")
    browser.execute_script("location.hash = '#answer?set=eval'")
    wait(browser, "document.querySelector('nav select').value === 'eval'")
    assert not shown(browser, ".lead")[0].startswith("On ") and complaints(browser) == []


def test_the_matrix_is_ordered_by_a_heading_and_by_the_choice(page):
    column = (
        "const table = document.querySelector('#sets table');"
        "const at = [...table.tHead.rows[0].cells].findIndex((head) => head.dataset.name === arguments[0]);"
        "return [...table.tBodies[0].rows].map((row) => parseFloat(row.cells[at].innerText))"
    )
    click = "document.querySelector(`#sets th[data-name=${arguments[0]}] button`).click()"
    for name in ("sums", "eval"):
        page.execute_script(click, name)
        rates = page.execute_script(column, name)
        assert len(rates) == 2 and rates == sorted(rates, reverse=True)
    unfolded = "return document.querySelector('[data-categories=alpaca]').open"
    take(page, "alpaca")
    heads = page.execute_script(
        "return [...document.querySelectorAll('#sets table:first-of-type th.chosen')].map((head) => head.dataset.name)"
    )
    assert set(heads) == {"alpaca"} and page.execute_script(unfolded)
    take(page, "sums")
    assert not page.execute_script(unfolded)


def test_the_axis_of_cost_stays_chosen(page):
    page.execute_script("document.querySelector('.axes input[value=steps]').click()")
    take(page, "alpaca")
    chosen = "return [...document.querySelectorAll('.axes input:checked')].map((axis) => axis.value)"
    assert set(page.execute_script(chosen)) == {"steps"}
    assert page.execute_script(f"return {SHOWN.format('[data-axis=steps]')}[0].offsetHeight") > 300


def test_responses_to_a_set_stand_beside_its_reference_answers(page):
    take(page, "alpaca")
    choose(page, "left", f"{DPR}, seed 1")
    choose(page, "right", "reference (dataset)")
    assert "Known p000." in detail(page) and f"{DPR} answers 0." in detail(page) and "against reference" in detail(page)
    set_value(page, "[data-part=slice]", "category: x")
    settle(page)
    assert status(page) == "2 of 6 prompts" and complaints(page) == []
    take(page, "sums")  # which has no references
    assert "Known" not in detail(page) and f"{DPR}, seed 1" in detail(page)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_it_fits_into_any_window(browser, report, width, scheme):
    with window(browser, width, scheme):
        open_page(browser, report, "#answer?set=alpaca")
        assert browser.execute_script(WIDE)
        for place in ("nav select", "#sets tbody td.n:not(.count)"):
            right = f"document.querySelector('{place}').getBoundingClientRect().right"
            assert browser.execute_script(f"return {right}") <= width
