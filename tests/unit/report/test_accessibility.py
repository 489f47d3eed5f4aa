"""The report for everybody: by axe-core, by the keyboard, on a phone, on paper, and what lines can be told apart."""

import itertools
import json
import os
import re
from pathlib import Path

import pytest
from chromium import complaints, open_browser, open_page, wait
from fixtures_report import build_report
from fixtures_results import DPR

from pipeline.figures import drawing
from pipeline.report.charts import page_style

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sail-pipeline"
LONG = "an answer of letters " * 50_000  # a megabyte


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return build_report(tmp_path_factory.mktemp("everybody"), prompts=12, text=lambda run, i: LONG if i == 1 else run)


@pytest.fixture(scope="module")
def browser(report):
    opened = open_browser()
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def axe():
    """The source of axe-core."""
    found = sorted(CACHE.glob("axe-core-*/node_modules/axe-core/axe.min.js"))
    path = Path(os.environ.get("AXE_CORE") or (found[-1] if found else ""))
    if not path.is_file():
        pytest.skip("needs axe-core (.ci/axe)")
    return path.read_text(encoding="utf-8")


def open_all(browser):
    """Unfold everything that is folded, and wait for the numbers of the charts."""
    browser.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    wait(browser, "[...document.querySelectorAll('.numbers')].every((part) => part.querySelector('table'))", 10)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_that_some_people_cannot_use(browser, report, axe, theme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    try:
        open_page(browser, report)
        open_all(browser)
        browser.execute_script(axe)
        found = browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations.map("
            "(one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))])))"
        )
        assert found == []
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_each_chart_has_its_numbers_as_a_table(browser, report):
    open_page(browser, report)
    charts = browser.execute_script("return [...document.querySelectorAll('.chart')].map((chart) => chart.id)")
    open_all(browser)
    counted = (
        "return [...document.querySelectorAll('.numbers')].map((part) => part.querySelectorAll('tbody tr').length)"
    )
    counts = browser.execute_script(counted)
    assert len(counts) == len(charts) and min(counts) > 0
    text = browser.execute_script(
        "return [...document.querySelectorAll('#figure-winrate .numbers')][0].querySelector('table').innerText"
    )
    names, *lines = [line.split("\t") for line in text.strip().splitlines()]
    assert names[:2] == ["run", "method"] and {"win rate", "win rate low", "win rate high"} <= set(names)
    shown = {line[0]: line[names.index("win rate")] for line in lines}
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('#chart-winrate-0-0 text')].map((t) => t.textContent)"
    )
    assert f"{float(shown[DPR]):.1f}" in drawn and complaints(browser) == []


def test_headings_are_in_order_and_scrolling_tables_take_the_keyboard(browser, report):
    open_page(browser, report)
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))
    mute = "return [...document.querySelectorAll('main .scroll:not([tabindex])')].map((one) => one.outerHTML)"
    assert browser.execute_script(mute) == []
    unnamed = "return document.querySelectorAll('main .scroll[role]:not([aria-label])').length"
    assert (
        browser.execute_script(unnamed) == 0
        and browser.execute_script("return document.querySelectorAll('.scroll').length") > 5
    )


def test_heads_names_and_navigation_stay_in_sight(browser, report):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 500, "height": 300, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        open_page(browser, report)
        place = "const holder = document.querySelector('#leaderboard .scroll');"
        left, top = browser.execute_script(
            place + "holder.scrollLeft = 120; holder.scrollTop = 60; const own = holder.getBoundingClientRect();"
            "const name = holder.querySelector('tbody th').getBoundingClientRect();"
            "return [name.left - own.left, holder.querySelector('thead th').getBoundingClientRect().top - own.top]"
        )
        assert abs(left) < 2 and abs(top) < 2
        browser.execute_script("document.getElementById('method').scrollIntoView({behavior: 'instant'})")
        nav, head = browser.execute_script(
            "return [document.querySelector('nav').getBoundingClientRect(),"
            "document.querySelector('#method h2').getBoundingClientRect()].map((box) => [box.top, box.bottom])"
        )
        assert abs(nav[0]) < 2 and head[0] >= nav[1] - 2
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_phone_shows_a_number_of_the_leaderboard_without_scrolling(browser, report):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        open_page(browser, report)
        right = browser.execute_script(
            "return document.querySelector('#leaderboard tbody tr').cells[2].getBoundingClientRect().right"
        )
        assert 100 < right <= 390 and browser.execute_script("return document.documentElement.scrollWidth") == 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_on_paper_bars_and_whole_tables_are_there(browser, report):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        open_page(browser, report)
        kept = "return getComputedStyle(document.querySelector(arguments[0])).printColorAdjust"
        assert {browser.execute_script(kept, place) for place in ("body", ".chart svg", "#leaderboard th")} == {"exact"}
        holder = (
            "return ['overflow', 'maxHeight'].map((name) => getComputedStyle(document.querySelector('.scroll'))[name])"
        )
        assert browser.execute_script(holder) == ["visible", "none"]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_one_letter_is_searched_for_in_a_megabyte(browser, report):
    link = f"#responses?left={DPR}:1&right=sft:1&q=e&row=1"
    open_page(browser, report, link)
    text = browser.execute_script("return document.querySelector('.sides .text').textContent")
    assert "an answer of letters" in text
    browser.execute_script("document.querySelector('.sides button')?.click()")
    sizes = browser.execute_script(
        "const side = document.querySelector('.sides .text');"
        "return [side.textContent.length, side.querySelectorAll('mark').length]"
    )
    assert sizes[0] == len(LONG) and 0 < sizes[1] <= 1000 and complaints(browser) == []


def test_figures_as_files_show_long_names_whole(browser, tmp_path):
    """In the browser's own font, which is wider than that by which the drawing was laid out."""
    import altair as alt

    names = [f"{letter}pr-beta0.2-learning_rate0.0003-g0.6-m" for letter in "dWM"]
    rows = [{"run": name, "win_rate": 50.0} for name in names]
    axis = alt.Axis(labelLimit=260)
    chart = alt.Chart(drawing.values(rows)).mark_point().encode(x="win_rate:Q", y=alt.Y("run:N", title=None, axis=axis))
    drawing.save_figure(drawing.Figure("x", "", "", [[drawing.Panel("", chart)]]), tmp_path / "x.svg")
    browser.get((tmp_path / "x.svg").resolve().as_uri())
    lefts = browser.execute_script(
        "return [...document.querySelectorAll('text')]"
        ".map((one) => [one.textContent, one.getBoundingClientRect().left])"
    )
    found = {text: left for text, left in lefts if text in names}
    assert set(found) == set(names) and min(found.values()) >= 0


def luminance(color):
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_lines_stand_out_from_the_paper():
    names = ("BLUE", "ORANGE", "GREEN", "VERMILION", "PINK", "SKY", "MUTED", "INK")
    assert min(contrast(getattr(drawing, name), drawing.PAPER) for name in names) >= 3
    style = page_style()
    themes = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    ]
    assert len(themes) == 3  # light, dark, paper
    lines = ("blue", "orange", "green", "vermilion", "pink", "sky", "soft", "edge", "accent", "good", "bad")
    for theme in themes[:2]:
        faint = {name for name in lines if contrast(theme[name], theme["paper"]) < 3}
        assert not faint, json.dumps(theme)
