"""What the benchmarks have in common: one command, cases in processes of their own, turns, tables."""

import re

import pytest

import benchmark
from benchmarks import measuring
from pipeline.jobs.io import InputError


@pytest.mark.parametrize("name", benchmark.BENCHMARKS)
def test_each_benchmark_tells_its_options(name, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main([name, "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0 and told.startswith(f"usage: benchmark.py {name} ")
    assert f"python scripts/benchmark.py {name} " in told and re.search(r"--output OUTPUT\s+JSON to write", told)
    assert re.search(rf"^    {name} +\w", benchmark.__doc__, re.MULTILINE)


def test_a_benchmark_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


def test_a_case_that_fails_says_why():
    case = {"how": "row_by_row", "arguments": {"source": "nowhere.parquet", "folder": "nowhere"}}
    with pytest.raises(InputError, match=r"(?s)data \{'how': 'row_by_row'.*failed:.*nowhere\.parquet"):
        measuring.in_a_process("data", case)


def test_cases_take_turns(capsys):
    order = []

    def measure(case):
        order.append(case)
        return {"seconds": 10.0 * case + len(order), "scores": [1, 2]}

    measured = measuring.in_turn({"one": 1, "two": 2}, 2, measure)
    assert order == [1, 2, 1, 2] and [found["seconds"] for found in measured["two"]] == [22.0, 24.0]
    assert measuring.median_of(measured["one"], "seconds") == 12.0
    assert capsys.readouterr().err.splitlines()[-1] == "2/2 two: {'seconds': 24.0}"


def test_cases_are_compared_with_the_first_of_their_turn():
    seconds = iter([2.0, 1.0, 1.0, 2.0, 4.0, 5.0])
    rows = measuring.compare({"a": 1, "b": 2}, 3, lambda case: {"seconds": next(seconds), "peak_mib": case})
    assert [row["seconds"] for row in rows] == [2.0, 2.0] and [row["peak_mib"] for row in rows] == [1, 2]
    assert [rows[1][name] for name in ("ratio", "ratio_min", "ratio_max")] == [1.25, 0.5, 2.0]
    table = measuring.formatted_table(rows[1:], {"case": "{case}", "ratio": measuring.RANGE})
    assert table.splitlines() == ["| case | ratio |", "|---|---|", "| b | 1.25 (0.50-2.00) |"]
