"""The Snakefile under the name that the workflow catalog wants."""

import shutil

from workflow.snakemake_copy import REPOSITORY


def test_it_is_the_same_workflow(fresh):
    plan = fresh.plan()
    shutil.copytree(REPOSITORY / "workflow", fresh.folder / "workflow")
    assert fresh.plan("--snakefile", "workflow/Snakefile") == plan and plan
