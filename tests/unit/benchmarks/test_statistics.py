"""The statistics of many verdicts: what they take."""

import pytest

import benchmark
from benchmarks import statistics
from pipeline.jobs.io import read_json


def measured(tmp_path, *options) -> dict:
    benchmark.main(["statistics", *options, "--output", str(tmp_path / "b.json")])
    return read_json(tmp_path / "b.json")


def test_each_part_is_timed(tmp_path):
    found = measured(tmp_path, "--runs", "3", "--prompts", "40", "--resamples", "10", "--refits", "2")
    assert found["verdicts"] == 240 and set(statistics.PARTS) < set(found)
    for part in statistics.PARTS:
        assert found[part]["seconds"] > 0 and found[part]["peak_mib"] > 10


@pytest.mark.slow
def test_a_million_verdicts_take_less_than_a_minute_and_two_gibibytes(tmp_path):
    found = measured(tmp_path, "--refits", "1")
    assert found["verdicts"] == 1_000_000 and found["resamples"] == 1_000
    assert found["means"]["seconds"] < 60 and found["means"]["peak_mib"] < 2048
