"""The workflow on a small config: before its first run, run to the report, and copies of that to change."""

import pytest

from workflow.snakemake_copy import Workflow


@pytest.fixture
def fresh(tmp_path):
    """The workflow before its first run."""
    return Workflow.new(tmp_path / "fresh")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The workflow after the small config ran to the report; not to be changed."""
    workflow = Workflow.new(tmp_path_factory.mktemp("workflow") / "finished")
    workflow.snakemake()
    return workflow


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished workflow, to be changed."""
    return finished.copy(tmp_path / "copied")
