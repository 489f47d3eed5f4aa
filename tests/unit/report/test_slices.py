"""Where runs win and lose: slices of the prompts, won and lost with every seed, and the way from each number there."""

import numpy as np
import pandas as pd
import pytest
from chromium import choose, complaints, open_browser, open_page, set_value, settle, status
from fixtures_report import build_report, render
from fixtures_results import DPO, DPR

from pipeline.jobs.io import read_yaml, write_parquet
from pipeline.report.slices import _parts, find_slices, slices_section
from pipeline.results.run_table import read_run_table, read_verdict_details

GROUP = ("world", "W1M", "")
EVERY = "#slices a[href*='{}-all']"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tree whose dataset brings a topic, DPR winning all of "maths" against DPO and losing all of "art"."""
    place = tmp_path_factory.mktemp("slices")
    build_report(place, prompts=30, render_it=False)
    scored = pd.read_parquet(place / "scored.parquet")
    topics = np.array(["maths", "art", "sport"])[np.arange(30) % 3]
    write_parquet(scored.assign(topic=topics, weight=np.arange(30.0), one="x"), place / "scored.parquet")
    for seed, files in read_yaml(place / "runs.yaml")["runs"][-1]["seeds"].items():
        frame = pd.read_parquet(files["verdicts"][DPO])
        preference = np.where(topics == "maths", 1.0, np.where(topics == "art", 0.0, float(seed == 1)))
        write_parquet(frame.assign(preference=preference, score_run=np.arange(30.0)), files["verdicts"][DPO])
    return place


def test_prompts_are_told_apart_by_length_and_by_each_column_of_the_dataset(folder):
    table = read_run_table(folder / "runs.yaml")
    kinds = {}
    for part in find_slices(table, GROUP, folder / "scored.parquet"):
        kinds.setdefault(part.kind, {})[part.name] = len(part.prompts)
    assert kinds == {
        "characters of the prompt": {"11": 10, "12": 20},
        "topic": {"art": 10, "maths": 10, "sport": 10},
        "weight": {"at most 9": 10, "above 9, at most 19": 10, "above 19": 10},
    }


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64"])
def test_few_numbers_are_in_their_order(dtype):
    values = pd.Series([10, 9, 10, 9, 2, 2], index=list("abcdef"), dtype=dtype)
    assert [part.name for part in _parts("turns", values)] == ["2", "9", "10"]


def test_of_many_names_the_frequent_ones_are_told_apart():
    languages = ["english"] * 30 + ["chinese"] * 10 + [f"language {i}" for i in range(20)]
    values = pd.Series(languages, index=[f"p{i}" for i in range(60)])
    sizes = {part.name: len(part.prompts) for part in _parts("language", values)}
    assert sizes == {"(others)": 20, "chinese": 10, "english": 30}
    assert _parts("id", pd.Series([f"id {i}" for i in range(60)], index=values.index)) == []


def test_dialogues_are_told_apart_by_their_turns(folder, tmp_path):
    build_report(tmp_path, prompts=6, render_it=False)
    for run in read_yaml(tmp_path / "runs.yaml")["runs"]:
        for files in run["seeds"].values():
            frame = pd.read_parquet(files["responses"])
            turns = [[{"role": "user", "content": "Hi"}] * (1 + 2 * (i % 2)) for i in range(6)]
            write_parquet(frame.assign(prompt=turns), files["responses"])
    found = find_slices(read_run_table(tmp_path / "runs.yaml"), GROUP, None)
    assert {(part.name, len(part.prompts)) for part in found if part.kind == "messages of the prompt"} == {
        ("1", 3),
        ("3", 3),
    }


def test_each_slice_has_its_win_rate_and_interval(folder):
    table = read_run_table(folder / "runs.yaml")
    slices = {GROUP: find_slices(table, GROUP, folder / "scored.parquet")}
    board = slices_section(table, slices, read_verdict_details).values["boards"][0]
    row = {row["run"]: row for row in board["rows"]}[DPR]
    assert DPO not in {row["run"] for row in board["rows"]} and row["opponent"] == DPO
    assert [row["every"][name]["count"] for name in ("won", "lost")] == [10, 10]
    maths, sport = row["parts"]["topic: maths"], row["parts"]["topic: sport"]
    # ten prompts won by all seeds: Wilson's interval of ten draws
    assert (maths["rate"], round(maths["rate_low"], 1), maths["verdict"]) == (100, 72.2, "better")
    assert row["parts"]["topic: art"]["verdict"] == "worse"
    # of three seeds one wins: the interval is that of seeds
    assert sport["rate"] == pytest.approx(100 / 3) and (sport["rate_low"], sport["rate_high"]) == (0, 100)
    assert sport["verdict"] == ""


def test_numbers_lead_to_their_prompts_and_margins_sort_both_ways(folder):
    page = open_browser()
    try:
        open_page(page, render(folder))
        for name in ("won", "lost"):
            page.execute_script(
                f'[...document.querySelectorAll("{EVERY.format(name)}")]'
                f".find((link) => link.href.includes('{DPR}')).click()"
            )
            settle(page)
            assert status(page) == "10 of 30 prompts"
        page.execute_script("document.querySelector(\"#slices a[href*='topic%3A+sport']\").click()")
        settle(page)
        assert status(page) == "10 of 30 prompts"
        choose(page, "left", f"{DPR}, seed 1")
        choose(page, "right", f"{DPO}, seed 1")
        set_value(page, "[data-part=filter]", "left")
        settle(page)
        assert status(page) == "10 of 30 prompts"  # sport, where seed 1 wins
        set_value(page, "[data-part=slice]", "")
        set_value(page, "[data-part=filter]", "all")
        shown = "return [...document.querySelectorAll('.row .snippet')].slice(0, 2).map((part) => part.innerText)"
        for order, expected in (("judge", ["29", "28"]), ("judge-up", ["0", "1"])):
            set_value(page, "[data-part=sort]", order)
            settle(page)
            assert page.execute_script(shown) == [f"Question {i}?" for i in expected], order
        rewards = "return [...document.querySelectorAll('.row .facts span:last-child')].map((part) => part.innerText)"
        for order, descending in (("score", True), ("score-up", False)):
            set_value(page, "[data-part=sort]", order)
            settle(page)
            found = [float(text.split()[-1].replace("−", "-")) for text in page.execute_script(rewards)]
            assert found == sorted(found, reverse=descending) and len(found) > 5
        choose(page, "right", "rejected (dataset)")
        offered = "return [...document.querySelector('[data-part=filter]').options].map((option) => option.value)"
        assert "won-all" not in page.execute_script(offered)
        assert complaints(page) == []
    finally:
        page.quit()
