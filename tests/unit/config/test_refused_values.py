"""Unknown keys and values that cannot be: the path, what is wrong, the YAML that would be right."""

import copy

import pytest
from fixtures_config import MINIMAL, PLAIN, edit, refusal, settings, shown, with_task

from pipeline.config.settings import ConfigError, Settings

MISSPELT = {
    "top level": ({"judg": "gold"}, "judg: unknown key (did you mean 'judge'?)"),
    "sft": ({"sft": {"epoch": 2}}, "sft.epoch: unknown key (did you mean 'epochs'?)"),
    "policy": ({"policy": {"warmup": 2}}, "policy.warmup: unknown key (did you mean 'warmup_steps'?)"),
    "weights in policy": ({"policy": {"gamma": 0.2}}, "policy.gamma: unknown key"),
    "decodings": ({"decodings": {"mine": {"topp": 0.9}}}, "decodings.mine.topp: unknown key (did you mean 'top_p'?)"),
    "task": ({"tasks": [{"method": "dpo", "betta": 0.1}]}, "tasks[0].betta: unknown key (did you mean 'beta'?)"),
    "definitions": ({"definitions": {"dataset": {}}}, "definitions.dataset: unknown key (did you mean 'datasets'?)"),
    "dataset": (
        {"definitions": {"datasets": {"mine": {**PLAIN, "limits": 10}}}},
        "definitions.datasets.mine.limits: unknown key (did you mean 'limit'?)",
    ),
    "splits": (
        {"definitions": {"datasets": {"mine": {**PLAIN, "splits": {"test": "x"}}}}},
        "definitions.datasets.mine.splits.test: unknown key",
    ),
    "key of another source": (
        {"definitions": {"datasets": {"mine": {**PLAIN, "noise": 1}}}},
        "definitions.datasets.mine.noise: unknown key; with source plain the keys are: source, path",
    ),
    "model": (
        {"definitions": {"models": {"mine": {"path": "x", "adaptor": "lora"}}}},
        "definitions.models.mine.adaptor: unknown key (did you mean 'adapter'?)",
    ),
    "lora": (
        {"definitions": {"models": {"mine": {"path": "x", "lora": {"rank": 8}}}}},
        "definitions.models.mine.lora.rank: unknown key",
    ),
    "reward model": (
        {"definitions": {"reward_models": {"mine": {"path": "x", "reversed": True}}}},
        "definitions.reward_models.mine.reversed: unknown key (did you mean 'reverse'?)",
    ),
    "trained reward model": (
        {"definitions": {"reward_models": {"mine": {"train": {"model": "W1M", "batch_size": 8}}}}},
        "definitions.reward_models.mine.train.batch_size: unknown key (did you mean 'global_batch_size'?)",
    ),
    "devices in definitions": (
        {"definitions": {"devices": {"mine": {"accelerator": "cpu"}}}},
        "definitions.devices: unknown key; keys are: datasets, models, reward_models",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISSPELT.values(), ids=MISSPELT.keys())
def test_unknown_keys_are_refused_at_every_level(changes, message):
    text = refusal(**changes)
    assert text.startswith(f"config: {message}")
    assert shown(text)


def test_a_misspelt_key_that_is_needed_is_one_problem_and_keeps_its_value():
    config = copy.deepcopy(MINIMAL)
    config["sedes"] = config.pop("seeds")
    with pytest.raises(ConfigError) as caught:
        Settings.from_config(config, source="my.yaml")
    assert str(caught.value).startswith("my.yaml: sedes: unknown key (did you mean 'seeds'?)")
    assert "more problem" not in str(caught.value)
    assert shown(str(caught.value)) == {"seeds": [1]}


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("datasets.yaml", lambda c: c["U0"].update(limitt=3), "U0.limitt: unknown key (did you mean 'limit'?)"),
        ("datasets.yaml", lambda c: c["PP0"].pop("preference"), "PP0.preference: missing"),
        ("datasets.yaml", lambda c: c["U10"].pop("eval_share"), "U10.eval_share: missing"),
        ("datasets.yaml", lambda c: c["PP0"].update(eval_share=0.1), "PP0.eval_share: unused"),
        ("datasets.yaml", lambda c: c["world"].update(size=900, eval_size=900), "world.size: 900, but eval_size 900"),
        ("datasets.yaml", lambda c: c["AH0"].update(source="hh"), "AH0.source: it must be one of pku,"),
        ("models.yaml", lambda c: c["W1M"]["architecture"].update(layers=3), "W1M.architecture.layers: unknown key"),
        ("models.yaml", lambda c: c["W1M"].pop("architecture"), "W1M: it must have exactly one of path, architecture"),
        ("models.yaml", lambda c: c["W1M"].update(path="x"), "W1M: it must have exactly one of path, architecture"),
        ("models.yaml", lambda c: c["W1M"].update(adapter="lora"), "W1M.adapter: it must be one of none, not 'lora'"),
        ("models.yaml", lambda c: c["Q7B"].update(plain_template="Q: "), "Q7B.plain_template: it must be a text"),
        (
            "models.yaml",
            lambda c: c["W1M"]["architecture"].update(num_attention_heads=5),
            "W1M.architecture.num_attention_heads: 5 does not divide hidden_size 128",
        ),
        (
            "reward_models.yaml",
            lambda c: c["world"]["train"].update(epochs=0),
            "world.train.epochs: it must be a number",
        ),
        (
            "reward_models.yaml",
            lambda c: c["world"]["train"].update(architecture={"hidden_size": 64}),
            "world.train.architecture: unknown key; keys are: model, sft, adapter",
        ),
        ("reward_models.yaml", lambda c: c["world"]["train"].pop("model"), "world.train.model: missing; model entry"),
        (
            "reward_models.yaml",
            lambda c: c["world"].update(text_format="text_pair"),
            "world.text_format: it must be one of chat_template, beaver, eurus, ultrarm, plain, not 'text_pair'",
        ),
        (
            "reward_models.yaml",
            lambda c: c["world"].update(path="x"),
            "world: it must have exactly one of path, train; it has path, train",
        ),
        (
            "reward_models.yaml",
            lambda c: c["eurus"].update(text_format="pair"),
            "eurus.text_format: it must be one of beaver, eurus, ultrarm, chat_template, text_pair, plain, not 'pair'",
        ),
        (
            "devices.yaml",
            lambda c: c["t4"]["per_device_batch_size"].update(train=1),
            "t4.per_device_batch_size.train: unknown key",
        ),
        ("devices.yaml", lambda c: c["t4"].update(precision="fp8"), "t4.precision: it must be one of auto, fp32,"),
        ("judges/gold/judge.yaml", lambda c: c.update(model="x"), "model: unknown key; with kind gold"),
    ],
)
def test_entries_files_are_validated_and_named_used_or_not(root, file, change, message):
    edit(root, file, change)
    with pytest.raises(ConfigError) as caught:
        Settings.from_config(MINIMAL, root)
    assert str(caught.value).startswith(f"config/{file}: {message}")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"method": "dpo", "beta": 0}, "tasks[2].beta: it must be a number greater than 0, not 0.0"),
        ({"method": "dpo", "beta": -0.1}, "tasks[2].beta: it must be a number greater than 0, not -0.1"),
        ({"method": "dpo", "beta": float("nan")}, "tasks[2].beta: it must be a number greater than 0, not nan"),
        ({"method": "dpo", "beta": float("inf")}, "tasks[2].beta: it must be a number greater than 0, not inf"),
        ({"method": "dpo", "beta": True}, "tasks[2].beta: it must be a number greater than 0, not True"),
        ({"method": "dpo", "beta": "small"}, "tasks[2].beta: it must be a number greater than 0, not 'small'"),
        ({"method": "dpo", "beta": []}, "tasks[2].beta: it must be a list of at least 1 items"),
        ({"method": "dpp", "p": [0.3, 1.2]}, "tasks[2].p[1]: it must be a number at least 0 and at most 1, not 1.2"),
        ({"method": "dpp", "max_steps": 1.5}, "tasks[2].max_steps: it must be a whole number or null at least 1"),
        ({"method": "dpo", "loss_type": "sigmiod"}, "tasks[2].loss_type: it must be one of sigmoid, hinge"),
        ({"method": "dpq"}, "tasks[2].method: it must be one of sft, dpo, ddp, dpp, dpr, mix, kto"),
        ({"beta": 0.1}, "tasks[2].method: missing"),
        ({"method": "sft", "beta": 0.1}, "tasks[2].beta: unknown key; with method sft the keys are: method"),
        ({"method": "dpo", "gamma": 0.1}, "tasks[2].gamma: unknown key; with method dpo the keys are: method, beta"),
        ({"method": "ddp", "max_age": 2}, "tasks[2].max_age: unknown key; with method ddp"),
        ({"method": "ddp", "revkl": 0.1}, "tasks[2].revkl: unknown key; with method ddp"),
        ({"method": "dpo", "rollout_top_p": 0.9}, "tasks[2].rollout_top_p: unknown key; with method dpo"),
        ({"method": "dpp", "revkl": -0.1}, "tasks[2].revkl: it must be a number at least 0, not -0.1"),
        (
            {"method": "dpp", "rollout_top_p": [0.9, 0]},
            "tasks[2].rollout_top_p[1]: it must be a number greater than 0 and at most 1, not 0.0",
        ),
        (
            {"method": "mix", "rollout_top_p": 1.1},
            "tasks[2].rollout_top_p: it must be a number greater than 0 and at most 1, not 1.1",
        ),
    ],
)
def test_wrong_values_are_refused_with_path_and_value(task, message):
    text = with_task(**task)
    assert text.startswith(f"config: {message}")
    [right] = shown(text)["tasks"]
    settings(tasks=[{"method": "dpr"}, right], baseline="dpr")


