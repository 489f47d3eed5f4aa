"""The win-rate and cost tables, from files to CSV, against numbers derived by hand."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results, verdict_frame

import compute_cost
import compute_winrate
from pipeline.jobs.io import InputError, read_json, read_yaml, write_json, write_parquet, write_yaml
from pipeline.metrics.comparison import compare, holm
from pipeline.results.run_table import read_run_table
from pipeline.results.sweep_comparison import group_verdicts
from pipeline.results.tables import cost_table, read_table, winrate_columns, winrate_table

IDS = ["a", "b", "c", "d"]
winrate_table = partial(winrate_table, refits=5)  # they take most of the time; a test of them asks for more


def put_verdicts(table, run_name, preferences, baseline="chosen", ids=IDS):
    """Replace the verdicts of a run: per seed a list of preferences, None for an unparsed one."""
    run = next(run for run in table.runs if run.run == run_name)
    for seed, preference in preferences.items():
        values = np.array(preference, dtype=float)
        write_parquet(verdict_frame(run_name, seed, baseline, ids, values), run.verdicts[seed][baseline])


def row(frame, run, baseline="chosen"):
    return frame[(frame["run"] == run) & (frame["baseline"] == baseline)].iloc[0]


@pytest.fixture
def table(tmp_path):
    return read_run_table(build_results(tmp_path, seeds=(1, 2), prompts=4))


def test_rows_and_columns(table):
    frame = winrate_table(table, resamples=50)
    assert frame.columns.tolist() == winrate_columns(table)
    assert frame.columns.tolist()[:10] == [
        *("dataset", "model", "decoding", "run", "method", "baseline"),
        *("beta", "learning_rate", "g", "gamma"),
    ]
    expected = [("sft", "chosen"), ("sft", DPO), (DPO, "chosen"), (DPR, "chosen"), (DPR, DPO)]
    assert list(zip(frame["run"], frame["baseline"], strict=True)) == expected
    assert (frame["seeds"] == "1 2").all()


def test_pairs_that_are_too_long_stay_out_of_the_pair_accuracy(table):
    run = next(run for run in table.runs if run.run == DPO)
    names = ["chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps"]
    for seed in run.seeds:
        path = run.files[seed]["evaluation"]
        frame = pd.read_parquet(path)
        # margins 1, 1, −1 times beta, and a pair without a reference
        frame[names] = [[-5.0, -6.0, -5.0, -5.0], [-5.0, -6.0, -5.0, -5.0], [-6.0, -5.0, -5.0, -5.0], [np.nan] * 4]
        write_parquet(frame, path)
    dpo = row(winrate_table(table, resamples=50), DPO)
    assert dpo["reward_accuracy"] == pytest.approx(2 / 3) and dpo["reward_margin"] == pytest.approx(0.1 / 3)
    assert np.isfinite(dpo["kl"])


def test_numbers_by_hand(table):
    put_verdicts(table, DPO, {1: [1, 0, 0, 1], 2: [0, 0, 1, 1]})
    put_verdicts(table, DPR, {1: [1, 1, 0.5, 1], 2: [1, 0, None, 1]})
    frame = winrate_table(table, resamples=200)
    dpr = row(frame, DPR)
    # Seven parsed cells sum to 5.5. Seed means 3.5/4 and 2/3. Differences cell by cell: 0 1 ½ 0, and 1 0 (missing) 0.
    assert (dpr["n"], dpr["unparsed"], dpr["ties"]) == (7, 1, 1)
    assert dpr["win_rate"] == pytest.approx(100 * 5.5 / 7)
    assert dpr["win_rate_seed_sd"] == pytest.approx(100 * (3.5 / 4 - 2 / 3) / 2**0.5)
    assert dpr["difference"] == pytest.approx(100 * 2.5 / 7)
    # Prompt means 1, ½, ½, 1: sd = sqrt(0.25 / 3), over the root of 4 prompts.
    assert dpr["win_rate_se"] == pytest.approx(100 * (0.25 / 3) ** 0.5 / 2)
    assert dpr["win_rate_low"] <= dpr["win_rate"] <= dpr["win_rate_high"]
    assert row(frame, DPO)["win_rate"] == 50


def test_tests_and_ratings_stand_beside_the_rates(table):
    put_verdicts(table, "sft", {1: [0, 0, 1, 1], 2: [1, 0, 0, 0]})
    put_verdicts(table, DPO, {1: [1, 0, 0, 1], 2: [0, 0, 1, 1]})
    put_verdicts(table, DPR, {1: [1, 1, 0.5, 1], 2: [1, 0, None, 1]})
    frame = winrate_table(table, resamples=200, refits=20)
    compared = compare(group_verdicts(table, ("world", "W1M")), None, DPO, 200, 20).set_index(["run", "baseline"])
    for _, line in frame.iterrows():
        there = compared.loc[line["run"], line["baseline"]]
        for column in ("p_value", "difference_p_value", "lc_win_rate", "lc_win_rate_low", "rating", "flipped"):
            assert line[column] == pytest.approx(there[column], abs=1e-9, nan_ok=True), column
        for column in ("win_rate", "win_rate_low", "win_rate_high", "difference", "difference_low"):
            assert line[column] == pytest.approx(there[column], abs=1e-9, nan_ok=True), column
    against = frame[frame["baseline"] == "chosen"]
    assert against["p_value_holm"].tolist() == pytest.approx(holm(against["p_value"]).tolist())
    assert against["difference_p_value_holm"].isna().tolist() == [False, True, False]
    assert row(frame, DPO)["rating"] == 0 and not winrate_table(table, resamples=20, refits=0)["rating"].notna().any()


def test_each_file_of_verdicts_is_read_once(table, monkeypatch):
    read, opened = pd.read_parquet, []
    monkeypatch.setattr(pd, "read_parquet", lambda path, **options: opened.append(path) or read(path, **options))
    winrate_table(table, resamples=20, refits=0)
    verdicts = [path for run in table.runs for files in run.verdicts.values() for path in files.values()]
    assert sorted(set(opened) & set(verdicts)) == sorted(verdicts) and len(opened) == len(set(opened))


def test_orders_that_contradict_each_other_are_counted(table):
    run = table.runs[2]
    for seed in run.seeds:
        first = verdict_frame(DPR, seed, "chosen", IDS, np.array([1, 1, 0, 0.5])).assign(order="run_first")
        second = verdict_frame(DPR, seed, "chosen", IDS, np.array([0, 1, 0, np.nan])).assign(order="baseline_first")
        write_parquet(pd.concat([first, second]), run.verdicts[seed]["chosen"])
    assert row(winrate_table(table, resamples=20, refits=0), DPR)["flipped"] == 2


def test_differences_stand_only_where_they_belong(table):
    frame = winrate_table(table, resamples=50)
    assert frame[frame["baseline"] != "chosen"]["difference"].isna().all()
    assert row(frame, DPO)[["difference", "difference_low", "reward_difference"]].isna().all()
    assert not row(frame, DPR)[["difference", "difference_low", "difference_high", "reward_difference"]].isna().any()
    assert row(frame, "sft")[["reward_accuracy", "reward_margin"]].isna().all()


def test_rewards_lengths_and_log_probabilities_by_hand(table):
    run = table.runs[2]
    logps = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    for seed in run.seeds:
        # Margins beta * ((c - rc) - (r - rr)): 0.1 * (2 - (-1)) = 0.3, 0, -0.2 and 0.1. KL 1, 2, 3, seed.
        values = dict(
            zip(logps, ([-8, -5, -7, -4], [-9, -5, -5, -5], [-10, -5, -6, -5], [-8, -5, -6, -5]), strict=True)
        )
        values |= {"response_logps": [-9.0, -8, -7, seed - 10], "ref_response_logps": [-10.0] * 4}
        write_parquet(pd.DataFrame({"prompt_id": IDS} | values), run.files[seed]["evaluation"])
        scores = pd.DataFrame({"prompt_id": IDS, "response_score": [1.0, 2, 3, seed]})
        write_parquet(scores, run.files[seed]["scores"])
        responses = pd.DataFrame({"prompt_id": IDS, "prompt": "?", "response": ["", "ab", "é" * 4, "x" * (2 * seed)]})
        write_parquet(responses, run.files[seed]["responses"])
    dpr = row(winrate_table(table, resamples=50), DPR)
    assert dpr["reward_accuracy"] == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert dpr["reward_margin"] == pytest.approx((0.3 + 0 - 0.2 + 0.1) / 4)
    assert dpr["kl"] == pytest.approx((6 + 1 + 6 + 2) / 8)
    assert dpr["mean_reward"] == pytest.approx((6 + 1 + 6 + 2) / 8)
    assert dpr["mean_response_length"] == pytest.approx((6 + 2 + 6 + 4) / 8)


def test_identical_runs_differ_by_exactly_nothing(table):
    preferences = {1: [1, 0, 0.5, 1], 2: [0, 0, 1, 0.3]}
    put_verdicts(table, DPO, preferences)
    put_verdicts(table, DPR, preferences)
    for seed in (1, 2):
        write_parquet(pd.read_parquet(table.runs[1].files[seed]["scores"]), table.runs[2].files[seed]["scores"])
    dpr = row(winrate_table(table, resamples=200), DPR)
    assert (dpr[["difference", "difference_low", "difference_high"]] == 0).all()
    assert (dpr[["reward_difference", "reward_difference_low", "reward_difference_high"]] == 0).all()


def test_the_order_of_rows_changes_nothing(table):
    before = winrate_table(table, resamples=100)
    for run in table.runs:
        for seed in run.seeds:
            kinds = [run.files[seed][kind] for kind in ("scores", "evaluation", "responses")]
            for i, path in enumerate([*kinds, *run.verdicts[seed].values()]):
                write_parquet(pd.read_parquet(path).sample(frac=1, random_state=i + seed), path)
    pd.testing.assert_frame_equal(before, winrate_table(table, resamples=100))


def test_prompts_and_seeds_that_the_baseline_lacks_are_not_compared(table, tmp_path):
    put_verdicts(table, DPO, {1: [0, 0], 2: [1, 1]}, ids=["a", "b"])
    put_verdicts(table, DPR, {1: [1, 0, 0, 0], 2: [1, 1, 1, 1]}, ids=["b", "a", "c", "d"])
    dpr = row(winrate_table(table, resamples=100), DPR)
    assert dpr["win_rate"] == pytest.approx(100 * 5 / 8)
    assert dpr["difference"] == pytest.approx(100 * 1 / 4)
    content = read_yaml(tmp_path / "runs.yaml")
    del content["runs"][1]["seeds"][2]
    write_yaml(content, tmp_path / "runs.yaml")
    dpr = row(winrate_table(read_run_table(tmp_path / "runs.yaml"), resamples=100), DPR)
    assert dpr["difference"] == pytest.approx(100 * 1 / 2)


def test_both_orders_are_averaged_and_counted_apart(table):
    run = table.runs[2]
    for seed in run.seeds:
        first = verdict_frame(DPR, seed, "chosen", IDS, np.array([1, 1, 0, np.nan])).assign(order="run_first")
        second = verdict_frame(DPR, seed, "chosen", IDS, np.array([0, np.nan, 0, np.nan])).assign(
            order="baseline_first"
        )
        write_parquet(pd.concat([first, second]), run.verdicts[seed]["chosen"])
    dpr = row(winrate_table(table, resamples=100), DPR)
    assert (dpr["n"], dpr["unparsed"], dpr["ties"]) == (10, 6, 0)
    assert dpr["win_rate"] == pytest.approx(50)


def test_refused_and_failed_verdicts_are_counted_apart(table):
    run = table.runs[2]
    for seed in run.seeds:
        verdicts = verdict_frame(DPR, seed, "chosen", IDS, np.array([1, np.nan, np.nan, np.nan]))
        verdicts["status"] = ["parsed", "unparsed", "refused", "failed" if seed == 1 else "refused"]
        write_parquet(verdicts, run.verdicts[seed]["chosen"])
    dpr = row(winrate_table(table, resamples=50), DPR)
    assert dpr[["n", "unparsed", "refused", "failed"]].tolist() == [2, 6, 3, 1] and dpr["win_rate"] == 100


def test_all_ties(table):
    put_verdicts(table, DPR, {1: [0.5] * 4, 2: [0.5] * 4})
    dpr = row(winrate_table(table, resamples=50), DPR)
    assert dpr["ties"] == 8
    assert (dpr[["win_rate", "win_rate_low", "win_rate_high"]] == 50).all()
    assert (dpr["win_rate_se"], dpr["win_rate_seed_sd"]) == (0, 0)


def test_no_verdict_parsed(table):
    put_verdicts(table, DPR, {1: [None] * 4, 2: [None] * 4})
    dpr = row(winrate_table(table, resamples=50), DPR)
    assert (dpr["n"], dpr["unparsed"]) == (0, 8)
    assert dpr[["win_rate", "win_rate_low", "win_rate_se", "difference"]].isna().all()


def test_one_prompt_has_a_rate_but_no_interval(tmp_path):
    frame = winrate_table(read_run_table(build_results(tmp_path, prompts=1)), resamples=50)
    assert frame["win_rate"].notna().all()
    assert frame[["win_rate_low", "win_rate_high", "win_rate_se", "mean_reward_low"]].isna().all(axis=None)


def test_one_seed_has_an_interval_but_no_spread(tmp_path):
    frame = winrate_table(read_run_table(build_results(tmp_path, seeds=(7,), prompts=30)), resamples=50)
    assert frame["win_rate_seed_sd"].isna().all()
    assert (frame["win_rate_high"] > frame["win_rate_low"]).all()
    assert (frame["seeds"] == "7").all()


def test_a_dataset_without_a_reward_model_has_no_rewards(tmp_path):
    path = build_results(tmp_path, prompts=4)
    content = read_yaml(path)
    for entry in content["runs"]:
        for files in entry["seeds"].values():
            del files["scores"]
    write_yaml(content, path)
    frame = winrate_table(read_run_table(path), resamples=50)
    assert frame[["mean_reward", "mean_reward_low", "reward_difference"]].isna().all(axis=None)
    assert frame["win_rate"].notna().all()


def test_a_hyperparameter_with_the_name_of_a_column_is_refused(tmp_path):
    path = build_results(tmp_path, prompts=4)
    content = read_yaml(path)
    content["runs"][1]["hyperparameters"]["kl"] = 1
    write_yaml(content, path)
    with pytest.raises(InputError, match="hyperparameter 'kl'"):
        winrate_table(read_run_table(path), resamples=50)


def test_cost_by_hand(table):
    frame = cost_table(table)
    assert frame["run"].tolist() == [DPO, DPR]
    dpr = frame.iloc[1]
    # Seeds 1 and 2 took 20 s and 40 s over 20 steps each, twice the baseline's 10 s and 20 s.
    assert (dpr["training_seconds"], dpr["rollout_seconds"], dpr["steps"]) == (30, 7.5, 20)
    assert dpr["seconds_per_step"] == pytest.approx(60 / 40)
    assert (dpr["peak_memory_mib"], dpr["seconds_ratio_to_baseline"], dpr["memory_ratio_to_baseline"]) == (502, 2, 1)
    assert (dpr["device"], dpr["halved"]) == ("cpu", 0)


def test_cost_counts_how_often_memory_ran_out(tmp_path):
    path = build_results(tmp_path, prompts=2)
    table = read_run_table(path)
    for seed, halved in ((1, 1), (2, 2)):
        file = Path(table.runs[1].files[seed]["cost"])
        write_json(read_json(file) | {"batch": {"rows": 2, "halved": halved}}, file)
    assert cost_table(read_run_table(path))["halved"].tolist() == [3, 0]


def test_cost_without_any_training(tmp_path):
    path = build_results(tmp_path, prompts=2)
    content = read_yaml(path)
    content["runs"] = content["runs"][:1]
    write_yaml(content, path)
    compute_cost.main(["--runs", str(path), "--output", str(tmp_path / "cost.csv")])
    assert read_table(tmp_path / "cost.csv").empty


def test_command_lines_write_the_same_bytes_twice(tmp_path):
    path = build_results(tmp_path, prompts=10)
    for script, name, options in ((compute_winrate, "winrate", ["--refits", "10"]), (compute_cost, "cost", [])):
        for i in (1, 2):
            script.main(["--runs", str(path), "--output", str(tmp_path / f"{name}{i}.csv"), *options])
        assert (tmp_path / f"{name}1.csv").read_bytes() == (tmp_path / f"{name}2.csv").read_bytes()
    lines = (tmp_path / "winrate1.csv").read_text().splitlines()
    assert lines[1].startswith("world,W1M,,sft,sft,chosen,,,,,1 2 3,30,0,0,")
    assert lines[4].startswith(f"world,W1M,,{DPR},dpr,chosen,0.1,0.0003,0.3,0.3,1 2 3,30,0,0,")
    frame = read_table(tmp_path / "winrate1.csv")
    assert frame["win_rate"].dtype == float and frame["seeds"].tolist()[0] == "1 2 3"


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n", "no column 'dataset'"), ("", "not a readable CSV file"), (None, "not a readable CSV file")],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "x.csv")
