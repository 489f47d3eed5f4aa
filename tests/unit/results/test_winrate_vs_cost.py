"""Win rates against costs: the table, the front and how sure it is, what is not known."""

import numpy as np
import pytest
from fixtures_costs import compare, set_costs
from fixtures_records import write_records
from fixtures_results import DPO, DPR, build_results, verdict_frame

from pipeline.jobs.io import InputError, read_yaml, write_csv, write_parquet, write_yaml
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import read_table, winrate_table
from pipeline.results.winrate_vs_cost import COLUMNS, read_winrate_vs_cost, winrate_vs_cost

TOKENS = {"trained_tokens": 900, "sampled_tokens": 100}


def made(root, costs, wins=None, **options):
    """The run table and its win rates; wins by run are how many of ten prompts each seed wins against chosen."""
    path = build_results(root, **{"seeds": (1, 2), "prompts": 10} | options)
    table = read_run_table(path)
    for run in (run for run in table.runs if run.run in (wins or {})):
        for seed, won in zip(run.seeds, wins[run.run], strict=True):
            ids = [f"p{i:03d}" for i in range(10)]
            frame = verdict_frame(run.run, seed, "chosen", ids, np.arange(10) < won)
            write_parquet(frame, run.verdicts[seed]["chosen"])
    set_costs(root, costs)
    write_csv(winrate_table(table, resamples=50, refits=5), root / "winrate.csv")
    return table, read_table(root / "winrate.csv")


def rows(table, winrate, **options):
    frame = winrate_vs_cost(table, winrate, resamples=200, **options)
    assert list(frame.columns) == COLUMNS
    return frame.set_index("run")


def test_the_front_of_each_axis_and_what_is_not_known(tmp_path):
    costs = {DPO: TOKENS | {"seconds": 100.0, "steps": 50}, DPR: TOKENS | {"seconds": [300.0, 500.0], "steps": 20}}
    table, winrate = made(tmp_path, costs, {DPO: [5, 5], DPR: [8, 9]})
    found = rows(table, winrate)
    assert found.loc[DPR, ["training_seconds", "steps", "tokens", "win_rate"]].tolist() == [400, 20, 1000, 85]
    assert found.loc[DPO, "front"] == "training_seconds"  # cheaper in time; with fewer steps the other wins more
    assert found.loc[DPR, "front"] == "training_seconds steps tokens"  # which are equal
    assert found.loc[DPR, ["training_seconds_low", "training_seconds_high"]].tolist() == [300, 500]
    assert found.loc[DPO, ["training_seconds_low", "training_seconds_high"]].tolist() == [100, 100]
    assert found.loc["sft", "front"] == "" and found.loc["sft", "unknown"] == "no training here"
    assert found.loc[DPO, "unknown"] == "no records of its jobs" and found["device_seconds"].isna().all()
    assert found["name"].tolist() == ["SFT", "DPO", "DPR"]
    # of the default axis, the time of the training: hardly any draw has the dearer one win as little
    assert found.loc[DPO, "front_share"] == 1 and 0.95 < found.loc[DPR, "front_share"] <= 1
    assert np.isnan(found.loc["sft", "front_share"])


def test_with_records_the_default_is_device_time_and_dollars_are_known(tmp_path):
    build_results(tmp_path, seeds=(1, 2), prompts=10)
    write_records(tmp_path)
    costs = {DPO: {"seconds": 100.0}, DPR: {"seconds": 300.0}}
    table, winrate = made(tmp_path, costs, {DPO: [9, 9], DPR: [4, 4]})
    found = rows(table, winrate, dollars_per_hour=3.6)
    assert found.loc[DPO, "front"] == "device_seconds training_seconds steps dollars"
    assert found.loc[DPR, "front"] == ""
    assert found.loc[DPO, "dollars"] == pytest.approx(found.loc[DPO, "device_seconds"] / 1000)
    assert found.loc[DPR, "front_share"] == 0 and found.loc[DPO, "front_share"] == 1
    assert rows(table, winrate)["dollars"].isna().all()


