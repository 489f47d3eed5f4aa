"""States of jobs that are done go at the end of a run that had nothing to do, and of no other call."""

from types import SimpleNamespace

import pytest

from pipeline.plan.state import clear_up_if_all_was_done

DONE = {"is_main_process": True, "executor_plugin": "local", "dryrun": False, "dag": []}


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, False),
        ({"dryrun": True}, True),
        ({"is_main_process": False}, True),  # a job's own process
        ({"executor_plugin": None}, True),  # --lint, --list-rules
        ({"dag": None}, True),  # it ended before the plan
        ({"dag": ["a job to run"]}, True),  # the hooks do it
    ],
)
def test_only_a_run_with_nothing_to_do_clears_up(tmp_path, changed, kept):
    state = tmp_path / ".state/winrate.csv"
    (state / "key/finished").mkdir(parents=True)
    (state / "lock").touch()
    clear_up_if_all_was_done(SimpleNamespace(**DONE | changed), tmp_path)
    assert state.exists() == kept
