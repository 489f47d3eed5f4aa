"""The benchmark of scoring compares like with like: all cases give the same scores."""

import pytest

import benchmark
from pipeline.jobs.io import read_json


@pytest.mark.slow
def test_the_benchmark_compares_the_same_scores(tmp_path, capsys):
    arguments = ["--repeats", "1", "--pairs", "24", "--width", "32", "--layers", "1", "--device", "cpu"]
    benchmark.main(["scoring", *arguments, "--output", str(tmp_path / "times.json")])
    cases = read_json(tmp_path / "times.json")["cases"]
    assert [case["case"] for case in cases] == ["plain", "sorted", "shared"]
    assert all(case["largest_difference"] < 1e-5 and case["rows_per_second"] > 0 for case in cases)
    assert "| shared |" in capsys.readouterr().out
