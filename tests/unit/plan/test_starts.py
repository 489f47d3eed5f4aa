"""What jobs of a model without SFT are made from: the model's own path, in a whole plan."""

from types import SimpleNamespace

from pipeline.config.settings import Settings
from pipeline.plan.files import Plan
from pipeline.plan.specs import specs

CONFIG = {
    "tag": "t",
    "datasets": ["world"],
    "models": ["mine", "W1M"],
    "seeds": [1],
    "tasks": [{"method": "sft"}, {"method": "dpo"}],
    "definitions": {"models": {"mine": {"path": "models/mine", "sft": False}}},
}


def test_policies_without_sft_start_from_the_models_own_path():
    plan = Plan(Settings.from_config(CONFIG))
    start = SimpleNamespace(dataset="world", model="mine", run="start", seed=1)
    sft, dpo = (SimpleNamespace(**{**vars(start), "model": "W1M", "run": run}) for run in ("sft", "dpo"))
    assert plan.policy_path(start) == plan.start_path("world", "mine") == "models/mine"
    assert plan.policy_folder(start) is plan.start_folder("world", "mine") is None
    assert plan.policy_path(sft) == plan.start_path("world", "W1M") == "results/sft/world/W1M/model"
    assert plan.policy_path(dpo) == "results/policies/world/W1M/dpo/seed1/model"
    table = {(run["model"], run["run"]): run for run in plan.run_table("eval")["runs"]}
    assert set(table) == {("mine", "start"), ("mine", "dpo"), ("W1M", "sft"), ("W1M", "dpo")}
    assert "cost" not in table["mine", "start"]["seeds"][1] and "cost" in table["mine", "dpo"]["seeds"][1]
    assert "policy/world/mine/dpo" in specs(plan, {}) and "policy/world/mine/start" not in specs(plan, {})