def test_the_yaml_shown_is_right_and_keeps_what_was():
    text = with_task(method="dpp", betta=[0.1, 0.2])
    assert shown(text) == {"tasks": [{"method": "dpp", "beta": [0.1, 0.2]}]}
    assert "  - method: dpp\n    beta: [0.1, 0.2]" in text
    assert shown(with_task(method="dpo", loss_type="sigmiod")) == {"tasks": [{"method": "dpo", "loss_type": "sigmoid"}]}


def test_the_first_problem_by_path_is_told_and_the_others_counted():
    text = refusal(tag="a b", seeds=[-1], tasks=[{"method": "dpo", "beta": 0}])
    assert text.startswith("config: seeds[0]: it must be a whole number at least 0, not -1")
    assert text.endswith("(2 more problems after this one)")


def test_heads_that_do_not_divide_the_width_are_refused_in_definitions_too():
    shape = {"model_type": "llama", "hidden_size": 96, "num_hidden_layers": 1, "num_attention_heads": 7}
    shape |= {"intermediate_size": 64, "max_position_embeddings": 64}
    text = refusal(definitions={"models": {"mine": {"architecture": shape}}})
    where = "definitions.models.mine.architecture.num_attention_heads"
    assert text.startswith(f"config: {where}: 7 does not divide hidden_size 96")
    assert shown(text) == {"definitions": {"models": {"mine": {"architecture": {"num_attention_heads": 6}}}}}


