"""Win rates on a mix by the dataset that a prompt is from."""

import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results, verdict_frame
from numpy import nan

import compute_winrate
from pipeline.jobs.io import InputError, read_yaml, write_parquet, write_yaml
from pipeline.results.run_table import read_run_table
from pipeline.results.source_table import read_source_table, source_table

IDS = [f"p{i:03d}" for i in range(6)]
SOURCES = ["A", "A", "A", "A", "B", "B"]


@pytest.fixture
def runs(tmp_path):
    """A run table of a mix and of another dataset, with one seed and six prompts."""
    path = build_results(tmp_path, seeds=(1,), prompts=6, groups=(("mixed", "W1M"), ("world", "W1M")))
    content = read_yaml(path)
    split = tmp_path / "mixed.parquet"
    write_parquet(pd.DataFrame({"prompt_id": IDS, "source": SOURCES}), split)
    for run in content["runs"]:
        if run["dataset"] == "mixed":
            run["sources"] = str(split)
    write_yaml(content, path)
    return path


def put(path, run_name, preferences):
    """Verdicts of a run of the mix against chosen."""
    run = next(run for run in read_run_table(path).runs if (run.dataset, run.run) == ("mixed", run_name))
    write_parquet(verdict_frame(run_name, 1, "chosen", IDS, preferences), run.verdicts[1]["chosen"])


def test_rates_and_counts_by_hand(runs):
    put(runs, DPO, [1, 1, 0, 0, 0, 0])
    put(runs, DPR, [1, 1, 1, 0, 0.5, nan])
    frame = source_table(read_run_table(runs), resamples=50, refits=5)
    assert set(frame["dataset"]) == {"mixed"}
    assert list(zip(frame["run"], frame["baseline"], frame["source"], strict=True)) == [
        (run, baseline, source)
        for run, baselines in (("sft", ("chosen", DPO)), (DPO, ("chosen",)), (DPR, ("chosen", DPO)))
        for baseline in baselines
        for source in "AB"
    ]
    found = frame[frame["baseline"] == "chosen"].set_index(["run", "source"])
    assert found.loc[DPR, "win_rate"].to_dict() == {"A": 75, "B": 50}
    assert found.loc[DPO, "win_rate"].to_dict() == {"A": 50, "B": 0}
    assert found.loc[DPR, "difference"].to_dict() == {"A": 25, "B": 50}
    assert found.loc[DPR, ["prompts", "n", "unparsed", "ties"]].to_numpy().tolist() == [[4, 4, 0, 0], [1, 1, 1, 1]]
    assert (found["win_rate_low"].dropna() <= found["win_rate"].loc[found["win_rate_low"].notna()]).all()


def test_the_command_writes_it_beside_the_win_rates_which_stay_as_they_are(runs, tmp_path):
    command = ["--runs", str(runs), "--resamples", "50", "--refits", "5", "--output"]
    compute_winrate.main([*command, str(tmp_path / "alone.csv")])
    compute_winrate.main([*command, str(tmp_path / "winrate.csv"), "--by-source", str(tmp_path / "by_source.csv")])
    assert (tmp_path / "alone.csv").read_bytes() == (tmp_path / "winrate.csv").read_bytes()
    read = read_source_table(tmp_path / "by_source.csv")
    made = source_table(read_run_table(runs), resamples=50, refits=5)
    pd.testing.assert_frame_equal(read, made, check_dtype=False, rtol=1e-5)


def test_what_cannot_be_told_apart_is_refused(runs, tmp_path):
    table = read_run_table(runs)
    write_parquet(pd.DataFrame({"prompt_id": IDS[:5], "source": SOURCES[:5]}), tmp_path / "mixed.parquet")
    with pytest.raises(InputError, match=r"mixed\.parquet: prompt p005 was judged, but is not in it"):
        source_table(table)
    other = build_results(tmp_path / "other", seeds=(1,), prompts=6)
    with pytest.raises(InputError, match="no dataset of these runs knows sources"):
        source_table(read_run_table(other))
    (tmp_path / "no.csv").write_text("dataset,model\nA,B\n")
    with pytest.raises(InputError, match=r"no\.csv: no column 'decoding'"):
        read_source_table(tmp_path / "no.csv")
