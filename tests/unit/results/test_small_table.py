"""The few columns of the win rates that are shown on a terminal."""

import re

import pytest
from fixtures_results import DPO, DPR, build_results
from fixtures_sets import made_set, winrates

import compute_winrate
import show_winrates
from pipeline.jobs.io import InputError
from pipeline.results.small_table import small_table
from pipeline.results.tables import read_table


def table(folder, **options):
    arguments = ["--runs", str(build_results(folder, **options)), "--output", str(folder / "winrate.csv")]
    compute_winrate.main([*arguments, "--resamples", "50", "--refits", "0"])
    return read_table(folder / "winrate.csv")


def test_a_line_per_run_has_its_rates_against_each_baseline(tmp_path):
    frame = table(tmp_path, seeds=(1,), prompts=12)
    header, rule, *lines = small_table(frame).split("\n\n")[0].splitlines()
    assert header.split("  ")[0] == "run" and "against chosen" in header and f"against {DPO}" in header
    assert set(rule) == {"-", " "} and [line.split()[0] for line in lines] == ["sft", DPO, DPR]
    rates = frame.set_index(["run", "baseline"])[["win_rate", "win_rate_low", "win_rate_high"]]
    for line, run in zip(lines, ("sft", DPO, DPR), strict=True):
        for baseline in ("chosen", DPO):
            if (run, baseline) in rates.index:
                rate, low, high = rates.loc[(run, baseline)]
                assert f"{rate:.1f} [{low:.1f}, {high:.1f}]" in line
    assert lines[1].count("[") == 1 and lines[2].count("[") == 2


def test_datasets_and_models_are_told_where_there_are_several(tmp_path):
    frame = table(tmp_path, seeds=(1,), prompts=12, groups=(("world", "W1M"), ("other", "W1M")))
    header, _, *lines = small_table(frame).split("\n\n")[0].splitlines()
    assert header.split()[:2] == ["dataset", "run"] and "model" not in header
    assert [line.split()[0] for line in lines] == ["world"] * 3 + ["other"] * 3


def test_a_rate_that_is_not_known_is_not_made_up(tmp_path):
    frame = table(tmp_path, seeds=(1,), prompts=12)
    frame.loc[frame["run"] == "sft", ["win_rate", "win_rate_low", "win_rate_high"]] = float("nan")
    assert small_table(frame).count("not known") == 2 and "nan" not in small_table(frame)


def test_sets_of_prompts_follow_the_splits_rates(tmp_path, capsys):
    (tmp_path / "eval").mkdir()
    runs = build_results(tmp_path / "eval", seeds=(1, 2), prompts=6)
    strength = {"sft": (0.01, 0.01), DPO: (0.5, 0.5), DPR: (0.99, 0.99)}
    sets = {
        "own": made_set(tmp_path, "own", prompts=30, strength=strength),
        "sums": made_set(tmp_path, "sums", "check"),
    }
    show_winrates.main([str(winrates(runs, sets, tmp_path))])
    split, beside = capsys.readouterr().out.split("By set of prompts")
    assert "against check" not in split and split.count(DPR) == 1
    against, right = beside.split("Right answers:")
    assert f"Win rate against {DPO}:" in against
    header, _, *lines = against.split(":\n\n")[1].strip().splitlines()
    assert header.split() == ["run", "eval", "own", "sums", "all"]
    assert {line.split()[0] for line in lines} == {"sft", DPR}
    assert re.search(rf"^{DPR} .*\] \+", against, re.M) and re.search(r"^sft .*\] -", against, re.M)
    assert right.split()[:2] == ["run", "sums"] and DPO in right


def test_the_script_prints_the_table_and_where_the_report_is(tmp_path, capsys):
    frame = table(tmp_path, seeds=(1,), prompts=12)
    capsys.readouterr()
    arguments = [str(tmp_path / "winrate.csv"), "--report", str(tmp_path / "report.html")]
    show_winrates.main(arguments)
    assert "report" not in (told := capsys.readouterr().out) and small_table(frame) in told
    (tmp_path / "report.html").touch()
    show_winrates.main(arguments)
    assert capsys.readouterr().out == f"{told}\nThe report is {tmp_path / 'report.html'}\n"
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        show_winrates.main([str(tmp_path / "nowhere.csv")])
