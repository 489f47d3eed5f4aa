"""Rewards of checkpoints against KL: numbers by hand, what is refused, the figure."""

import numpy as np
import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results, checkpoints, put_checkpoints

import compute_overoptimisation
from pipeline.figures.overoptimisation import overoptimisation_figure
from pipeline.jobs.io import InputError, read_yaml, write_parquet
from pipeline.results.overoptimisation import overoptimisation_table, read_overoptimisation
from pipeline.results.run_table import read_run_table


@pytest.fixture
def path(tmp_path):
    return put_checkpoints(tmp_path / "checkpoints", build_results(tmp_path, seeds=(1, 2), prompts=4))


def test_numbers_by_hand(path):
    table = overoptimisation_table(read_run_table(path), resamples=50)
    assert list(zip(table["run"], table["step"], table["last"], strict=True)) == [
        *(("sft", 0, True), (DPO, 5, False), (DPO, 10, True), (DPR, 5, False), (DPR, 10, True))
    ]
    row = table[(table["run"] == DPR) & table["last"]].iloc[0]
    assert (row["labelling_score"], row["judge_score"], row["kl"], row["prompts"]) == (11.0, -10.0, 2.0, 3)
    assert row["sqrt_kl"] == pytest.approx(2**0.5) and (row["g"], row["seeds"]) == (0.3, "1 2")
    assert row["labelling_score_low"] < 11 < row["labelling_score_high"]
    assert table.loc[table["run"] == DPO, "g"].tolist() == [0, 0]


def test_an_estimate_of_kl_below_zero_has_no_root(path):
    run = read_yaml(path)["runs"][1]["seeds"]
    for files in run.values():
        frame = pd.read_parquet(files["checkpoints"])
        write_parquet(frame.assign(response_logps=frame["ref_response_logps"] - 1), files["checkpoints"])
    table = overoptimisation_table(read_run_table(path), resamples=20)
    assert table.loc[table["run"] == DPO, ["kl", "sqrt_kl"]].to_numpy().tolist() == [[-1, 0], [-1, 0]]


def test_seeds_with_other_steps_are_refused(path):
    files = read_yaml(path)["runs"][1]["seeds"][2]
    write_parquet(checkpoints([5, 11]), files["checkpoints"])
    with pytest.raises(InputError, match=r"2.parquet: its checkpoints are not after the steps \[5, 10\]"):
        overoptimisation_table(read_run_table(path), resamples=20)


def test_runs_without_checkpoints_are_refused(tmp_path):
    with pytest.raises(InputError, match="no run has measured checkpoints"):
        overoptimisation_table(read_run_table(build_results(tmp_path, seeds=(1,), prompts=2)))


def test_a_judge_without_scores_has_no_panel_and_a_sweep_over_g_has_its_own(tmp_path, path):
    table = read_run_table(path)
    measured = overoptimisation_table(table, resamples=20)
    assert [[panel.title for panel in row] for row in overoptimisation_figure(table, measured).rows] == [
        ["labelling reward model", "judge"]
    ]
    swept = measured.assign(g=[0.0, 0.0, 0.0, 0.3, 0.6])
    swept.loc[1, "last"] = swept.loc[3, "last"] = True
    titles = [[panel.title for panel in row] for row in overoptimisation_figure(table, swept).rows]
    assert titles[1] == ["labelling reward model, over g", "judge, over g"]
    unjudged = measured.assign(judge_score=np.nan, judge_score_low=np.nan, judge_score_high=np.nan)
    assert len(overoptimisation_figure(table, unjudged).rows[0]) == 1


def test_what_is_written_is_read(tmp_path, path):
    csv, svg = tmp_path / "over.csv", tmp_path / "over.svg"
    compute_overoptimisation.main(
        ["--runs", str(path), "--output", str(csv), "--figure", str(svg), "--resamples", "20"]
    )
    assert read_overoptimisation(csv)["last"].sum() == 3 and svg.read_text().startswith("<svg")
    csv.write_text(csv.read_text().replace("sqrt_kl", "root"))
    with pytest.raises(InputError, match="no column 'sqrt_kl'"):
        read_overoptimisation(csv)
