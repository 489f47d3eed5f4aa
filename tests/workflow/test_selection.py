"""A sweep whose best run is chosen on the selection split, decoded in two ways on the other."""

import pandas as pd
import pytest
import yaml
from pages import embedded

from workflow.conftest import LIBRARIES
from workflow.forks import Forks
from workflow.snakemake_copy import SMALL, Workflow, variables

DDP = ["ddp-beta0.1-r0.4-rho0.2", "ddp-beta0.5-r0.4-rho0.2"]


def sweep(folder):
    """The small config with two runs of one method, to be chosen from."""
    config = yaml.safe_load(SMALL.read_text(encoding="utf-8")) | {"best_of_sweep": True}
    config["decoding"] = ["short", "greedy"]
    config["tasks"] = [
        {"method": "sft"},
        {"method": "dpo", "beta": [0.1]},
        {"method": "ddp", "beta": [0.1, 0.5], "r": [0.4], "rho": [0.2]},
    ]
    (folder / "sweep.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return "sweep.yaml"


def test_every_run_is_judged_on_the_selection_split_too(tmp_path):
    workflow = Workflow.new(tmp_path / "fresh")
    plan = workflow.plan(config=sweep(workflow.folder))
    for rule in ("generate_responses", "judge_responses", "score_responses"):
        jobs = [job.wildcards for job in plan if job.rule == rule and "/greedy" not in job.wildcards]
        of_split = {split: sum(split in job for job in jobs) for split in ("eval", "selection")}
        assert of_split["eval"] == of_split["selection"] > 0, rule
    for rule in ("decode_responses", "judge_responses", "score_responses"):
        greedy = "greedy" if rule == "decode_responses" else "/greedy"
        jobs = [job.wildcards for job in plan if job.rule == rule and greedy in job.wildcards]
        assert jobs and not [job for job in jobs if "selection" in job], rule
    assert "compute_selection" in {job.rule for job in plan}
    assert "compute_selection" not in {job.rule for job in workflow.plan()}


@pytest.mark.slow
def test_the_report_chooses_the_best_of_the_sweep_there(copied):
    results = copied.folder / "results"
    before = {path: path.stat().st_mtime_ns for path in results.glob("responses/**/eval.parquet")}
    with Forks(LIBRARIES, variables() | {"OMP_WAIT_POLICY": "passive"}) as forks:
        copied.snakemake(config=sweep(copied.folder), python=forks.as_python())
    assert before and all(path.stat().st_mtime_ns == made for path, made in before.items())
    selection, reported = (pd.read_csv(results / f"{name}.csv") for name in ("selection", "winrate"))
    assert list(selection.columns) == list(reported.columns) and set(selection["decoding"]) == {"short"}
    assert list(reported["run"]) == 2 * list(selection["run"])
    assert list(reported["decoding"]) == ["short"] * len(selection) + ["greedy"] * len(selection)
    assert (selection["n"] == 16).all() and (reported["n"] == 32).all()
    assert reported["caveats"].str.startswith("one-seed;few-prompts").all() and reported["p_value"].isna().all()
    greedy = reported[reported["decoding"] == "greedy"]
    responses = pd.read_parquet(results / f"responses/small/tiny/{DDP[0]}/seed1/greedy/eval.parquet")
    mean = greedy.loc[greedy["run"] == DDP[0], "mean_response_length"]
    assert mean.tolist() == pytest.approx([responses["response"].str.len().mean()] * 2, rel=1e-5)
    first = reported[reported["decoding"] == "short"]
    assert greedy["kl"].tolist() == first["kl"].tolist()  # the policy's own
    against = selection[(selection["baseline"] == "chosen") & selection["run"].isin(DDP)].set_index("run")["win_rate"]
    page = (results / "report.html").read_text(encoding="utf-8")
    rows = embedded(page, "results-table")["rows"]
    assert {row["run"] for row in rows if row["best"] and row["method"] == "ddp"} == {against.idxmax()}
    assert "highest win rate against chosen on the selection split" in page
    assert {row["decoding"] for row in rows} == {"short", "greedy"} and "decodings short, greedy" in page
