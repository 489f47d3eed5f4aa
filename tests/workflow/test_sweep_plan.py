"""The plan of a sweep of a thousand runs is there soon and in little memory; how soon, scripts/benchmark.py says."""

import subprocess
import sys

import pytest

from benchmarks import sweep
from pipeline.config.settings import Settings
from pipeline.jobs.io import read_json
from workflow.snakemake_copy import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("most", [300, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_many_runs_are_planned_soon_and_the_time_grows_with_their_number(tmp_path, most):
    # By a process that holds little: Linux counts as a command's own what started it had at that moment.
    command = [sys.executable, str(REPOSITORY / "scripts/benchmark.py"), "sweep", "--runs", "10", "100", str(most)]
    command += ["--output", str(tmp_path / "plans.json")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ten, hundred, many = read_json(tmp_path / "plans.json")["plans"]
    jobs_of_a_run = (hundred["jobs"] - ten["jobs"]) / 90
    assert (many["jobs"] - hundred["jobs"]) / (most - 100) == jobs_of_a_run > 4000 / 900
    # Its own seconds, a guard against what grows with the square: others on its core make them twice as many.
    seconds = [plan["cpu_seconds"] for plan in (ten, hundred, many)]
    assert seconds[2] < min(150, 15 + 150 * most / 1000) and many["peak_mib"] < 2048, many
    # What a run more costs, beside the seconds that any plan takes; near linear, so at most three times as much.
    each = (seconds[1] - seconds[0]) / 90, (seconds[2] - seconds[1]) / (most - 100)
    assert each[1] < 3 * max(each[0], 0.010), each
    assert len(printed.splitlines()) == 5


def test_each_task_of_a_sweep_is_one_run():
    for runs in (1, 7):
        assert len(Settings.from_config(sweep.sweep(runs)).runs) == runs
