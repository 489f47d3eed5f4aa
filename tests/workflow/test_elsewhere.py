"""Responses that come from elsewhere and go there: read, stale by the content of their file, exported, judged."""

import json
import os

import pandas as pd
import pytest

from pipeline.jobs.io import read_parquet
from workflow.conftest import LIBRARIES
from workflow.forks import Forks
from workflow.snakemake_copy import Job, variables

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


@pytest.mark.slow
def test_responses_from_elsewhere_come_to_the_table_and_the_report(copied):
    results = copied.folder / "results"
    before = pd.read_csv(results / "winrate.csv").set_index(["run", "baseline"])
    pairs = read_parquet(results / "data/small/eval.parquet")
    rows = [{"prompt_id": row.prompt_id, "response": row.chosen} for row in pairs.itertuples()]
    (copied.folder / "gpt.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    copied.configure(lambda config: config.update(runs=[{"name": "gpt-4o", "responses": "gpt.jsonl"}]))
    targets = ("results/winrate.csv", "results/report.html")
    with Forks(LIBRARIES, variables() | {"OMP_WAIT_POLICY": "passive"}) as forks:
        copied.snakemake(*targets, python=forks.as_python())
    assert copied.plan(*targets) == set()
    table = pd.read_csv(results / "winrate.csv").set_index(["run", "baseline"])
    own = table.loc["gpt-4o"]
    assert list(own.index) == ["chosen", "dpo-beta0.1"] and (own["n"] == 32).all()
    assert own.loc["chosen", "win_rate"] == 50 and own.loc["chosen", "ties"] == 32  # they are the chosen responses
    assert own.loc["dpo-beta0.1", "win_rate"] == 100 - before.loc[("dpo-beta0.1", "chosen"), "win_rate"]
    assert own["caveats"].str.contains("made-elsewhere").all() and own["kl"].isna().all()
    others = table.drop("gpt-4o")
    assert others.index.equals(before.index) and others["win_rate"].equals(before["win_rate"])
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "gpt-4o" in page and "its responses were made elsewhere" in page
