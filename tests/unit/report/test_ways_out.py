"""A sweep's page in Chromium: what is chosen and saved of it, and links that hold what is shown."""

import csv
import io
import shutil
import time

import fixtures_results
import pytest
from chromium import complaints, open_browser, open_page, requests, set_value, wait
from fixtures_report import build_report, render
from fixtures_results import DPO

from pipeline.figures.choice import FEW_RUNS

BETAS = [f"{i / 20:g}" for i in range(3, 3 + FEW_RUNS)]
EVIL = "=cmd|&<b>_x"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page of a sweep: DPO over β and two runs of DPR, one with a name of marks that formats have."""
    folder = tmp_path_factory.mktemp("sweep")
    runs = {DPO: ("dpo", {"beta": 0.1})} | {f"dpo-beta{beta}": ("dpo", {"beta": float(beta)}) for beta in BETAS}
    runs |= {"dpr-g0.3": ("dpr", {"beta": 0.1, "g": 0.3}), EVIL: ("dpr", {"beta": 0.1, "g": 0.6})}
    strength = {name: (0.5 - 0.02 * number, 0.5) for number, name in enumerate(runs)} | {"dpr-g0.3": (0.95, 0.95)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixtures_results, "RUNS", runs)
        patch.setattr(fixtures_results, "STRENGTH", strength)
        build_report(folder, prompts=20, seeds=(1, 2), render_it=False)
    shutil.copy(folder / "winrate.csv", folder / "selection.csv")
    return render(folder, extra=["--selection", str(folder / "selection.csv")])


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = open_browser()
    folder = tmp_path_factory.mktemp("saved")
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    opened.saved = folder
    yield opened
    opened.quit()


@pytest.fixture
def page(browser, report):
    open_page(browser, report)
    return browser


def save(page, place, title):
    """The text of the file that a button below a table or chart saves."""
    for path in page.saved.iterdir():
        path.unlink()
    page.execute_script(
        "[...document.querySelectorAll(arguments[0])].find((one) => one.textContent.startsWith(arguments[1])).click()",
        *(place, title),
    )
    end = time.monotonic() + 10
    while not (found := [path for path in page.saved.iterdir() if path.suffix != ".crdownload"]):
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    return found[0].name, found[0].read_text(encoding="utf-8")


def names(page):
    """The runs of the table of all results, from top to bottom."""
    return page.execute_script(
        "return [...document.querySelectorAll('#results tbody th button')].map((button) => button.textContent)"
    )


def test_many_runs_stand_by_their_rating_with_a_row_for_each_method(page):
    assert names(page)[0] == "dpr-g0.3" and "best of its sweep" in page.execute_script(
        "return document.querySelector('#results tbody th').textContent"
    )
    rows = page.execute_script(
        "return [...document.querySelectorAll('#methods .scroll tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    assert rows[0][:3] == ["dpr", "2", "dpr-g0.3"] and len(rows) == 2
    assert rows[1][:2] == ["dpo", str(1 + FEW_RUNS)]
    titles = page.execute_script(
        "return [...document.querySelectorAll('#figure-facets .panel-title')].map((title) => title.textContent)"
    )
    assert titles == ["dpo", "dpr"] and complaints(page) == []
    folded = "return document.querySelector('#answer details.more').innerText"
    assert "3 more runs" in page.execute_script(folded)


def test_curves_of_other_runs_are_drawn_when_they_are_chosen(page):
    lines = "document.querySelectorAll('#chart-learning_curves-0-0 .mark-line path').length"
    before = page.execute_script(f"return {lines}")
    boxes = "[...document.querySelectorAll('[data-choices] input')]"
    chosen = page.execute_script(f"return {boxes}.filter((box) => box.checked).map((box) => box.value)")
    assert before == len(chosen) == 6 and DPO in chosen and "dpr-g0.3" in chosen
    assert page.execute_script(f"return {boxes}.length") == 3 + FEW_RUNS
    assert f"Drawn are 6 of {3 + FEW_RUNS} runs: the baseline, each method's best" in page.execute_script(
        "return document.querySelector('#figure-learning_curves figcaption').textContent"
    )
    page.execute_script("document.querySelector('#figure-learning_curves .numbers').open = true")
    told = "document.querySelector('#figure-learning_curves .numbers')"
    wait(page, f"{told}.querySelector('tbody')", 5)
    listed = f"return [...new Set([...{told}.querySelectorAll('tbody th')].map((cell) => cell.textContent))]"
    assert sorted(page.execute_script(listed)) == sorted(chosen)
    left = f"return {told}.innerText"
    assert f"{FEW_RUNS - 3} runs are left out, as in the chart" in page.execute_script(left)
    page.execute_script(f"for (const box of {boxes}.slice(0, 9)) if (!box.checked) box.click()")
    wait(page, f"{lines} > {before}", 5)
    drawn = page.execute_script(f"return {boxes}.filter((box) => box.checked).map((box) => box.value)")
    assert sorted(page.execute_script(listed)) == sorted(drawn) and len(drawn) > 6
    page.execute_script(f"for (const box of {boxes}) if (box.checked) box.click()")
    wait(page, f"{lines} === 1", 5)
    assert complaints(page) == []


def test_a_table_is_saved_as_csv_markdown_and_latex_as_it_stands(page):
    set_value(page, "[data-filter=against]", "chosen")
    set_value(page, "[data-filter=method]", "dpr")
    name, text = save(page, "#results .ways button", "CSV")
    head, *lines = csv.reader(io.StringIO(text))
    assert name == "results.csv" and [line[head.index("run")] for line in lines] == ["dpr-g0.3", f"'{EVIL}"]
    rate = lines[0][head.index("win rate, %")]
    low, high = (float(lines[0][head.index(f"win rate, % {end}")]) for end in ("low", "high"))
    assert low <= float(rate) <= high and float(lines[1][head.index("difference")]) < 0
    name, text = save(page, "#results .ways button", "Markdown")
    assert name == "results.md" and len(text.splitlines()) == 4 and "\\=" not in text
    assert f"{rate} [{low:.1f}, {high:.1f}]" in text and "=cmd\\|&\\<b\\>\\_x" in text
    name, text = save(page, "#results .ways button", "LaTeX")
    assert name == "results.tex" and text.count("\\\\\n") == 3 and "\\toprule" in text
    assert "=cmd\\textbar{}\\&\\textless{}b\\textgreater{}\\_x" in text and "\\%" in text
    name, text = save(page, "#leaderboard .ways button", "CSV")
    assert name == "leaderboard.csv" and len(text.splitlines()) == 4 + FEW_RUNS
    assert complaints(page) == [] and requests(page) == []


def test_a_chart_is_saved_as_a_drawing_for_paper(page):
    name, text = save(page, "#figure-winrate .ways button", "SVG")
    assert name == "chart-winrate-0-0.svg" and text.startswith("<svg") and "dpr-g0.3" in text
    assert "var(--" not in text and "currentColor" not in text and "#0072b2" in text


def test_a_link_to_the_table_holds_what_is_chosen_and_arrives(page, report):
    assert page.execute_script("return document.querySelector('#results .count a').hash") == "#results?sort=-rating"
    set_value(page, "[data-filter=against]", "chosen")
    set_value(page, "[data-filter='hyper.beta']", "0.2")
    page.execute_script("document.querySelector('[data-column=ties]').click()")
    page.execute_script("document.querySelector('[data-sort=win_rate]').click()")
    set_value(page, "#results input[type=search]", "dpo", "input")
    before = page.execute_script("return document.querySelector('#results table').innerText")
    link = page.execute_script("return document.querySelector('#results .count a').hash")
    assert "against=chosen" in link and "sort=-win_rate" in link and "q=dpo" in link
    open_page(page, report, link)
    assert page.execute_script("return document.querySelector('#results table').innerText") == before
    assert names(page) == ["dpo-beta0.2"]
    time.sleep(0.2)
    assert 0 <= page.execute_script("return document.getElementById('results').getBoundingClientRect().top") < 80
    page.execute_script("location.hash = '#results?best=only&sort=config'")
    wait(page, "document.querySelectorAll('#results tbody tr').length < 6", 5)
    assert "dpr-g0.3" in names(page) and EVIL not in names(page)
    assert complaints(page) == []
