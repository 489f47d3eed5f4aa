"""The benchmark of preparation compares like with like: both ways give the same rows in the same order."""

import pyarrow.parquet as pq
import pytest

from benchmarks import data


@pytest.fixture
def source(tmp_path):
    data.make_rows(str(tmp_path / "rows.parquet"), 3000)
    return str(tmp_path / "rows.parquet")


def test_both_ways_give_the_same_rows(source, tmp_path):
    assert pq.read_metadata(source).num_rows == 3000
    data.vectorised(source, str(tmp_path / "fast"), 1, None)
    data.row_by_row(source, str(tmp_path / "slow"))
    fast, slow = (data.fingerprints(tmp_path / name) for name in ("fast", "slow"))
    assert fast == slow and 2500 < sum(split["rows"] for split in fast.values()) < 3000


def test_a_case_is_measured_in_a_process_of_its_own(source, tmp_path):
    result = data.measure("prepare", str(tmp_path), "one", source=source, processes=1, near_duplicates=None)
    assert result["case"] == "prepare processes 1, near_duplicates None"
    assert result["cpu_seconds"] > 0 and result["seconds"] > 0 and 50 < result["peak_mib"] < 2048
    assert sum(split["rows"] for split in data.fingerprints(tmp_path / "one").values()) > 2500
