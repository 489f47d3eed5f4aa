"""What the report says of the results: the answer in words, the best of a sweep, caveats, numbers."""

import copy
import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results

from pipeline.jobs.io import write_parquet
from pipeline.report.cautions import cautions
from pipeline.report.findings import group_findings
from pipeline.report.leaderboard import leaderboard
from pipeline.report.numbers import interval, number, p_value
from pipeline.report.results_table import results_section
from pipeline.report.selection import Selection, selection_of
from pipeline.results.run_table import read_run_table
from pipeline.results.seed_table import seed_table
from pipeline.results.tables import cost_table, winrate_table


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Gives a run table and its win rates, some of them changed: {(run, baseline): {column: value}}."""

    @cache
    def measured(seeds, prompts):
        table = read_run_table(build_results(tmp_path_factory.mktemp("results"), seeds=seeds, prompts=prompts))
        return table, winrate_table(table, resamples=50, refits=5)

    def rows(shifts, seeds=(1, 2, 3), prompts=10):
        table, frame = copy.deepcopy(measured(seeds, prompts))
        frame["caveats"] = ""  # of which test_limits.py tells
        for (run, baseline), values in shifts.items():
            chosen = (frame["run"] == run) & (frame["baseline"] == baseline)
            frame.loc[chosen, list(values)] = list(values.values())
        return table, frame

    return rows


def rate(middle, width, column="win_rate"):
    """A number with its interval, and a test that leaves it to the interval what is clear."""
    test = "difference_p_value_holm" if column == "difference" else "p_value_holm"
    return {column: middle, f"{column}_low": middle - width, f"{column}_high": middle + width, test: 0.01}


@pytest.mark.parametrize(
    ("direct", "difference", "verdict", "words"),
    [
        (rate(60, 5), rate(12, 3, "difference"), "better", "12.0 percentage points above that of dpo-beta0.1"),
        (rate(52, 5), rate(1, 3, "difference"), "no clear difference", "No clear difference between dpr"),
        (rate(40, 5), rate(-9, 3, "difference"), "worse", "loses to dpo-beta0.1: it wins 40.0% (95% interval 35.0%"),
        (rate(60, 5), rate(-9, 3, "difference"), "better", "contradict each other"),
        (rate(55, 5), rate(-1, 3, "difference"), "no clear difference", "−1.0 percentage points"),
    ],
)
def test_the_answer_follows_the_interval(rows, direct, difference, verdict, words):
    table, frame = rows({(DPR, DPO): direct, (DPR, "chosen"): difference})
    answer = group_findings(table, frame, ("world", "W1M"))
    finding = answer.runs[-1]
    assert finding.run == DPR and finding.verdict == verdict and words in finding.text
    assert answer.headline == finding.text
    assert [found.run for found in answer.runs] == ["sft", DPO, DPR]


def test_without_direct_verdicts_the_difference_decides(rows):
    table, frame = rows({(DPR, "chosen"): rate(12, 3, "difference")})
    frame = frame[(frame["run"] != DPR) | (frame["baseline"] == "chosen")]
    finding = group_findings(table, frame, ("world", "W1M")).runs[-1]
    assert finding.verdict == "better" and f"the win rate of {DPR} is" in finding.text


def test_a_difference_that_the_correction_takes_away_is_not_clear(rows):
    shifts = {(DPR, DPO): rate(55, 4) | {"p_value_holm": 0.06}, (DPR, "chosen"): rate(2, 3, "difference")}
    answer = group_findings(*rows(shifts), ("world", "W1M"))
    assert answer.runs[-1].verdict == "no clear difference" and "p = 0.06 after Holm" in answer.runs[-1].text
    assert answer.lead == "No method clearly beats DPO."


def test_the_lead_names_the_winner_only_where_a_method_has_one_run(rows):
    table, frame = rows({(DPR, DPO): rate(60, 5) | {"p_value_holm": 0.01}})
    assert group_findings(table, frame, ("world", "W1M")).lead == "DPR beats DPO: it wins 60% of direct comparisons."
    twin = f"{DPR}-twin"
    table.runs.append(dataclasses.replace(table.runs[-1], run=twin))
    more = frame[frame["run"] == DPR].assign(run=twin)
    worse = more.assign(win_rate=58.0, win_rate_low=55.0)
    both = pd.concat([frame, worse], ignore_index=True)
    assert group_findings(table, both, ("world", "W1M")).lead == "2 of 2 runs beat DPO."
    chosen = Selection({("world", "W1M", twin), ("world", "W1M", DPO)}, "")
    lead = group_findings(table, both, ("world", "W1M"), chosen).lead
    assert lead == "DPR beats DPO: it wins 58% of direct comparisons."
    # a control is no method beside the one that it belongs to
    table.runs[-2] = dataclasses.replace(table.runs[-2], controls=(twin,))
    assert group_findings(table, both, ("world", "W1M")).lead == "DPR beats DPO: it wins 60% of direct comparisons."


def test_the_lead_tells_losses_by_their_names_and_runs_of_the_baselines_method_by_theirs(rows):
    table, frame = rows({(DPR, DPO): rate(60, 5) | {"p_value_holm": 0.01}})
    table.runs[-1] = dataclasses.replace(table.runs[-1], method="dpo", called="ipo")
    assert group_findings(table, frame, ("world", "W1M")).lead == "IPO beats DPO: it wins 60% of direct comparisons."
    assert selection_of(table, frame, frame).best is None
    table.runs[-1] = dataclasses.replace(table.runs[-1], called="")
    lead = group_findings(table, frame, ("world", "W1M")).lead
    assert lead == f"{DPR} beats {DPO}: it wins 60% of direct comparisons."


def test_the_best_of_a_sweep_is_chosen_on_the_selection_split_alone(rows):
    table, frame = rows({(DPR, "chosen"): {"win_rate": 90.0}})
    assert selection_of(table, frame, frame) == selection_of(table, frame, None)
    assert selection_of(table, frame, frame).best is None and "no sweep" in selection_of(table, frame, frame).note
    twin = f"{DPR}-twin"
    table.runs.append(dataclasses.replace(table.runs[-1], run=twin))
    missing = selection_of(table, frame, None)
    assert missing.best is None and "no results of the selection split" in missing.note
    other = pd.concat([frame.assign(win_rate=40.0), frame[frame["run"] == DPR].assign(run=twin, win_rate=50.0)])
    chosen = selection_of(table, frame, other)
    assert chosen.best == {("world", "W1M", run) for run in ("sft", DPO, twin)}
    here = selection_of(dataclasses.replace(table, split="selection"), other, None)
    assert here.best == chosen.best and "flatter" in here.note
    table.runs.pop()
    _, content = results_section(table, frame, cost_table(table), seed_table(table), chosen.best, chosen.note)
    best = {line["run"] for line in content["rows"] if line["best"]}
    assert DPR not in best and {"sft", DPO} <= best and content["selected"]


def test_the_table_of_results_shows_how_many_responses_are_unfinished_where_any_are(rows):
    table, frame = rows({})

    def shown():
        _, content = results_section(table, frame, cost_table(table), seed_table(table), None, "")
        column = next(column for column in content["columns"] if column["name"] == "unfinished_share")
        return column["shown"], [(line["run"], line["seed"], line["unfinished_share"]) for line in content["rows"]]

    visible, lines = shown()
    assert not visible and {share for _, _, share in lines} == {0}
    path = table.runs[-1].files[2]["responses"]
    responses = pd.read_parquet(path)
    write_parquet(responses.assign(finished=responses.index % 4 > 0), path)
    try:
        visible, lines = shown()
    finally:
        write_parquet(responses, path)
    seeds = len(table.runs[-1].seeds)
    expected = 100 * (responses.index % 4 == 0).mean()
    assert visible and (DPR, "2", pytest.approx(expected)) in lines
    assert (DPR, " ".join(map(str, table.runs[-1].seeds)), pytest.approx(expected / seeds)) in lines
    assert all(share == 0 for run, _, share in lines if run != DPR)


def test_the_leaderboard_is_sorted_by_rating(rows):
    table, frame = rows({}, prompts=30)
    board = leaderboard(table, frame, ("world", "W1M"))
    assert [line["run"] for line in board] == [DPR, DPO, "sft"]
    assert np.isnan(board[1]["direct"]) and board[0]["direct"] > 50


def test_a_missing_interval_is_no_clear_difference(rows):
    table, frame = rows({}, seeds=(1,), prompts=1)
    finding = group_findings(table, frame, ("world", "W1M")).runs[-1]
    assert finding.verdict == "no clear difference" and "too few prompts for an interval" in finding.text


def test_caveats_name_few_seeds_and_unparsed_verdicts(rows):
    table, frame = rows({(DPR, DPO): {"unparsed": 4}}, seeds=(1,), prompts=10)
    cost = pd.DataFrame({"run": [DPO, DPR, DPR], "halved": [0, 1, 2]})
    notes = " ".join(cautions(table, frame, cost))
    assert "single seed" in notes and "4 of 54 verdicts were not parsed" in notes
    assert f"smaller batches per device: {DPR}. Another" in notes
    assert cautions(*rows({}, seeds=(1, 2, 3, 4, 5)), cost.assign(halved=0)) == []


def test_numbers_for_readers():
    assert number(1.25, 1) == "1.2" and number(-3.14159, 2) == "−3.14" and number(2, 1, True) == "+2.0"
    assert number(-0.01, 1) == "0.0" and number(np.nan) == "–" and number("") == "–"
    assert interval({"x_low": -1.0, "x_high": 2.0}, "x") == "−1.0 to 2.0"
    assert (p_value(0.0005), p_value(0.034), p_value(0.2), p_value(np.nan)) == ("0.0005", "0.034", "0.20", "–")
    assert p_value(1e-9) == "< 0.0001"
    assert number(float("inf")) == "∞" and number(float("-inf"), sign=True) == "−∞"
    assert interval({"x_low": np.nan, "x_high": np.nan}, "x") == ""
