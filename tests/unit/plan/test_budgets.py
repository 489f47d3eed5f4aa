"""Which files a run's number of steps is in, and what each seed has of its own with seed_scope all."""

import re
from pathlib import Path
from types import SimpleNamespace

from pipeline.plan.budgets import budget_reward, budget_runs, other_steps_files, steps_files
from pipeline.plan.publications import publication_spec
from pipeline.plan.specs import specs
from pipeline.publishing.plan import repositories

DPO = {"method": "dpo", "beta": 0.1}
DPR = {"method": "dpr", "beta": 0.1, "g": 0.3, "gamma": 0.0}
OTHER = "dpr-beta0.1-g0.3-gamma0"
LIKE, SECONDS = "dpo-beta0.1-steps_like_dpr", "dpo-beta0.1-seconds_like_dpr"
TASKS = [
    *({"method": "sft"}, DPO, DPO | {"steps_like": "dpr", "control_of": "dpr"}),
    *(DPO | {"seconds_like": "dpr", "control_of": "dpr"}, DPR),
]
NAMES = {"dataset": "small", "model": "tiny", "seed": "2"}


def names(run):
    return SimpleNamespace(run=run, **NAMES)


def test_steps_that_a_spec_says_need_no_file(small):
    plan = small(tasks=TASKS, policy={"epochs": 2})
    assert [steps_files(plan, names(run)) for run in ("dpo-beta0.1", LIKE, OTHER)] == [{}, {}, {}]
    assert budget_runs(plan) == [SECONDS]
    assert steps_files(plan, names(SECONDS)) == {"budget": f"results/budgets/small/tiny/{SECONDS}.json"}
    assert other_steps_files(plan, names(SECONDS)) == {} and budget_reward(plan, names(SECONDS)) == "tiny"
    found = specs(plan, {})
    assert f"budget/small/tiny/{SECONDS}" in found and f"budget/small/tiny/{LIKE}" not in found


def test_steps_of_a_budget_or_of_a_record_are_in_its_file(small, monkeypatch):
    plan = small(tasks=[*TASKS[:4], DPR | {"budget": {"tokens": 9}}], baseline="dpo")
    file = {"budget": "results/budgets/small/tiny/dpr-beta0.1-budget_tokens9-g0.3-gamma0.json"}
    assert steps_files(plan, names(LIKE)) == other_steps_files(plan, names(SECONDS)) == file
    assert budget_reward(plan, names("dpo-beta0.1")) is None
    plan = small(tasks=TASKS, policy={"epochs": 2}, baseline="dpo")
    monkeypatch.delattr("pipeline.methods.dpr.description.BY_PAIRS")
    record = {"record": f"results/policies/small/tiny/{OTHER}/seed2/cost.json"}
    assert steps_files(plan, names(LIKE)) == other_steps_files(plan, names(SECONDS)) == record
    assert steps_files(plan, names(OTHER)) == {}  # its own record is not there before it


def test_kept_speeds_are_no_input_of_any_rule():
    """Other timings make nothing stale."""
    rules = Path(__file__).resolve().parents[3] / "rules"
    blocks = [block for path in rules.glob("*.smk") for block in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]]
    inputs = [re.split(r"^    (?:output|log|params):", block, flags=re.M)[0] for block in blocks]
    assert len(blocks) > 20 and not [part for part in inputs if "SPEEDS" in part or "results/speeds" in part]
    assert [block.split(":")[0] for block in blocks if "speeds=SPEEDS" in block] == ["count_steps"]


def test_a_run_is_judged_against_its_controls_and_its_row_names_them(small):
    plan = small(tasks=TASKS, baseline="dpo")
    rows = {row["run"]: row for row in plan.run_table("eval")["runs"]}
    assert rows[OTHER]["baselines"] == ["chosen", "dpo-beta0.1", LIKE, SECONDS]
    assert rows[OTHER]["controls"] == [LIKE, SECONDS] and "controls" not in rows["dpo-beta0.1"]
    assert rows[LIKE]["baselines"] == ["chosen", "dpo-beta0.1"]
    verdicts = rows[OTHER]["seeds"][1]["verdicts"]
    assert verdicts[LIKE] == f"results/verdicts/small/tiny/{OTHER}/seed1/eval-vs-{LIKE}.parquet"


def test_each_seed_has_its_own_start_reference_and_labels_with_seed_scope_all(small):
    plan = small(seeds=[1, 2], seed_scope="all")
    found = specs(plan, repositories(plan.settings))
    for seed in (1, 2):
        assert found[f"sft/small/tiny/seed{seed}"]()["sft"]["seed"] == seed
        assert found[f"reward/tiny/seed{seed}"]()["train"]["seed"] == seed
        assert found[f"reference/small/tiny/seed{seed}"]() == found["reference/small/tiny"]()
    assert plan.policy_folder(names("sft")) == "results/sft/small/tiny/seed2"
    assert plan.reference(names("sft"), "eval") == "results/reference/small/tiny/seed2/eval.parquet"
    assert plan.reward_model_path("small", "tiny", "2") == "results/reward_models/small/tiny/seed2/model"
    assert plan.reward_start("small", "tiny", "/seed2") == "results/sft/small/tiny/seed2"
    # what measures the runs is the same for all of them
    assert plan.reward_model_path("small", "tiny") == "results/reward_models/small/tiny/seed1/model"
    assert plan.bt_split("small", "eval") == "results/bt/small/tiny/eval.parquet"
    # what is loaded is no seed's own
    assert small(seed_scope="all", reward_model="eurus").reward_chain("eurus", 2) == ""
    for repository in repositories(plan.settings).values():
        spec = publication_spec(plan, repository)
        if repository["kind"] in ("sft", "reward_model"):
            assert "/seed1/" in spec["folder"] and spec["records"]["spec"].endswith("/seed1.yaml")


def test_with_seed_scope_policy_all_is_where_it_was(small):
    plan = small(seeds=[1, 2])
    assert plan.start_chain("tiny", 2) == plan.reward_chain("tiny", 2) == ""
    assert not [name for name in specs(plan, {}) if "/seed" in name]
