"""Bad answers: what counts as one, how many a run gives, and the way from each number to its answers."""

import pandas as pd
import pytest
from chromium import complaints, detail, open_browser, open_page, settle, status
from fixtures_report import build_report, render
from fixtures_results import DPO, DPR, build_results

from pipeline.jobs.io import read_yaml, write_parquet
from pipeline.metrics.answers import is_empty, refuses, repeats
from pipeline.report.bad_answers import bad_answers_section, find_faults
from pipeline.results.run_table import read_run_table

LOOP = "The cat sat on the mat. " * 8
BAD = {0: " \n", 1: LOOP, 2: "I'm sorry, but I can't help with that."}


def response(run, i):
    return BAD[i] if run == DPR and i in BAD else f"{run} answers {i}."


@pytest.mark.parametrize(
    ("text", "repeating"),
    [
        (LOOP, True),
        ("The cat sat on the mat. It sat there for a long while, and then it went out into the garden.", False),
        ("a b " * 7, False),  # fourteen words
        ("a b " * 8, True),
        ("我们去学校" * 6, True),
        ("a" * 400, True),
        ("| --- | --- | --- | --- | --- | --- | --- | --- |\n" * 9, False),
    ],
)
def test_an_answer_repeats_from_half_of_its_runs_of_words(text, repeating):
    assert repeats(text) is repeating


@pytest.mark.parametrize(
    ("text", "refusing"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I cannot do this.", True),
        ("I’m sorry, I won’t.", True),
        ("As an AI language model, I have no body.", True),
        ("I am unable to say.", True),
        ("I'm sorry to hear that! Rest a little.", False),
        ("Sure. " + "word " * 40 + "I cannot", False),
    ],
)
def test_a_refusal_is_known_by_how_it_begins(text, refusing):
    assert refuses(text) is refusing


def test_only_white_space_is_empty():
    assert is_empty("") and is_empty(" \n\t") and not is_empty(".")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tree in which DPR's answers 0 to 2 are bad with every seed, one of seed 2 is cut and another one differs."""
    place = tmp_path_factory.mktemp("bad")
    build_results(place, prompts=20, text=response)
    runs = read_yaml(place / "runs.yaml")["runs"]
    path = runs[-1]["seeds"][2]["responses"]
    frame = pd.read_parquet(path)
    frame.loc[4, "finished"] = False
    frame.loc[5, "response"] = "Another one."
    write_parquet(frame, path)
    return place


def test_shares_count_each_answer_and_have_intervals(folder):
    table = read_run_table(folder / "runs.yaml")
    section = bad_answers_section(table, find_faults(table))
    rows = {row["run"]: row for row in section.values["boards"][0]["rows"]}
    row = rows[DPR]
    assert row["answers"] == 60
    assert [round(row[name], 4) for name in ("empty", "unfinished", "repeating", "refusing", "same")] == [
        *(5, 1.6667, 5, 5),
        90,  # neither the empty one nor the one that differs with seed 2
    ]
    assert row["empty_low"] == 0 < row["empty"] < row["empty_high"] < 25
    assert [(link["seed"], link["count"]) for link in row["links"]["unfinished"]] == [(2, 1)]
    assert [link["count"] for link in row["links"]["empty"]] == [1, 1, 1]
    # of 20 prompts without a bad answer up to 16% may have one (Wilson)
    assert rows[DPO]["empty"] == rows[DPO]["empty_low"] == 0 and round(rows[DPO]["empty_high"], 1) == 16.1
    assert rows[DPO]["links"]["empty"] == []


def test_a_number_leads_to_its_answers(folder):
    build_report(folder, prompts=20, text=response, render_it=False)
    test_tree = read_yaml(folder / "runs.yaml")["runs"][-1]["seeds"][2]["responses"]
    frame = pd.read_parquet(test_tree)
    frame.loc[4, "finished"] = False
    write_parquet(frame, test_tree)
    page = open_browser()
    try:
        open_page(page, render(folder))
        links = {
            "1 unfinished answers of {}, seed 2": "answers 4.",
            "1 empty answers of {}, seed 3": "(empty response)",
            "1 repeating answers of {}, seed 1": "The cat sat",
            "1 refusing answers of {}, seed 1": "I'm sorry",
        }
        for title, text in links.items():
            page.execute_script("document.querySelector(`a[title='${arguments[0]}']`).click()", title.format(DPR))
            settle(page)
            assert status(page) == "1 of 20 prompts" and text in detail(page), title
        page.execute_script("document.querySelector(`#bad-answers a[href*='filter=same']`).click()")
        settle(page)
        assert status(page) == "20 of 20 prompts"
        assert complaints(page) == []
    finally:
        page.quit()
