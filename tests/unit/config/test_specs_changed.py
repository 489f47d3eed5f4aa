"""What a changed config, entry or prompt changes: the specs that depend on it, no other."""

import json
import shutil

import pytest
import yaml
from fixtures_config import MINIMAL, edit

from pipeline.config.settings import Settings

BASE = {**MINIMAL, "datasets": ["world", "U10"], "models": ["W1M", "Q0.5B"]}
REFERENCES = {("reference", d, m) for d in BASE["datasets"] for m in BASE["models"]}
POLICIES = {
    ("policy", d, m, r) for d in BASE["datasets"] for m in BASE["models"] for r in ("sft", "dpo", "dpr-g0.3-gamma0.3")
}


@pytest.fixture
def base_root(root):
    """config/ with judges that can be run for all datasets of BASE, and one more of them."""
    edit(root, "datasets.yaml", lambda c: c["U10"].update(judge="reward"))
    shutil.copytree(root / "config/judges/reward", root / "config/judges/other")
    return root


def specs(made):
    """Every spec of every stage, as the text that a file would hold."""
    stages = {("generation", model): made.generation_spec(model) for model in made.models}
    for dataset in made.datasets:
        reward_model = made.reward_model_name(dataset)
        stages["data", dataset] = made.data_spec(dataset)
        stages["reward", dataset, reward_model] = made.reward_spec(dataset, reward_model)
        stages["judge", dataset] = made.judge_spec(made.judge_name(dataset))
        for model in made.models:
            stages["sft", dataset, model] = made.sft_spec(dataset, model)
            stages["reference", dataset, model] = made.reference_spec(dataset, model)
    for run in made.runs:
        stages["policy", run.dataset, run.model, run.name] = made.policy_spec(run.dataset, run.model, run.name)
    return {key: yaml.safe_dump(spec, sort_keys=False) for key, spec in stages.items()}


def changed(before, after):
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tag": "other", "seeds": [1, 2, 3], "device": "cpu", "split": "selection", "baseline": "dpr"}, set()),
        ({"decodings": {"mine": {"top_p": 0.5}}}, set()),
        ({"decodings": {"sample": {"top_p": 0.5}}}, {("generation", m) for m in BASE["models"]}),
        ({"sft": {"epochs": 1}}, {("sft", d, m) for d in BASE["datasets"] for m in BASE["models"]}),
        ({"policy": {"rollout_prompts": 8}}, {key for key in POLICIES if key[3].startswith("dpr")}),
        (
            {"policy": {"revkl": 0.1}},  # the objective is in a run's name
            {
                ("policy", d, m, f"dpr{revkl}-g0.3-gamma0.3")
                for d in BASE["datasets"]
                for m in BASE["models"]
                for revkl in ("", "-revkl0.1")
            },
        ),
        ({"policy": {"epochs": 8}}, {key for key in POLICIES if key[3] != "sft"}),
        (
            {"policy": {"max_length": 256}},  # the data too: Q0.5B's tokenizer decides what is too long
            {key for key in POLICIES if key[3] != "sft"}
            | REFERENCES
            | {("data", d) for d in BASE["datasets"]}
            | {("generation", m) for m in BASE["models"]},
        ),
        (
            {"tasks": [*MINIMAL["tasks"], {"method": "dpp"}]},
            {("policy", d, m, "dpp") for d in BASE["datasets"] for m in BASE["models"]},
        ),
        (
            {"tasks": [{"method": "sft"}, {"method": "dpo", "beta": 0.2}, MINIMAL["tasks"][2]]},
            {("policy", d, m, run) for d in BASE["datasets"] for m in BASE["models"] for run in ("dpo", "dpo-beta0.2")},
        ),
    ],
)
def test_a_change_of_the_config_changes_only_the_specs_that_depend_on_it(base_root, change, expected):
    before, after = (specs(Settings.from_config(config, base_root)) for config in (BASE, {**BASE, **change}))
    assert changed(before, after) == expected


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        ("datasets.yaml", lambda c: c["PP10"].update(limit=5), set()),
        ("datasets.yaml", lambda c: c["U10"].update(limit=5), {("data", "U10")}),
        ("datasets.yaml", lambda c: c["U10"].update(judge="other"), {("judge", "U10")}),
        ("models.yaml", lambda c: c.pop("L8B"), set()),
        (
            "models.yaml",
            lambda c: c["Q0.5B"].update(lora={"r": 8}),
            {("sft", d, "Q0.5B") for d in BASE["datasets"]}
            | {key for key in POLICIES | REFERENCES if key[2] == "Q0.5B"}
            | {("generation", "Q0.5B")},
        ),
        (
            "models.yaml",
            lambda c: c["Q0.5B"].update(revision="v1"),
            {("sft", d, "Q0.5B") for d in BASE["datasets"]}
            | {key for key in POLICIES | REFERENCES if key[2] == "Q0.5B"}
            | {("generation", "Q0.5B")}
            | {("data", d) for d in BASE["datasets"]},
        ),
        ("reward_models.yaml", lambda c: c["world"]["train"].update(epochs=1), {("reward", "world", "world")}),
        ("devices.yaml", lambda c: c["auto"].update(precision="fp32"), set()),
        ("judges/gold/judge.yaml", lambda c: c.update(kind="reward"), {("judge", "world")}),
        ("judges/reward/judge.yaml", lambda c: c.update(reward_model="deberta"), {("judge", "U10")}),
    ],
)
def test_a_changed_entry_changes_only_the_specs_that_depend_on_it(base_root, file, change, expected):
    before = specs(Settings.from_config(BASE, base_root))
    edit(base_root, file, change)
    assert changed(before, specs(Settings.from_config(BASE, base_root))) == expected


def test_a_judges_prompt_is_part_of_its_spec_alone(base_root):
    def everything():
        made = Settings.from_config(BASE, base_root)
        return {**specs(made), **{("judge", name): json.dumps(made.judge_spec(name)) for name in ("U", "PP", "PM")}}

    before = everything()
    path = base_root / "config/judges/U/prompt.txt"
    path.write_text(path.read_text() + "\n")
    assert changed(before, everything()) == {("judge", "U")}
