"""Entries and runs that do not fit together: names that there are not, datasets, splits, lengths."""

import pytest
from fixtures_config import MINIMAL, PLAIN, edit, refusal, settings, shown

from pipeline.config.settings import ConfigError, Settings


@pytest.mark.parametrize(
    ("changes", "message", "known"),
    [
        ({"datasets": ["world", "U11"]}, "datasets[1]: there is no dataset 'U11' (did you mean 'U10'?)", "PP10, PP30"),
        ({"models": ["Q0.6B"]}, "models[0]: there is no model 'Q0.6B' (did you mean 'Q0.5B'?)", "Pm3B"),
        (
            {"judge": "gould"},
            "judge: there is no judge 'gould' (did you mean 'gold'?)",
            "reward, fair-gold, gold, independent, PM, PP, U",
        ),
        ({"reward_model": "beaver"}, "reward_model: there is no reward model 'beaver'", "beaver-reward, beaver-cost"),
        ({"device": "h100"}, "device: there is no device 'h100'", "auto, cpu, t4"),
        ({"decoding": "beam"}, "decoding: there is no decoding 'beam'", "greedy, sample"),
        ({"baseline": "ddp"}, "baseline: there is no run or method with a run 'ddp'", "sft, dpo, dpr-g0.3-gamma0.3"),
    ],
)
def test_unknown_names_are_refused_with_what_there_is(changes, message, known):
    text = refusal(**changes)
    assert text.startswith(f"config: {message}")
    assert known in text
    assert shown(text)


def test_names_in_entries_must_exist_too(root):
    edit(root, "datasets.yaml", lambda c: c["world"].update(reward_model="wrld"))
    with pytest.raises(ConfigError, match=r"config/datasets.yaml: world.reward_model: there is no reward model 'wrld'"):
        Settings.from_config(MINIMAL, root)
    mine = {**PLAIN, "judge": "nobody"}
    text = refusal(datasets=["mine"], definitions={"datasets": {"mine": mine}})
    assert text.startswith("config: definitions.datasets.mine.judge: there is no judge 'nobody'")
    right = {"definitions": {"datasets": {"mine": {"source": "plain", "judge": "reward"}}}}
    assert shown(text) == right
    settings(datasets=["mine"], definitions={"datasets": {"mine": mine | right["definitions"]["datasets"]["mine"]}})


def test_a_trained_reward_model_starts_from_a_model_that_there_is(root):
    edit(root, "reward_models.yaml", lambda c: c["world"]["train"].update(model="W2M"))
    with pytest.raises(ConfigError) as caught:
        Settings.from_config(MINIMAL, root)
    where = "config/reward_models.yaml: world.train.model: there is no model 'W2M' (did you mean 'W1M'?)"
    assert str(caught.value).startswith(where)
    assert shown(str(caught.value)) == {"world": {"train": {"model": "W1M"}}}

    trained = {"reward_models": {"mine": {"train": {"model": "tiny"}}}}
    text = refusal(reward_model="mine", definitions=trained)
    assert text.startswith("config: definitions.reward_models.mine.train.model: there is no model 'tiny'")
    assert set(shown(text)["definitions"]["reward_models"]["mine"]["train"]) == {"model"}
    made = settings(reward_model="mine", definitions={**trained, "models": {"tiny": {"path": "models/tiny"}}})
    assert made.reward_spec("world", "mine")["train"]["model"] == "tiny"


def test_a_dataset_without_reward_model_needs_the_configs(root):
    mine = {key: value for key, value in PLAIN.items() if key != "reward_model"}
    definitions = {"datasets": {"mine": mine}}
    assert refusal(datasets=["mine"], definitions=definitions).startswith("config: reward_model: missing; the dataset")
    assert (
        settings(datasets=["mine"], definitions=definitions, reward_model="eurus").reward_model_name("mine") == "eurus"
    )


@pytest.mark.parametrize(
    ("tasks", "policy", "problem", "right"),
    [
        (
            [{"method": "dpo"}, {"method": "dpr", "max_length": 512}],
            {},
            "tasks[1].max_length: 512 in run dpr-max_length512, but 1024 in run dpo",
            {"method": "dpr", "max_length": 1024},
        ),
        (  # the task that sets it is named, not the one that has the default
            [{"method": "sft"}, {"method": "dpo", "max_length": 512}, {"method": "dpr"}],
            {},
            "tasks[1].max_length: 512 in run dpo-max_length512, but 1024 in run dpr",
            {"method": "dpo", "max_length": 1024},
        ),
        (
            [{"method": "dpo"}, {"method": "dpp", "max_length": [256, 128]}],
            {"max_length": 256},
            "tasks[1].max_length: 128 in run dpp-max_length128, but 256 in run dpo",
            {"method": "dpp", "max_length": 256},
        ),
    ],
)
def test_all_runs_share_one_max_length(tasks, policy, problem, right):
    text = refusal(tasks=tasks, policy=policy)
    assert text.startswith(f"config: {problem}; the runs share their reference log-probabilities")
    assert "set it once, in policy" in text
    assert shown(text) == {"tasks": [right]}
    repaired = [right if task["method"] == right["method"] else task for task in tasks]
    assert settings(tasks=repaired, policy=policy).max_length == right["max_length"]


def test_the_max_length_is_that_of_the_runs_and_without_any_that_of_sft():
    assert settings().max_length == 1024
    assert settings(policy={"max_length": 256}).max_length == 256
    tasks = [{"method": "dpo", "max_length": 128}, {"method": "dpr", "max_length": [128]}]
    assert settings(tasks=tasks, policy={"max_length": 256}, baseline="dpo").max_length == 128
    assert settings(tasks=[{"method": "sft"}], baseline="sft", sft={"max_length": 64}).max_length == 64


def test_the_selection_split_must_have_prompts():
    world = {"source": "world", "size": 100, "eval_size": 20, "selection_size": 0, "reward_model": "world"}
    definitions = {"datasets": {"world": {**world, "judge": "gold"}}}
    assert settings(definitions=definitions).split == "eval"
    text = refusal(definitions=definitions, split="selection")
    assert text.startswith("config: split: selection, but the dataset world has selection_size 0")
    assert settings(split="selection").split == "selection"
    text = refusal(definitions=definitions, best_of_sweep=True)
    assert text.startswith("config: best_of_sweep: True, but the dataset world has selection_size 0")
    assert settings(best_of_sweep=True).config["best_of_sweep"] and not settings().config["best_of_sweep"]
