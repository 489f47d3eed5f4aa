"""The workflow on a small config: before its first run, run to the report, and copies of that to change."""

import os

import pytest
from filelock import FileLock

from workflow.forks import Forks
from workflow.snakemake_copy import Workflow, variables

# What the scripts import, which takes most of a small job's time.
LIBRARIES = [
    *("trl.trainer.dpo_trainer", "trl.trainer.sft_trainer", "trl.trainer.reward_trainer", "peft", "datasets"),
    *("transformers.models.qwen2.modeling_qwen2", "transformers.models.llama.modeling_llama"),
    *("transformers.integrations.integration_utils", "sklearn.linear_model", "scipy.stats", "altair", "vl_convert"),
]


@pytest.fixture
def fresh(tmp_path):
    """The workflow before its first run."""
    return Workflow.new(tmp_path / "fresh")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The workflow after the small config ran to the report; not to be changed.

    Its jobs are forks of a process that has imported their libraries. Tests that are marked slow run them as forks of
    the run's own worker, and as processes of their own (PIPELINE_WARM=0), and compare the bytes.
    """
    base = tmp_path_factory.getbasetemp()
    # the test processes of one session have it together
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(place / "finished.lock"):
        if not (place / "finished.done").exists():
            # torch reads how its threads wait when it is imported, which is before a job can say it
            with Forks(LIBRARIES, variables() | {"OMP_WAIT_POLICY": "passive"}) as forks:
                Workflow.new(place / "finished").snakemake(python=forks.as_python())
            (place / "finished.done").touch()
    return Workflow(place / "finished")


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished workflow, to be changed."""
    return finished.copy(tmp_path / "copied")
