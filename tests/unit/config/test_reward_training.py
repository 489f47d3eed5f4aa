"""Reward models that are to be trained: what their specs take from the model's entry, and what is refused at once."""

import json

import pytest
from fixtures_config import MINIMAL, edit, refusal, settings, shown
from fixtures_models import chat_tokenizer, llama_tokenizer, trunk_config
from transformers import MambaConfig

from pipeline.config.classifiers import has_classifier
from pipeline.config.global_batch import check_device
from pipeline.config.reward_training import prepared_datasets
from pipeline.config.settings import Settings
from pipeline.jobs.io import InputError

LORA = {"r": 64, "alpha": 16, "dropout": 0, "target_modules": "all-linear"}


def definitions(train, model="Q0.5B", **entries):
    """A config with the reward model `mine`, trained with these keys, that labels and scores."""
    entry = {"train": {"model": model, **train.pop("train", {})}, **train}
    return {"reward_model": "mine", "definitions": {"reward_models": {"mine": entry}, **entries}}


def spec(model="Q0.5B", models=None, **train):
    made = settings(**definitions({"train": train}, model, models=models or {}))
    return made.reward_spec("world", "mine")


def refused(model="Q0.5B", models=None, text_format=None, **train):
    entry = {"train": train} | ({"text_format": text_format} if text_format else {})
    return refusal(**definitions(entry, model, models=models or {}))


def test_the_spec_has_what_is_taken_from_the_model_s_entry():
    of_model = spec()
    assert of_model["train"]["adapter"] == "lora" and of_model["train"]["lora"] == LORA
    assert of_model["base"] == {"path": "Qwen/Qwen1.5-0.5B", "trust_remote_code": False}
    assert not of_model.keys() & {"text_format"} and "sft" not in of_model["train"]
    own = spec(adapter="lora", lora={"r": 4}, sft=False)
    assert own["train"]["lora"] == LORA | {"r": 4} and own["train"]["sft"] is False
    whole = spec(adapter="none", lora={"r": 4})
    assert whole["train"]["adapter"] == "none" and "lora" not in whole["train"]
    scratch = spec("W1M", adapter="lora")
    assert scratch["train"]["lora"] == LORA and "base" not in scratch
    pinned = spec("mine", {"mine": {"path": "a/b", "revision": "v1", "adapter": "none", "trust_remote_code": True}})
    assert pinned["base"] == {"path": "a/b", "revision": "v1", "trust_remote_code": True}


def test_the_embedded_default_s_spec_is_as_short_as_its_entry():
    assert set(settings().reward_spec("world", "world")) == {"name", "train", "reverse"}
    assert not settings().reward_spec("world", "world")["train"].keys() & {"sft", "adapter", "lora", "dataset", "share"}


@pytest.mark.parametrize(
    ("given", "place", "reason", "right"),
    [
        ({"dataset": "wrld"}, "train.dataset", "there is no dataset 'wrld' (did you mean 'world'?)", "world"),
        ({"share": {"part": 3, "of": 2}}, "train.share.part", "3, but there are 2 parts, counted from 1", 2),
        ({"model": "W1M", "sft": False}, "train.sft", "false, but the model W1M is trained from scratch", True),
        (
            {"model": "W1M", "adapter": "qlora"},
            "train.adapter",
            "qlora, but the SFT model of W1M is trained in",
            "lora",
        ),
        ({"lora": {"r": 8}}, "train.lora", "another than that of the model Q0.5B, whose SFT model is", LORA),
    ],
)
def test_what_an_entry_cannot_do_is_refused_when_the_config_is_read(given, place, reason, right):
    text = refused(**given)
    assert text.startswith(f"config: definitions.reward_models.mine.{place}: {reason}")
    found = shown(text)["definitions"]["reward_models"]["mine"]
    for key in place.split("."):
        found = found[key]
    assert found == right


def test_a_share_has_both_its_numbers():
    assert "mine.train.share.of: missing" in refused(share={"part": 1})


def save(folder, config, tokenizer):
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"mine": {"path": str(folder)}}


def test_a_model_without_classifier_is_refused_when_the_config_is_read(tmp_path):
    models = save(tmp_path / "mamba", MambaConfig(), chat_tokenizer())
    assert "mine.train.model: mine, a mamba, of which transformers has no sequence classifier" in refused(
        "mine", models
    )
    models["mine"]["trust_remote_code"] = True  # its own code may have one
    assert spec("mine", models)["base"]["trust_remote_code"]
    assert has_classifier("qwen3") and has_classifier("gpt_neox") and not has_classifier("mamba")


def test_a_missing_chat_template_is_refused_when_the_config_is_read(tmp_path):
    models = save(tmp_path / "bare", trunk_config("llama", llama_tokenizer()), llama_tokenizer())
    text = refused("mine", models, text_format="chat_template")
    assert "mine.text_format: chat_template, but the tokenizer of mine has none" in text
    assert shown(text)["definitions"]["reward_models"]["mine"]["text_format"] == "plain"
    assert "text_format" not in spec("mine", models)  # the format that goes with it is taken then
    models = save(tmp_path / "chat", trunk_config("llama", chat_tokenizer()), chat_tokenizer())
    assert settings(**definitions({"text_format": "chat_template"}, "mine", models=models))
    (tmp_path / "chat/chat_template.jinja").unlink()
    file = tmp_path / "chat/tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": "{{ messages }}"}))
    assert settings(**definitions({"text_format": "chat_template"}, "mine", models=models))


def test_a_device_without_cuda_refuses_reward_models_in_4_bits():
    made = settings(device="cpu", **definitions({"train": {"sft": False, "adapter": "qlora"}}))
    with pytest.raises(InputError, match="device cpu, reward model mine: adapter qlora needs CUDA"):
        check_device(made)


def test_adapters_that_are_merged_need_whole_weights(root):
    edit(root, "devices.yaml", lambda c: c.update(parts={"processes": 2, "distributed": "fsdp2"}))
    config = definitions({"train": {"adapter": "lora", "global_batch_size": 32}}, "W1M")
    config |= {"device": "parts", "sft": {"global_batch_size": 64}}
    made = Settings.from_config({**MINIMAL, **config}, root)
    with pytest.raises(InputError, match=r"reward model mine: its adapters are merged in the end.*use ddp, zero2"):
        check_device(made)
    edit(root, "devices.yaml", lambda c: c["parts"].update(distributed="ddp"))
    check_device(Settings.from_config({**MINIMAL, **config}, root))


def test_a_judge_s_own_reward_model_is_checked_and_its_data_prepared(root):
    folder = root / "config/judges/own"
    folder.mkdir()
    (folder / "judge.yaml").write_text("{kind: reward, reward_model: independent}")
    trained = {"train": {"model": "W1M", "dataset": "other", "global_batch_size": 64}}
    other = {"source": "world", "size": 100, "eval_size": 20, "selection_size": 10, "seed": 7}
    entries = {"reward_models": {"independent": trained}, "datasets": {"other": other}}
    made = Settings.from_config({**MINIMAL, "judge": "own", "definitions": entries}, root)
    assert prepared_datasets(made) == ["world", "other"]
    assert made.used_reward_models == [("world", "world"), ("world", "independent")]
    assert made.data_spec("other")["seed"] == 7
