"""Win rate against cost in a real Chromium: the chart and its axes, the front in words, the numbers."""

import pytest
from chromium import complaints, open_page, requests, window
from fixtures_costs import build_priced, compare, set_costs
from fixtures_report import build_report, render
from fixtures_results import DPO, DPR

TOKENS = {"trained_tokens": 1_800_000, "sampled_tokens": 200_000}
COSTS = {DPO: {"seconds": [90.0, 110.0], "steps": 50} | TOKENS, DPR: {"seconds": 400.0, "steps": 20} | TOKENS}
RUNS = 15
HEIGHTS = (
    "return Object.fromEntries([...document.querySelectorAll('.axis')].map((part) => "
    "[part.dataset.axis, part.querySelector('svg') && getComputedStyle(part).visibility === 'visible'"
    " ? part.getBoundingClientRect().height : 0]))"
)


WIDTH = 1440  # of the browser


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Three runs with records, of which DPR costs more time and less steps; dollars are known."""
    root = tmp_path_factory.mktemp("few")
    given = {"runs": None, "strength": {"sft": (0.1, 0.1), DPO: (0.5, 0.5), DPR: (0.97, 0.95)}}
    return build_priced(root, costs=COSTS, extra=["--dollars-per-hour", "36"], seeds=(1, 2), **given)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More trained runs than the table has rows, of ten methods."""
    return build_priced(tmp_path_factory.mktemp("many"), count=RUNS, seeds=(1,), prompts=8)


def first_paragraph(page):
    return page.execute_script("return document.querySelector('main p').textContent")


def numbers(page):
    """{run: {heading: text}} of the section with the numbers, which has one board."""
    return page.execute_script(
        "const heads = [...document.querySelectorAll('#cost-of-one thead th')].map((head) => head.innerText);"
        "return Object.fromEntries([...document.querySelectorAll('#cost-of-one tbody tr')].map((row) => ["
        "row.children[0].innerText, Object.fromEntries(heads.map((head, i) => [head, row.children[i].innerText]))]))"
    )


def test_the_front_is_named_in_the_first_paragraph_and_drawn_below_it(browser, few):
    open_page(browser, few)
    text = first_paragraph(browser)
    assert text.startswith("DPR beats DPO") and "On the Pareto front of win rate against device time: DPO (" in text
    assert "for 2 min 20 s) and DPR (" in text  # 100 s of its own, and shares of 30, 90 and 40 s
    assert [name for name, height in browser.execute_script(HEIGHTS).items() if height] == ["device_seconds"]
    circles = "return document.querySelectorAll('#figure-winrate_vs_cost_device_seconds .mark-symbol path').length"
    assert browser.execute_script(circles) >= 4  # both runs, each circled
    labels = browser.execute_script(
        "return [...document.querySelectorAll('#figure-winrate_vs_cost_device_seconds .mark-text text')]"
        ".map((part) => part.textContent)"
    )
    assert {"DPO", "DPR"} <= set(labels)
    first = "[...document.querySelectorAll('figure')].find((part) => part.getBoundingClientRect().height > 100)"
    assert browser.execute_script(f"return {first}.id") == "figure-winrate_vs_cost_device_seconds"
    assert "SFT (no training here)" in browser.execute_script("return document.querySelector('.by-cost').innerText")
    assert complaints(browser) == [] and requests(browser) == []


def test_the_axis_is_chosen_by_mouse_and_keyboard(browser, few):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    open_page(browser, few)
    names = browser.execute_script("return [...document.querySelectorAll('.axes label')].map((part) => part.innerText)")
    assert names == ["device time", "training time", "optimizer steps", "tokens", "dollars"]
    widths = []
    for column in ("steps", "tokens", "dollars", "training_seconds", "device_seconds"):
        browser.find_element(By.CSS_SELECTOR, f".axes input[value={column}]").click()
        shown = {name: height for name, height in browser.execute_script(HEIGHTS).items() if height}
        assert list(shown) == [column] and shown[column] > 300
        place = f"document.querySelector('[data-axis={column}] svg').getBoundingClientRect().width"
        widths.append(browser.execute_script(f"return {place}"))
    assert min(widths) > 600 and max(widths) - min(widths) < 5  # what is shown later is as wide
    browser.find_element(By.CSS_SELECTOR, ".axes input[value=device_seconds]").send_keys(Keys.ARROW_RIGHT)
    shown = [name for name, height in browser.execute_script(HEIGHTS).items() if height]
    assert shown == ["training_seconds"] and complaints(browser) == []


def test_the_numbers_are_in_a_section(browser, few):
    open_page(browser, few)
    found = numbers(browser)
    assert list(found) == [DPO, DPR]
    dpo, dpr = found.values()
    assert dpo["device time"].startswith("2 min 20 s") and dpr["reward model"] == "1 min 40 s"
    assert dpo["reward model"] == "–" and dpo["steps"] == "50" and dpo["tokens"] == "2.00 M"
    assert dpo["dollars"] == "1.40" and dpo["on the front"].startswith("yes") and "100%" in dpo["on the front"]
    assert "Cost of one" in browser.execute_script("return document.querySelector('nav').innerText")


def test_many_runs_are_answered_at_a_glance(browser, many):
    open_page(browser, many)
    text = first_paragraph(browser)
    assert "Pareto front of win rate against device time: " in text or "No other run costs less" in text
    assert len(text) < 600
    points = "return document.querySelectorAll('#figure-winrate_vs_cost_device_seconds .mark-symbol path').length"
    assert browser.execute_script(points) > RUNS
    found = numbers(browser)
    assert 12 <= len(found) < RUNS
    left = browser.execute_script("return document.querySelector('#cost-of-one').innerText")
    assert f"{RUNS - len(found)} more with lower win rates are in winrate_vs_cost.csv" in left
    assert complaints(browser) == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_it_fits_into_any_window(browser, many, width, scheme):
    with window(browser, width, scheme):
        open_page(browser, many)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        first = "document.querySelector('#cost-of-one tbody td').getBoundingClientRect().right"
        assert browser.execute_script(f"return {first}") <= width
        if width > 500:  # the chart begins in the first window
            place = "document.querySelector('.by-cost svg').getBoundingClientRect().top"
            assert browser.execute_script(f"return {place}") < 600


def test_several_groups_have_a_front_each_and_without_records_the_training_counts(browser, tmp_path):
    build_report(tmp_path, prompts=6, seeds=(1,), groups=(("world", "W1M"), ("other", "W2M")), render_it=False)
    set_costs(tmp_path, {DPO: {"seconds": 60.0}, DPR: {"seconds": 240.0}})
    path = render(tmp_path, extra=["--front", str(compare(tmp_path))])
    open_page(browser, path)
    leads = browser.execute_script("return [...document.querySelectorAll('.lead')].map((part) => part.textContent)")
    assert len(leads) == 2 and all("training time" in text for text in leads)
    assert browser.execute_script("return document.querySelectorAll('#cost-of-one h3').length") == 2
    assert complaints(browser) == []


def test_without_costs_nothing_is_said(browser, tmp_path):
    open_page(browser, build_report(tmp_path, prompts=6, seeds=(1,)))
    assert browser.execute_script("return document.querySelector('.by-cost, .pareto, #cost-of-one')") is None
    assert complaints(browser) == []
