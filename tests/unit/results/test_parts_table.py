"""What gains are made of: the parts of verdicts, by run and opponent."""

import numpy as np
import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results, verdict_frame
from numpy import nan

import measure_parts
from pipeline.jobs.io import InputError, write_parquet
from pipeline.results.parts_table import NAMES, NUMBERS, WHOLE, parts_table, read_parts_table
from pipeline.results.run_table import read_run_table

IDS = [f"p{i:03d}" for i in range(4)]


def put(path, facts, tones, orders=("none",)):
    """Verdicts of DPR against the baseline run with parts: the run's numbers by seed, the opponent's all 0."""
    run = next(run for run in read_run_table(path).runs if run.run == DPR)
    for seed in run.seeds:
        frames = []
        for number, order in enumerate(orders):
            frame = verdict_frame(DPR, seed, DPO, IDS, np.full(len(IDS), 1.0)).assign(order=order)
            parts = zip(facts[seed], tones, strict=True)
            frame["parts_run"] = [{"facts": fact + number, "tone": tone} for fact, tone in parts]
            frame["parts_baseline"] = [{"facts": 0.0, "tone": 0.0}] * len(IDS)
            frames.append(frame)
        write_parquet(pd.concat(frames), run.verdicts[seed][DPO])


@pytest.fixture
def runs(tmp_path):
    return build_results(tmp_path, seeds=(1, 2), prompts=4)


def test_differences_by_hand(runs):
    put(runs, {1: [1.0, 2, 3, 4], 2: [1.0, 2, 3, 6]}, [nan, nan, 1.0, 3.0])
    frame = parts_table(read_run_table(runs), resamples=200)
    assert list(frame.columns) == [*NAMES, *NUMBERS]
    assert frame[["run", "baseline", "judge", "seeds"]].drop_duplicates().values.tolist() == [[DPR, DPO, "gold", "1 2"]]
    found = frame.set_index("part")
    assert found.index.tolist() == ["facts", "tone", WHOLE]
    assert found.loc["facts", ["n", "mean", "baseline_mean", "difference"]].tolist() == [8, 2.75, 0, 2.75]
    assert found.loc["tone", ["n", "difference"]].tolist() == [4, 2]  # what is missing is in no mean
    assert found.loc[WHOLE, "difference"] == 1
    assert (found["difference_low"] <= found["difference"]).all()
    assert found.loc["facts", "difference_low"] < 2.75 < found.loc["facts", "difference_high"]


def test_both_orders_of_a_prompt_are_one_cell(runs):
    put(runs, {1: [1.0, 2, 3, 4], 2: [1.0, 2, 3, 4]}, [0.0] * 4, orders=("ab", "ba"))
    found = parts_table(read_run_table(runs), resamples=50).set_index("part")
    assert found.loc["facts", ["n", "mean"]].tolist() == [8, 3]


def test_the_command_writes_table_and_figure(runs, tmp_path):
    put(runs, {1: [1.0, 2, 3, 4], 2: [1.0, 2, 3, 6]}, [1.0] * 4)
    for name in ("one", "two"):
        written = ["--output", str(tmp_path / f"{name}.csv"), "--figure", str(tmp_path / f"{name}.svg")]
        measure_parts.main(["--runs", str(runs), "--resamples", "50", *written])
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert "facts" in (tmp_path / "one.svg").read_text()
    pd.testing.assert_frame_equal(
        read_parts_table(tmp_path / "one.csv"), parts_table(read_run_table(runs), resamples=50), check_dtype=False
    )


def test_runs_without_parts_and_broken_tables_are_refused(runs, tmp_path):
    with pytest.raises(InputError, match="no judge of these runs gives parts"):
        parts_table(read_run_table(runs))
    put(runs, {1: [1.0] * 4, 2: [1.0] * 4}, [1.0] * 4)
    table = parts_table(read_run_table(runs), resamples=20)
    table.assign(difference="much").to_csv(tmp_path / "parts.csv", index=False)
    with pytest.raises(InputError, match="column 'difference' must hold numbers"):
        read_parts_table(tmp_path / "parts.csv")
