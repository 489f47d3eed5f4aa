"""The workflow on a small config: before its first run, run to the report, and copies of that to change."""

import os

import pytest
from filelock import FileLock

from workflow.snakemake_copy import Workflow


@pytest.fixture
def fresh(tmp_path):
    """The workflow before its first run."""
    return Workflow.new(tmp_path / "fresh")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The workflow after the small config ran to the report; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    # the test processes of one session have it together
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(place / "finished.lock"):
        if not (place / "finished.done").exists():
            Workflow.new(place / "finished").snakemake()
            (place / "finished.done").touch()
    return Workflow(place / "finished")


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished workflow, to be changed."""
    return finished.copy(tmp_path / "copied")
