"""Win rates on sets of prompts: rows for each set and over all, by category, turns as one cell."""

import numpy as np
import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results, verdict_frame
from fixtures_sets import IDS, made_set, put, winrates

from pipeline.jobs.io import read_yaml, write_parquet, write_yaml
from pipeline.metrics.comparison import compare
from pipeline.metrics.over_sets import mean_over_sets
from pipeline.results.run_table import read_run_table, read_verdicts
from pipeline.results.set_table import overall_table
from pipeline.results.tables import read_set_rates, read_table


@pytest.fixture
def places(tmp_path):
    (tmp_path / "eval").mkdir()
    return build_results(tmp_path / "eval", seeds=(1, 2), prompts=6), {
        "alpaca": made_set(tmp_path, "alpaca", "reference"),
        "sums": made_set(tmp_path, "sums", "check"),
    }


def test_the_rows_of_the_split_stay_and_those_of_the_sets_follow(places, tmp_path):
    runs, sets = places
    alone = winrates(runs, {}, tmp_path).read_text().splitlines()
    path = winrates(runs, sets, tmp_path)
    whole = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert list(dict.fromkeys(whole["set"])) == ["eval", "alpaca", "sums", "all"]
    own = whole[whole["set"] == "eval"].drop(columns="set")
    assert own.to_csv(index=False, lineterminator="\n").splitlines() == alone
    assert read_table(path)["run"].tolist() == own["run"].tolist() and "set" not in read_table(path)
    rates = read_set_rates(path)
    assert set(rates.loc[rates["set"] == "alpaca", "baseline"]) == {"reference", DPO}
    assert set(rates.loc[rates["set"] == "sums", "baseline"]) == {"check", DPO}
    over = rates[rates["set"] == "all"]
    assert list(zip(over["run"], over["baseline"], strict=True)) == [("sft", DPO), (DPR, DPO)]
    assert over[["flipped", "kl", "rating"]].isna().all(axis=None) and over["win_rate_low"].notna().all()


def test_over_all_each_set_has_the_same_weight(places):
    _, sets = places
    put(sets["alpaca"], [1, 1, 1, 1, 1, 1])
    put(sets["sums"], [0, 1, np.nan])
    tables = [read_run_table(path) for path in sets.values()]
    found = overall_table(tables, 200).set_index("run").loc[DPR]
    assert found["win_rate"] == 75 and found[["n", "unparsed"]].tolist() == [16, 2]
    assert found["win_rate_low"] >= 50 and found["win_rate_high"] <= 100 and found["p_value_holm"] >= found["p_value"]


def test_a_mean_rests_on_what_its_sets_do_but_has_the_prompts_of_all(tmp_path):
    decodings = {"sample": {}, "greedy": {DPR: (0.2, 0.1)}}
    options = {"prompts": 60, "decodings": decodings}
    (tmp_path / "eval").mkdir()
    runs = build_results(tmp_path / "eval", seeds=(1, 2), **options)
    sets = {name: made_set(tmp_path, name, "reference", **options) for name in ("first", "second")}
    content = read_yaml(sets["second"])
    for run in content["runs"]:
        run |= {"judge_shares": "data"} if run["run"] == DPR else {}
    write_yaml(content, sets["second"])
    table = pd.read_csv(winrates(runs, sets, tmp_path), keep_default_na=False)
    found = table[(table["run"] == DPR) & (table["baseline"] == DPO)].set_index(["set", "decoding"])["caveats"]
    for decoding in decodings:
        assert found["first", decoding] == "two-seeds;few-prompts;decodings-disagree"
        assert found["all", decoding] == "shared-reward-data;two-seeds;decodings-disagree"
    assert set(table.loc[(table["run"] == "sft") & (table["set"] == "all"), "caveats"]) == {"two-seeds"}


def test_the_bootstrap_over_sets_draws_prompts_of_each_set_by_themselves():
    generator = np.random.default_rng(0)
    sets = [100 * (generator.random((4, size)) < 0.5) for size in (40, 400)]
    mean, drawn = mean_over_sets(sets, 4000)
    assert mean == np.mean([cells.mean() for cells in sets])
    # prompts' noise of the smaller set leads: half of it, the other's on top
    spread = [cells.mean(axis=0).std() / np.sqrt(cells.shape[1]) for cells in sets]
    assert drawn.mean() == pytest.approx(mean, abs=0.5)
    assert drawn.std() > 0.9 * np.hypot(*spread) / 2
    equal = mean_over_sets([np.full((2, 3), 50.0), np.full((2, 5), 100.0)], 10)
    assert equal[0] == 75 and (equal[1] == 75).all()


def test_turns_of_a_prompt_are_one_cell_and_contradict_only_within_a_turn(places):
    _, sets = places
    run = next(run for run in read_run_table(sets["alpaca"]).runs if run.run == DPR)
    both = [
        verdict_frame(DPR, 1, DPO, IDS[:2], [1, 0]).assign(turn=1),
        verdict_frame(DPR, 1, DPO, IDS[:2], [0, 0]).assign(turn=2),
    ]
    write_parquet(pd.concat(both), run.verdicts[1][DPO])
    verdicts = read_verdicts(run, 1, DPO)
    assert verdicts["turn"].tolist() == [1, 1, 2, 2]
    [row] = compare(verdicts.assign(run=DPR, baseline=DPO), refits=0, resamples=10).to_dict("records")
    assert (row["win_rate"], row["prompts"], row["n"], row["flipped"], row["ties"]) == (25, 2, 4, 0, 1)


def test_categories_of_the_sets_that_have_some(places, tmp_path):
    runs, sets = places
    content = read_yaml(sets["alpaca"])
    write_parquet(pd.DataFrame({"prompt_id": IDS, "category": list("xxyyyy")}), tmp_path / "prompts.parquet")
    for run in content["runs"]:
        run["sources"] = str(tmp_path / "prompts.parquet")
    write_yaml(content, sets["alpaca"])
    put(sets["alpaca"], [1, 1, 0, 0, 0, 1])
    winrates(runs, sets, tmp_path, "--by-category", str(tmp_path / "by.csv"))
    frame = pd.read_csv(tmp_path / "by.csv")
    assert set(frame["set"]) == {"alpaca"} and set(frame["baseline"]) == {"reference", DPO}
    found = frame[(frame["run"] == DPR) & (frame["baseline"] == DPO)].set_index("category")
    assert found["win_rate"].to_dict() == {"x": 100, "y": 25} and found["prompts"].to_dict() == {"x": 2, "y": 4}
