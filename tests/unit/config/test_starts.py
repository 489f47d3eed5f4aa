"""`sft: false`: for a config or a model, what the runs are called, and what cannot be."""

import pytest

from pipeline.config.settings import ConfigError, Settings

CONFIG = {
    "tag": "t",
    "datasets": ["world"],
    "models": ["SmolLM2-135M"],
    "seeds": [1],
    "reward_model": "deberta",  # that needs no SFT model
    "tasks": [{"method": "sft"}, {"method": "dpo"}],
}


def settings(**changes):
    return Settings.from_config(CONFIG | changes)


def names(**changes):
    return [run.name for run in settings(**changes).runs]


def test_without_sft_the_run_that_is_not_trained_is_called_start():
    found = settings()
    assert [(run.name, run.method, run.trained) for run in found.runs] == [
        ("start",) * 2 + (False,),
        ("dpo",) * 2 + (True,),
    ]
    assert names(models=["Q0.5B"]) == ["sft", "dpo"] and names(models=["Q0.5B"], sft=False) == ["start", "dpo"]
    assert names(sft=True) == ["start", "dpo"]  # the model's entry says so
    assert [run.name for run in settings(models=["W1M", "SmolLM2-135M"]).runs] == ["sft", "dpo", "start", "dpo"]
    assert {settings(baseline=name).baseline_run("world", "SmolLM2-135M") for name in ("sft", "start")} == {"start"}


def test_the_specs_say_that_there_is_no_sft_and_only_then():
    assert settings().policy_spec("world", "SmolLM2-135M", "dpo")["model"]["sft"] is False
    assert settings(models=["Q0.5B"], sft=False).reference_spec("world", "Q0.5B")["model"]["sft"] is False
    assert "sft" not in settings(models=["Q0.5B"]).generation_spec("Q0.5B")["model"]


def test_the_published_entries_keep_their_sft_and_instruct_models_have_none():
    entries = settings().entries["models"]
    assert all("sft" not in entries[name] for name in ("Q0.5B", "Qc0.5B", "Py1B", "L8B", "W1M"))
    new = [name for name, entry in entries.items() if entry.get("sft") is False]
    assert {"Qwen2.5-0.5B", "Qwen3-0.6B", "Llama3.2-1B", "Gemma3-1B", "SmolLM3-3B", "Phi4-mini", "OLMo2-1B"} <= {*new}
    assert entries["Qwen3-0.6B"]["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["W1M"], "sft": False}, "sft: false, but the model W1M is trained from scratch"),
        (
            {"models": ["W1M", "SmolLM2-135M"], "baseline": "sft"},
            "baseline: sft, but W1M has SFT and other models",
        ),
        ({"sft": 3}, "sft: it must be a mapping of keys to values or true or false, not 3"),
    ],
)
def test_what_cannot_start_so_is_refused(changes, message):
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"plain_template": "{question}{prompt}"}, "models.mine.plain_template: it must be a text that matches"),
        ({"plain_template": "{{prompt}}"}, "models.mine.plain_template: it must be a text that matches"),
        ({"plain_template": "{prompt} {prompt}"}, "models.mine.plain_template: it must be a text that matches"),
        ({"date": "2026-02-30"}, "models.mine.date: 2026-02-30, which is no day"),
        ({"chat_template_kwargs": {"tokenize": True}}, "models.mine.chat_template_kwargs: tokenize says"),
        ({"sft": "no"}, "models.mine.sft: it must be true or false"),
    ],
)
def test_a_models_templates_are_checked_when_the_config_is_read(entry, message):
    mine = {"models": {"mine": {"path": "owner/model", **entry}}}
    with pytest.raises(ConfigError) as caught:
        settings(models=["mine"], definitions=mine)
    assert message in str(caught.value)


def test_the_variables_of_a_template_are_kept_as_they_are_given():
    given = {"chat_template_kwargs": {"enable_thinking": False, "budget": 3, "mode": "x"}, "date": "2026-02-03"}
    found = settings(models=["mine"], definitions={"models": {"mine": {"path": "owner/model", **given}}})
    entry = found.policy_spec("world", "mine", "dpo")["model"]
    assert {key: entry[key] for key in given} == given and type(entry["chat_template_kwargs"]["budget"]) is int
    [tokenizer] = found.data_spec("world")["tokenizers"]
    assert {key: tokenizer[key] for key in given} == given