def test_the_share_is_of_draws_of_the_same_seeds_for_costs_and_win_rates(tmp_path):
    costs, shares = {DPO: {"seconds": [100.0, 300.0]}, DPR: {"seconds": [200.0, 200.0]}}, []
    for name, wins in (("dear", [3, 9]), ("cheap", [9, 3])):
        table, winrate = made(tmp_path / name, costs, {DPO: wins, DPR: [6, 6]})
        shares.append(rows(table, winrate).loc[[DPO, DPR], "front_share"].sum())
    # draws of one seed alone beat neither run where DPO's dear seed is its good one, and one of both where it is not
    assert shares[0] - shares[1] == pytest.approx(0.5, abs=0.12)


def test_one_run_and_one_seed(tmp_path):
    path = build_results(tmp_path, seeds=(4,), prompts=6)
    content = read_yaml(path)
    write_yaml(content | {"runs": [run for run in content["runs"] if run["run"] == DPO]}, path)
    table = read_run_table(path)
    write_csv(winrate_table(table, resamples=50, refits=5), tmp_path / "winrate.csv")
    found = rows(table, read_table(tmp_path / "winrate.csv"))
    assert found["front"].tolist() == ["training_seconds steps"] and found["front_share"].tolist() == [1]
    assert np.isnan(found.loc[DPO, "training_seconds_low"])  # one seed has no interval


def test_each_decoding_has_its_front_and_the_same_costs(tmp_path):
    decodings = {"sample": {}, "greedy": {DPR: (0.1, 0.1), DPO: (0.9, 0.5)}}
    costs = {DPO: {"seconds": 10.0}, DPR: {"seconds": 20.0}}
    table, winrate = made(tmp_path, costs, prompts=40, decodings=decodings)
    frame = winrate_vs_cost(table, winrate, resamples=50).set_index(["decoding", "run"])
    assert "training_seconds" in frame.loc[("sample", DPR), "front"]
    assert "training_seconds" not in frame.loc[("greedy", DPR), "front"]
    assert frame.loc[("sample", DPR), "steps"] == frame.loc[("greedy", DPR), "steps"] == 20


def test_runs_of_one_method_are_called_by_their_names(tmp_path):
    runs = {"sft": ("sft", {}), DPO: ("dpo", {"beta": 0.1}), "dpo-beta1": ("dpo", {"beta": 1.0})}
    strength = dict.fromkeys(runs, (0.5, 0.5))
    table, winrate = made(tmp_path, {}, runs=runs, strength=strength)
    assert rows(table, winrate)["name"].tolist() == ["SFT", DPO, "dpo-beta1"]


def test_nothing_was_trained(tmp_path):
    path = build_results(tmp_path, seeds=(1,), prompts=6)
    content = read_yaml(path)
    for run in content["runs"]:
        for files in run["seeds"].values():
            files.pop("cost", None)
    write_yaml(content, path)
    table = read_run_table(path)
    write_csv(winrate_table(table, resamples=50, refits=5), tmp_path / "winrate.csv")
    found = rows(table, read_table(tmp_path / "winrate.csv"))
    assert set(found["unknown"]) == {"no training here"} and set(found["front"]) == {""}


def test_the_script_writes_what_is_read_again_and_the_same_bytes_twice(tmp_path):
    made(tmp_path, {DPO: TOKENS, DPR: TOKENS})
    written = compare(tmp_path).read_bytes(), (tmp_path / "front.svg").read_bytes()
    assert (compare(tmp_path).read_bytes(), (tmp_path / "front.svg").read_bytes()) == written
    frame = read_winrate_vs_cost(tmp_path / "front.csv")
    assert frame["tokens"].dtype == float and frame.loc[frame["run"] == DPR, "unknown"].item().startswith("no records")
    frame.drop(columns="front").to_csv(tmp_path / "front.csv", index=False)
    with pytest.raises(InputError, match=r"front.csv: no column 'front'"):
        read_winrate_vs_cost(tmp_path / "front.csv")
    frame.assign(steps="many").to_csv(tmp_path / "front.csv", index=False)
    with pytest.raises(InputError, match=r"column 'steps' must hold numbers"):
        read_winrate_vs_cost(tmp_path / "front.csv")


def test_a_run_that_lacks_a_seed_counts_where_it_is(tmp_path):
    table, winrate = made(tmp_path, {})
    run = next(run for run in table.runs if run.run == DPR)
    del run.files[2], run.verdicts[2]
    found = rows(table, winrate)
    assert found.loc[DPR, "seeds"] == "1" and found.loc[DPR, "training_seconds"] == 20
    assert 0 < found.loc[DPR, "front_share"] < 1  # not on it in draws without its seed