def test_keys_that_yaml_does_not_read_as_text_are_refused():
    text = refusal(definitions={"models": {7: {"path": "x"}}})
    assert text.startswith("config: definitions.models.7: the key 7 is not a text; write it in quotes")
    text = refusal(definitions={"models": {"my model/7": {"path": "x"}}})
    assert text.startswith("config: definitions.models.my model/7: 'my model/7' is no valid name")
    assert shown(text) == {"definitions": {"models": {"my-model-7": {"path": "x"}}}}


def test_texts_that_are_too_long_are_refused_in_few_short_lines():
    mine = {"models": {"mine": {"path": "x"}}}
    for long in ("a" * 5000, "a b " * 1250):
        for changes, place in [
            ({"datasets": [long]}, "datasets[0]: it must be a text of at most 100 characters"),
            ({"device": long}, "device: it must be a text of at most 1000 characters"),
            ({"device": long[:900]}, "device: there is no device"),
            ({"definitions": {"models": {"mine": {"path": long}}}}, "definitions.models.mine.path: it must be a text"),
            ({"definitions": {"models": {"mine": {"path": "x", "adaptor": long}}}}, "definitions.models.mine.adaptor:"),
            ({"tasks": [{"method": "dpo", long: 1}]}, f"tasks[0].{long[:57]}…: unknown key"),
            ({"definitions": {"models": {**mine["models"], f"{long}!": {"path": long}}}}, "definitions.models."),
        ]:
            text = refusal(**changes)
            assert text.startswith(f"config: {place}")
            assert len(text.partition("\n")[0]) < 600 and len(text) < 1200, (len(text), place)
