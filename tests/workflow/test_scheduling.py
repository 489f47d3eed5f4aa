"""How Snakemake is made to choose the next job: without the limit that it sets itself, with one that was asked for."""

from workflow.snakemake_copy import Workflow

SAY = """

onsuccess:
    limiter = workflow.scheduler.job_rate_limiter
    print("limit:", limiter and f"{limiter.max_jobs} jobs in {limiter.timespan} s")
"""


def test_submissions_have_no_limit_but_one_that_was_asked_for(tmp_path):
    workflow = Workflow.new(tmp_path / "workflow")
    with (workflow.folder / "Snakefile").open("a", encoding="utf-8") as file:
        file.write(SAY)
    target = "results/specs/config.yaml"
    assert "limit: None" in workflow.snakemake(target)
    asked = workflow.snakemake(target, "--forcerun", "write_spec", "--max-jobs-per-timespan", "50/2s")
    assert "limit: 50 jobs in 2" in asked
