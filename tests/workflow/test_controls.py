"""Controls and budgets, and seeds that reach the SFT and reward models."""

from collections import Counter

import pandas as pd
import pytest
import yaml

from workflow.snakemake_copy import SMALL, Job

DPO, DPR = {"method": "dpo", "beta": [0.1]}, {"method": "dpr", "beta": [0.1], "g": [0.3], "gamma": [0.3]}
RUN = "dpr-beta0.1-g0.3-gamma0.3"
STEPS, SECONDS = "dpo-beta0.1-steps_like_dpr", "dpo-beta0.1-seconds_like_dpr"
START = "dpr-beta0.1-rollout_policy_start-g0.3-gamma0.3"
TASKS = [
    *({"method": "sft"}, DPO, DPR, DPO | {"steps_like": "dpr", "control_of": "dpr"}),
    *(DPO | {"seconds_like": "dpr", "control_of": "dpr"}, DPR | {"rollout_policy": "start", "control_of": "dpr"}),
]


def controlled(folder, **changes):
    """The small config with controls of DPR."""
    config = yaml.safe_load(SMALL.read_text(encoding="utf-8")) | {"tasks": TASKS} | changes
    (folder / "controls.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return "controls.yaml"


def test_each_seed_has_its_own_models_and_one_measures_them_all(fresh):
    plan = fresh.plan(config=controlled(fresh.folder, seeds=[1, 2], seed_scope="all"))
    counted = Counter(job.rule for job in plan)
    assert counted["train_sft"] == counted["train_reward"] == 2
    assert counted["compute_reference"] == 4 and counted["score_bt"] == 2
    assert counted["count_steps"] == 1 and counted["train_policy"] == 2 * 5
    assert counted["score_responses"] == 6 and counted["generate_responses"] == 2 * 6
    # each run against the chosen responses and the baseline, the controlled one against its three controls too
    assert counted["judge_responses"] == 2 * (6 + 5 + 3)
    assert {job.wildcards for job in plan if job.rule == "train_sft"} == {
        ("small", "tiny", "/seed1"),
        ("small", "tiny", "/seed2"),
    }


@pytest.mark.slow
def test_controls_go_through_to_the_report_and_new_timings_make_nothing_stale(copied):
    config = controlled(copied.folder)
    copied.snakemake(config=config)
    results = copied.folder / "results"
    cost = pd.read_csv(results / "cost.csv").set_index("run")
    assert cost.loc[STEPS, "steps"] == cost.loc[START, "steps"] == cost.loc[RUN, "steps"] == 10
    assert cost.loc[SECONDS, "steps"] >= 1
    table = pd.read_csv(results / "winrate.csv")
    assert set(table.loc[table["run"] == RUN, "baseline"]) == {"chosen", "dpo-beta0.1", STEPS, SECONDS, START}
    page = (results / "report.html").read_text(encoding="utf-8")
    section = page.split('id="controls"')[1].split("</section>")[0]
    assert all(run in section for run in (RUN, STEPS, SECONDS, START))
    # A kept speed counts once: another one makes nothing stale, and what is made again by the old one is the same.
    weights = results / f"policies/small/tiny/{SECONDS}/seed1/model/model.safetensors"
    before = weights.read_bytes()
    for path in (results / "budgets/small/tiny").iterdir():
        path.unlink()
    copied.snakemake(config=config)
    assert weights.read_bytes() == before
    for path in (results / "speeds").rglob("*.json"):
        path.write_text(path.read_text(encoding="utf-8").replace('"seconds_per_step": 0', '"seconds_per_step": 9'))
    assert copied.plan(config=config) == set[Job]()
