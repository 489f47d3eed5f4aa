"""A report of two decodings in a real Chromium: the first one's answer, where they disagree, and both to look at."""

import pytest
from chromium import complaints, open_browser, open_page, requests, wait
from fixtures_report import build_report
from fixtures_results import DPO, DPR

STRENGTHS = {"sample": {}, "greedy": {DPR: (0.5, 0.5)}}
TITLES = ["world, W1M, sample", "world, W1M, greedy"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    report = build_report(tmp_path_factory.mktemp("page"), decodings=STRENGTHS, text=lambda run, i: f"{run} says {i}.")
    browser = open_browser()
    open_page(browser, report)
    yield browser
    browser.quit()


def texts(page, selector):
    return page.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((place) => place.textContent.trim())", selector
    )


def rows(page):
    return page.execute_script(
        "return [...document.querySelectorAll('#results tbody tr')].map((row) => row.innerText.split('\\t'))"
    )


def test_it_answers_by_the_first_and_says_where_they_disagree(page):
    assert complaints(page) == [] and requests(page) == []
    [lead] = texts(page, "#answer .lead")
    assert lead.startswith("DPR beats DPO on fewer than 100 prompts, under one decoding and not under another:")
    [disagreement] = texts(page, "#answer .disagreement")
    assert disagreement.endswith("Sample, better: DPR. Greedy, no clear difference: DPR.")
    assert texts(page, "#answer h3") == [TITLES[0], *TITLES] and texts(page, "#leaderboard h3") == TITLES
    assert "3 runs" in texts(page, "header .soft")[0] and "decodings sample, greedy" in texts(page, "header .soft")[0]


def test_it_says_beside_the_numbers_what_they_rest_on(page):
    listed = [line.split(":")[0] for line in texts(page, "#answer .limits li")]
    assert listed == ["few-prompts (all runs)", f"decodings-disagree ({DPR})"]
    findings = texts(page, "#answer .findings dd small")
    assert findings.count("Rests on: fewer than 100 prompts.") == 4 and len(findings) == 6
    assert texts(page, "#leaderboard td.reasons").count("fewer than 100 prompts") == 4


def test_charts_have_a_panel_for_each_and_those_of_training_one(page):
    for figure in ("winrate", "rating", "winrate_vs_kl", "reward"):
        titles = " ".join(texts(page, f"#figure-{figure} .panel-title"))
        assert all(title in titles for title in TITLES), figure
    assert len(texts(page, "#figure-learning_curves .panel")) == 3 and len(texts(page, "#figure-cost .panel")) == 1


def test_the_table_shows_the_decoding_and_filters_by_it(page):
    names = texts(page, "#results thead th")
    assert "decoding" in names and "rests on" in names and len(rows(page)) == 10
    page.execute_script(
        "const place = document.querySelector('[data-filter=decoding]'); place.value = 'greedy';"
        "place.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    shown = rows(page)
    assert len(shown) == 5 and {row[names.index("decoding")] for row in shown} == {"greedy"}
    assert "few-prompts, decodings-disagree" in {row[names.index("rests on")] for row in shown}


def test_a_run_of_the_table_opens_under_its_decoding(page):
    page.execute_script(
        "[...document.querySelectorAll('#results tbody button.link')]"
        ".find((button) => button.textContent === arguments[0]).click()",
        DPR,
    )
    wait(page, "document.getElementById('responses').dataset.state === 'ready'")
    chosen = "const place = document.querySelector('[data-part=group]'); return place.options[place.value].text"
    assert page.execute_script(chosen) == TITLES[1]
    assert f"{DPR} says" in page.execute_script("return document.querySelector('[data-part=detail]').innerText")


def test_responses_of_two_decodings_stand_side_by_side(page):
    labels = {"left": f"{DPR}, seed 1, sample", "right": f"{DPR}, seed 1, greedy"}

    def choose(right):
        page.execute_script(
            "for (const [side, name] of Object.entries(arguments[0])) {"
            "  const place = document.querySelector(`[data-part=${side}]`);"
            "  place.value = [...place.options].findIndex((option) => option.text === name);"
            "  place.dispatchEvent(new Event('change', {bubbles: true})); }",
            labels | {"right": right},
        )
        wait(page, "document.getElementById('responses').dataset.state === 'ready'")
        wait(page, f"document.querySelector('[data-part=detail]').innerText.includes({right!r})")
        return page.execute_script("return document.querySelector('[data-part=list]').innerText")

    page.execute_script(
        "const place = document.querySelector('[data-part=group]'); place.value = 0;"
        "place.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    assert "preferred" not in choose(labels["right"])  # nobody judged the one against the other
    titles = texts(page, "[data-part=detail] h4")
    assert [title for title in titles if title in labels.values()] == list(labels.values())
    assert "preferred" not in choose(f"{DPO}, seed 1, greedy") and "preferred" in choose(f"{DPO}, seed 1, sample")
