"""Scores of the runs' responses beside those of the pairs: numbers by hand, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results, pair_scores

import compare_scores
from pipeline.jobs.io import InputError, read_yaml, write_parquet, write_yaml
from pipeline.results.run_table import read_run_table
from pipeline.results.score_comparison import COLUMNS, comparison_table, read_comparison
from pipeline.results.seed_table import seed_table


@pytest.fixture
def table(tmp_path):
    return read_run_table(build_results(tmp_path, seeds=(1, 2), prompts=4))


def pairs(tmp_path, chosen=(1.0, 2.0, 3.0, 4.0), rejected=(0.0, 0.0, 5.0, 4.0)):
    path = tmp_path / "pairs.parquet"
    ids = [f"p{i:03d}" for i in range(len(chosen))]
    frame = pd.DataFrame({"prompt_id": ids, "chosen_score": chosen, "rejected_score": rejected})
    write_parquet(frame[::-1], path)  # in another order than the responses
    return {"world": path}


def put_scores(table, name, scores):
    run = next(run for run in table.runs if run.run == name)
    for seed, values in scores.items():
        ids = [f"p{i:03d}" for i in range(len(values))]
        write_parquet(pd.DataFrame({"prompt_id": ids, "response_score": values}), run.files[seed]["scores"])


def test_numbers_by_hand(table, tmp_path):
    put_scores(table, DPR, {1: [2.0, 2.0, 2.0, 2.0], 2: [0.0, 4.0, 4.0, 4.0]})
    frame = comparison_table(table, pairs(tmp_path), resamples=200).set_index("run")
    row = frame.loc[DPR]
    assert frame.index.tolist() == ["sft", DPO, DPR] and (row["seeds"], row["prompts"]) == ("1 2", 4)
    assert row["response_score"] == 2.5 and row["chosen_score"] == 2.5 and row["rejected_score"] == 2.25
    # minus chosen: 1 0 −1 −2, and −1 2 1 0; above: 1 ½ 0 0, and 0 1 1 ½
    assert row["minus_chosen"] == 0 and row["minus_rejected"] == 0.25 and row["above_chosen"] == 0.5
    for name in ("response_score", "chosen_score", "rejected_score", "minus_chosen", "above_chosen"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_responses_that_were_cut_are_counted(table, tmp_path):
    run = next(run for run in table.runs if run.run == DPR)
    path = run.files[2]["responses"]
    frame = pd.read_parquet(path)
    write_parquet(frame.assign(finished=[True, False, True, True]), path)
    compared = comparison_table(table, pairs(tmp_path), resamples=10).set_index("run")["unfinished_share"]
    assert compared[DPR] == 12.5 and compared["sft"] == 0
    seeded = seed_table(table).set_index(["run", "baseline", "seed"])["unfinished_share"]
    assert (seeded[DPR, "chosen", 1], seeded[DPR, "chosen", 2], seeded["sft", "chosen", 2]) == (0, 25, 0)
    write_parquet(frame.drop(columns="finished"), path)  # responses from elsewhere
    assert comparison_table(table, pairs(tmp_path), resamples=10).set_index("run")["unfinished_share"][DPR] == 0
    write_parquet(frame.drop(columns="finished"), run.files[1]["responses"])
    assert np.isnan(comparison_table(table, pairs(tmp_path), resamples=10).set_index("run")["unfinished_share"][DPR])
    write_parquet(frame.assign(finished=[1.0, 0.5, 1.0, 1.0]), path)
    with pytest.raises(InputError, match=r"row 1 \(prompt p001\): finished is 0.5; it must be true or false"):
        comparison_table(table, pairs(tmp_path), resamples=10)


def test_a_difference_is_paired_by_prompt(table, tmp_path):
    """Always one point above the chosen response: no spread in the difference, much in the scores."""
    put_scores(table, DPR, {seed: [2.0, 3.0, 4.0, 5.0] for seed in (1, 2)})
    row = comparison_table(table, pairs(tmp_path)).set_index("run").loc[DPR]
    assert row["minus_chosen_low"] == row["minus_chosen"] == row["minus_chosen_high"] == 1
    assert row["above_chosen"] == 1 and row["response_score_high"] - row["response_score_low"] > 1


def test_the_script_writes_what_the_report_reads(tmp_path):
    path = build_results(tmp_path, prompts=12, groups=(("world", "W1M"), ("other", "W1M")))
    given = [f"{dataset}={pair_scores(tmp_path / f'{dataset}.parquet', 12)}" for dataset in ("world", "other")]
    for name in ("one.csv", "two.csv"):
        compare_scores.main(["--runs", str(path), "--pairs", *given, "--output", str(tmp_path / name)])
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    rows = read_comparison(tmp_path / "one.csv")
    assert [(row["dataset"], row["run"]) for row in rows] == [
        (dataset, run) for dataset in ("world", "other") for run in ("sft", DPO, DPR)
    ]
    assert list(rows[0]) == COLUMNS and rows[0]["seeds"] == "1 2 3"
    expected = comparison_table(read_run_table(path), {d: tmp_path / f"{d}.parquet" for d in ("world", "other")})
    assert np.allclose([row["minus_chosen"] for row in rows], expected["minus_chosen"], rtol=1e-5)


def test_runs_without_scores_have_no_row(tmp_path):
    path = build_results(tmp_path, prompts=4)
    content = read_yaml(path)
    for files in content["runs"][0]["seeds"].values():
        files.pop("scores")
    write_yaml(content, path)
    assert comparison_table(read_run_table(path), pairs(tmp_path))["run"].tolist() == [DPO, DPR]


def test_faults_are_named(table, tmp_path):
    with pytest.raises(InputError, match="run 'sft' has scores, but no scored split of world is given"):
        comparison_table(table, {})
    with pytest.raises(InputError, match=r"pairs.parquet: no prompt 'p003', whose response sft has a score of"):
        comparison_table(table, pairs(tmp_path, (1.0, 2.0, 3.0), (0.0, 0.0, 0.0)))
    path = pairs(tmp_path)["world"]
    frame = pd.read_parquet(path)
    write_parquet(frame.assign(prompt_id=["p003", "p002", "p001", "p001"]), path)
    with pytest.raises(
        InputError, match=r"pairs.parquet: row 3 \(prompt p001\): prompt_id is 'p001'; each prompt stands once"
    ):
        comparison_table(table, {"world": path})
    (tmp_path / "t.csv").write_text("dataset,model\na,b\n")
    with pytest.raises(InputError, match=r"t.csv: no column 'decoding'"):
        read_comparison(tmp_path / "t.csv")
    with pytest.raises(SystemExit):
        compare_scores.main(["--runs", table.path, "--pairs", str(path), "--output", str(tmp_path / "x.csv")])
