"""Entries that are a text, numbers that nobody means, and configs changed at random: accepted or a ConfigError."""

import copy
import random

import pytest
import yaml
from fixtures_config import MINIMAL, PLAIN, edit, refusal, settings

from pipeline.config.errors import ConfigError
from pipeline.config.settings import ROOT, Settings
from pipeline.jobs.io import read_yaml

ARCHITECTURE = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
DEFINITIONS = {
    "datasets": {"mine": PLAIN},
    "models": {
        "pretrained": {"path": "a/b", "lora": {"r": 8}},
        "scratch": {"architecture": {**ARCHITECTURE, "intermediate_size": 8, "max_position_embeddings": 8}},
    },
    "reward_models": {"trained": {"train": {"model": "pretrained"}}, "loaded": {"path": "x"}},
}
PUBLISH = {"names": {"sft": "a"}, "kinds": ["sft"], "seeds": [1]}
VALUES = [
    *(None, True, 0, -1, 2.5, 1e308, -1e308, 2**70, 10**400, float("nan"), float("inf"), -0.0),
    *("", "x", "é", "a b", "1e-5", "1e308", "true", "9" * 5000, "a" * 5000, "1/0", "{x}", "mix"),
    *([], [1], ["x"], [[]], [None], [{}], ["world", "world"], {}, {"x": 1}, {1: 2}),
]
KEYS = (*("beta", "seed", "method", "path", "gamma", "optim", "r", "p", "g"), "revkl", "loss_type", "judge", "1", "")


def test_an_entry_that_is_a_text_is_short_for_its_path():
    entries = {"models": {"mine": "Qwen/Qwen2.5-0.5B"}, "reward_models": {"theirs": "my/rewards"}}
    short = settings(models=["mine"], reward_model="theirs", definitions=entries)
    written = {kind: {name: {"path": path} for name, path in part.items()} for kind, part in entries.items()}
    assert short.entries == settings(models=["mine"], reward_model="theirs", definitions=written).entries
    assert short.sft_spec("world", "mine")["model"]["path"] == "Qwen/Qwen2.5-0.5B"
    assert short.reward_spec("world", "theirs")["path"] == "my/rewards"


def test_files_of_entries_take_a_text_too(root):
    edit(root, "models.yaml", lambda content: content.update(mine="my/model"))
    made = Settings.from_config({**copy.deepcopy(MINIMAL), "models": ["mine"]}, root)
    assert made.sft_spec("world", "mine")["model"]["path"] == "my/model"


@pytest.mark.parametrize("entry", [7, True, None, [], ["my/data"], 2.5])
@pytest.mark.parametrize("kind", ["datasets", "models", "reward_models"])
def test_an_entry_that_is_neither_is_refused(kind, entry):
    text = refusal(definitions={kind: {"mine": entry}})
    assert text.startswith(f"config: definitions.{kind}.mine: it must be a mapping of keys to values, not {entry!r}")
    [right] = yaml.safe_load(text.split("example:\n")[1])["definitions"][kind].values()
    assert set(right) == ({"source"} if kind == "datasets" else {"path"})


def test_a_dataset_needs_more_than_a_path_and_the_error_says_what():
    text = refusal(definitions={"datasets": {"mine": "data/mine"}})
    assert text.startswith("config: definitions.datasets.mine.source: missing; how rows become prompt, chosen")
    text = refusal(definitions={"datasets": {"mine": {"source": "plain", "path": "data/mine"}}})
    assert text.startswith("config: definitions.datasets.mine.eval_share: missing; either splits.eval")


def test_a_device_is_no_path(root):
    edit(root, "devices.yaml", lambda content: content.update(mine="a100"))
    with pytest.raises(ConfigError, match=r"devices\.yaml: mine: it must be a mapping of keys to values, not 'a100'"):
        Settings.from_config(MINIMAL, root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [2**70]}, f"seeds[0]: it must be a whole number at least 0 and at most {2**32 - 1}, not {2**70}"),
        ({"seeds": [1e308]}, f"seeds[0]: it must be a whole number at least 0 and at most {2**32 - 1}, not 1000000"),
        ({"seeds": [2**32]}, f"seeds[0]: it must be a whole number at least 0 and at most {2**32 - 1}, not {2**32}"),
        ({"sft": {"seed": 2**32}}, "sft.seed: it must be a whole number at least 0 and at most 4294967295"),
        ({"sft": {"learning_rate": 1e308}}, "sft.learning_rate: it must be a number greater than 0 and at most 1,"),
        (
            {"policy": {"learning_rate": "1e308"}},
            "policy.learning_rate: it must be a number greater than 0 and at most",
        ),
        ({"policy": {"epochs": 1e308}}, f"policy.epochs: it must be a number greater than 0 and at most {10**12}, not"),
        ({"policy": {"max_steps": 10**400}}, "policy.max_steps: it must be a whole number or null at least 1, not inf"),
        ({"tag": "a" * 5000}, "tag: it must be a text of at most 100 characters that matches"),
    ],
)
def test_numbers_and_texts_that_nobody_means_are_refused(changes, message):
    assert refusal(**changes).startswith(f"config: {message}")


def test_bounds_that_nobody_means_to_reach_are_told_where_they_are_exceeded_alone():
    assert refusal(seeds=[-1]).startswith("config: seeds[0]: it must be a whole number at least 0, not -1")
    assert "5,000" not in refusal(tag="a b") and "characters" not in refusal(tag="a b")
    assert settings(seeds=[2**32 - 1]).seeds == [2**32 - 1]
    assert settings(tag="a" * 100).tag == "a" * 100


def places(node, path=()):
    """The path to every key and item of a config."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in parts:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(config, draw):
    """A copy of a config with up to three values replaced, keys added or taken out."""
    config = copy.deepcopy(config)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        *parents, last = draw.choice(list(places(config)))
        inside = config
        for part in parents:
            inside = inside[part]
        value, action = copy.deepcopy(draw.choice(VALUES)), draw.random()
        if action < 0.6:
            inside[last] = value
        elif action < 0.75:
            del inside[last]
        elif isinstance(inside, dict):
            inside[draw.choice(KEYS)] = value
        else:
            inside.append(value)
    return config


@pytest.mark.parametrize("seed", range(6))
def test_a_changed_config_is_accepted_or_refused_with_a_config_error(seed):
    draw = random.Random(seed)
    shipped = [read_yaml(ROOT / "config" / f"{name}.yaml") for name in ("config", "variants", "controls")]
    whole = {"definitions": DEFINITIONS, "publish": PUBLISH, "decodings": {"mine": {"top_p": 0.9}}}
    bases = [{**config, **whole} for config in [MINIMAL, *shipped]]
    outcomes = {"accepted": 0, "refused": 0}
    for _ in range(60):
        config = changed(draw.choice(bases), draw)
        before = copy.deepcopy(config)
        try:
            Settings.from_config(config)
            outcomes["accepted"] += 1
        except ConfigError as error:
            outcomes["refused"] += 1
            assert str(error).startswith(("config: ", "config/"))
        assert repr(config) == repr(before)
    assert min(outcomes.values()) >= 1, outcomes
