"""The workflow with benchmarks of lm-eval: what is planned, and a run of local tasks to the table."""

import pandas as pd
import pytest
import yaml
from fixtures_lm_eval import lm_eval_path, local_tasks  # noqa: F401

from workflow.snakemake_copy import Job

TABLE = "results/alignment_tax.csv"


def with_tasks(workflow, tasks, **changes) -> None:
    """The small config with SFT and DPO alone, and benchmarks."""
    config = yaml.safe_load((workflow.folder / "small.yaml").read_text())
    config |= {"tasks": config["tasks"][:2], "lm_eval": tasks, **changes}
    (workflow.folder / "small.yaml").write_text(yaml.safe_dump(config))


def test_policies_and_their_start_are_measured_for_the_table_and_the_report(fresh):
    with_tasks(fresh, ["gsm8k"], seeds=[1, 2])
    planned = fresh.plan()
    runs = {job for job in planned if "lm_eval" in job.rule or "tax" in job.rule}
    assert runs == {
        Job("run_lm_eval_start", ("small", "tiny")),
        *(Job("run_lm_eval", ("small", "tiny", "dpo-beta0.1", seed)) for seed in "12"),
        Job("compute_alignment_tax", ()),
    }


@pytest.mark.slow
def test_local_tasks_are_run_offline_and_their_questions_count(copied, lm_eval_path):  # noqa: F811
    tasks = local_tasks(copied.folder / "tasks")
    with_tasks(copied, [{"task": "colours", "include_path": "tasks"}])
    there = {"PYTHONPATH": str(lm_eval_path)}
    copied.snakemake("--cores", "2", TABLE, environment=there)
    table = pd.read_csv(copied.folder / TABLE)
    assert table[["run", "task", "metric"]].to_numpy().tolist() == [
        *(["sft", "colours", "acc,none"], ["sft", "colours", "brier_score,none"]),
        *(["dpo-beta0.1", "colours", "acc,none"], ["dpo-beta0.1", "colours", "brier_score,none"]),
    ]
    assert not copied.plan(TABLE)
    data = tasks / "questions.jsonl"
    data.write_text(data.read_text().replace("What is red?", "What is blue?"))
    assert {job.rule for job in copied.plan(TABLE)} == {"run_lm_eval", "run_lm_eval_start", "compute_alignment_tax"}
    told = copied.snakemake("--cores", "1", TABLE, code=1)
    assert "pip install --no-deps -r envs/requirements-lm-eval.txt" in told
