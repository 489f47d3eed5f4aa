"""Sizes of a config: which of what is written, chosen and given comes first, and what is refused."""

import copy

import pytest
import yaml
from fixtures_config import CONFIG, MINIMAL, shown

from pipeline.config.settings import ConfigError, Settings
from pipeline.config.sizes import merged

SIZES = {
    "small": {"seeds": [7], "policy": {"max_length": 64}, "definitions": {"models": {"mine": {"adapter": "none"}}}},
    "noted": {"note": "What it shows.", "tag": "other"},
}
WRITTEN = {
    **MINIMAL,
    "policy": {"max_length": 128, "beta": 0.2},
    "definitions": {"models": {"mine": {"path": "models/mine"}}},
    "sizes": SIZES,
}


def settings(given=None, **changes):
    config = merged(copy.deepcopy(WRITTEN), changes)
    return Settings.from_config(merged(config, given or {}), given=given)


def refusal(**changes):
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    return str(caught.value)


def test_without_a_size_the_config_is_as_it_stands():
    made = settings()
    assert made.seeds == [1] and made.max_length == 128 and made.entries["models"]["mine"]["adapter"] == "lora"
    assert not {"size", "sizes"} & set(made.config)


def test_a_size_changes_mappings_key_by_key_and_lists_as_a_whole():
    made = settings(size="small")
    assert made.seeds == [7] and made.max_length == 64
    assert made.task_runs["dpo-beta0.2"].hyperparameters["beta"] == 0.2
    mine = made.entries["models"]["mine"]
    assert (mine["path"], mine["adapter"]) == ("models/mine", "none")
    assert settings(size="noted").config["note"] == "What it shows."


def test_what_the_command_line_sets_comes_before_a_size():
    made = settings({"seeds": [3], "size": "small", "policy": {"beta": 0.5}})
    assert made.seeds == [3] and made.max_length == 64
    assert made.task_runs["dpo-beta0.5"].hyperparameters["beta"] == 0.5


def test_an_unknown_size_is_refused_with_those_that_there_are():
    text = refusal(size="smal")
    assert text.startswith("config: size: there is no size 'smal' (did you mean 'small'?)") and "small, noted" in text
    assert shown(text) == {"size": "small"}


def test_a_wrong_size_is_refused_even_where_it_is_not_chosen():
    assert refusal(sizes={"small": {"wandbb": True}}).startswith("config: sizes.small.wandbb: unknown key (did you")
    wrong = refusal(sizes={"small": {"policy": {"max_length": 3}}})
    assert wrong.startswith("config, size small: policy.max_length: it must be a whole number at least 8")
    assert "sizes.small.sizes: unknown key" in refusal(sizes={"small": {"sizes": {}}})


def test_errors_of_the_chosen_size_name_it():
    text = refusal(sizes={"small": {"baseline": "ddp"}}, size="small")
    assert text.startswith("config, size small: baseline: ")


def test_the_small_size_of_smollm2_is_one_seed_of_dpo_and_dpr():
    config = yaml.safe_load((CONFIG / "smollm2.yaml").read_text(encoding="utf-8"))
    full, small = (Settings.from_config(config | size) for size in ({}, {"size": "small"}))
    assert [run.method for run in full.runs] == ["start", "dpo", "ddp", "dpp", "dpr"] and len(full.seeds) == 3
    assert [run.method for run in small.runs] == ["start", "dpo", "dpr"] and len(small.seeds) == 1
    assert small.max_length == 128 and "not which method wins" in small.config["note"]
    for made in (full, small):
        trains = [made.reward_spec("hh", name)["train"] for name in ("proxy", "independent")]
        assert [train["share"] for train in trains] == [{"part": part, "of": 2, "seed": 0} for part in (1, 2)]
        assert trains[0]["seed"] != trains[1]["seed"]
        assert made.judge_spec(made.judge_name("hh"))["reward_model"] == "independent"
        assert made.reward_model_name("hh") == "proxy"
