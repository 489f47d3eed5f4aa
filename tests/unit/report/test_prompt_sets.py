"""Sets of prompts in the report: runs by sets with intervals, categories, what could not be read, one set chosen."""

import re

import pandas as pd
import pytest
from chromium import complaints, open_browser, open_page
from fixtures_report import CARD, build_report, render
from fixtures_results import DPO, DPR
from fixtures_sets import IDS, made_set, put, winrates

from pipeline.jobs.io import read_yaml, write_json, write_parquet, write_yaml


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with a set that has references and categories, and one that is checked."""
    folder = tmp_path_factory.mktemp("made")
    build_report(folder, CARD | {"dataset": "world"}, prompts=6, seeds=(1, 2), render_it=False)
    sets = {"alpaca": made_set(folder, "alpaca", "reference"), "sums": made_set(folder, "sums", "check")}
    write_parquet(pd.DataFrame({"prompt_id": IDS, "category": list("xxyyyy")}), folder / "prompts.parquet")
    content = read_yaml(sets["alpaca"])
    for run in content["runs"]:
        run["sources"] = str(folder / "prompts.parquet")
    write_yaml(content, sets["alpaca"])
    put(sets["sums"], [1, 0, None], opponent="check")
    found = {"alpaca": {"words": 8, "eval_prompts": 6, "shared": 3, "share": 0.5}}
    write_json(found, folder / "found.json")
    winrates(folder / "runs.yaml", sets, folder, "--by-category", str(folder / "by.csv"))
    extra = ["--by-category", str(folder / "by.csv"), "--contamination", f"world={folder / 'found.json'}"]
    return render(folder, extra=extra)


def section(report):
    return re.search(r'<section id="sets".*?</section>', report.read_text("utf-8"), re.S)[0]


def test_runs_stand_by_sets_with_intervals(report):
    text = section(report)
    assert re.findall("<h4>(.*?)</h4>", text) == [
        f"Win rate against {DPO}, %",
        "Right answers, %",
        "Win rate against the reference answers, %",
    ]
    first, checked, _ = re.split("<h4>", text)[1:]
    assert re.findall(r'scope="col" data-sets=[^>]*>(\w+)<', first) == ["eval", "alpaca", "sums", "all"]
    [line] = [line for line in checked.split("<tr>") if f">{DPR}<" in line]
    assert re.search(r">50.0<small>[\d.]+ to [\d.]+</small>", line)
    assert "Verdicts that could not be read: 2 on sums." in checked
    assert "alpaca by category" in text and "sums by category" not in text
    assert "contamination_of_sets" in report.read_text("utf-8")


def test_a_report_without_sets_has_no_such_section(tmp_path):
    page = build_report(tmp_path, prompts=6, seeds=(1,)).read_text("utf-8")
    assert 'id="sets"' not in page and "contamination_of_sets" not in page


def test_one_set_can_be_chosen(report):
    browser = open_browser(width=390)
    try:
        open_page(browser, report)
        shown = (
            "return [...document.querySelectorAll('#sets th[data-sets]')].filter((head) => head.offsetParent)"
            ".map((head) => head.textContent)"
        )
        assert set(browser.execute_script(shown)) == {"eval", "alpaca", "sums", "all"}
        choose = (
            "const select = document.querySelector('[data-choose-set]'); select.value = arguments[0];"
            "select.dispatchEvent(new Event('change'))"
        )
        browser.execute_script(choose, "sums")
        assert set(browser.execute_script(shown)) == {"sums"}
        headings = "return [...document.querySelectorAll('#sets h4')].filter((head) => head.offsetParent).length"
        assert browser.execute_script(headings) == 2
        browser.execute_script(choose, "")
        assert len(browser.execute_script(shown)) == 6
        wide = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert browser.execute_script(wide) and not complaints(browser)
    finally:
        browser.quit()
