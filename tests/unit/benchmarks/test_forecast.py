"""Predicted against measured times of jobs: each by the others, as a table."""

import pytest

from benchmarks.forecast import as_table, compare, main
from pipeline.jobs.io import InputError
from pipeline.plan.speeds import Earlier, Machine
from pipeline.plan.work import Work


def job(work, seconds, rule="train_policy", method="dpo"):
    return Earlier(rule, method, Machine("cpu", "cpu"), Work(work, 0), seconds, 9.0)


def test_a_job_of_twice_the_work_takes_twice_as_long():
    row = compare(job(2e12, 210.0), [job(1e12, 101.0), job(5e12, 9.0, "score_bt", "")])
    assert row["measured"] == 219.0 and row["predicted"] == pytest.approx(9 + 1 + 2 * 100)
    table = as_table([row, row | {"method": "dpr", "predicted": 2 * row["measured"]}])
    assert "| train_policy | dpo | 1 | 219.0 | 210.0 | 0.96 (0.96-0.96) |" in table
    assert "| all |  | 2 | 219.0 | 324.0 | 1.48 (0.96-2.00) |" in table


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(InputError, match="no record of a job that ran a model"):
        main(["--results", str(tmp_path), "--output", str(tmp_path / "a.json")])
    assert list(tmp_path.iterdir()) == []
