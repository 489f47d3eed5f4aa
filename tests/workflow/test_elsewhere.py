"""Responses that come from elsewhere and go there, by Snakemake: read, stale by the file's content, exported."""

import json
import os

from pipeline.jobs.io import read_parquet
from workflow.snakemake_copy import Job

PLACE = ("small", "tiny", "gpt-4o")
RESPONSES = "results/responses/small/tiny/gpt-4o/seed1/eval.parquet"
EXPORT = "results/exports/small/gpt-4o/model_outputs.json"
READ = {Job("read_responses", (*PLACE, "1", "eval"))}


def test_responses_from_elsewhere_are_read_again_where_the_file_holds_others(fresh):
    fresh.snakemake("results/data/small/eval.parquet")
    prompts = read_parquet(fresh.folder / "results/data/small/eval.parquet")["prompt"]
    file = fresh.folder / "gpt.jsonl"

    def write(answer):
        file.write_text("".join(json.dumps({"prompt": prompt, "response": answer}) + "\n" for prompt in prompts))

    write("yes")
    fresh.configure(lambda config: config.update(runs=[{"name": "gpt-4o", "responses": "gpt.jsonl"}]))
    fresh.snakemake(EXPORT, RESPONSES)
    exported = json.loads((fresh.folder / EXPORT).read_text())
    assert [row["instruction"] for row in exported] == prompts.tolist()
    assert {(row["output"], row["generator"], row["dataset"]) for row in exported} == {("yes", "gpt-4o", "small")}
    os.utime(file, None)
    assert fresh.plan(EXPORT, RESPONSES) == set()
    write("no")
    assert fresh.plan(EXPORT, RESPONSES) == READ | {Job("export_alpaca_eval", ("small", "gpt-4o"))}
    jobs = fresh.plan()
    assert jobs > READ and Job("score_responses", (*PLACE, "eval")) in jobs
    assert {job.wildcards[-1] for job in jobs if job.rule == "judge_responses" and "gpt-4o" in job.wildcards} == {
        "chosen",
        "dpo-beta0.1",
    }
    assert not any("gpt-4o" in job.wildcards for job in jobs if job.rule in ("generate_responses", "train_policy"))
