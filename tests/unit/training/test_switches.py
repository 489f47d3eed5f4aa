"""What a device's entry can turn on for speed: the same values within rounding, or nothing where it cannot be had."""

import time
from dataclasses import replace

import pandas as pd
import pytest
import torch
from datasets import disable_progress_bars
from fixtures_models import chat_tokenizer, cpu_device
from fixtures_training import LORA
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.config.entries import read_entries
from pipeline.jobs.io import InputError
from pipeline.models import kernels
from pipeline.models.checkpoints import save_checkpoint
from pipeline.models.devices import ROOT, SWITCHES, resolve_device
from pipeline.models.kernels import use_hub_kernels
from pipeline.training.policy import policy_trainer
from sail import shared_prompt
from sail.generation import WIDTHS, sample_responses

disable_progress_bars()
PLAIN = replace(cpu_device(), checkpoint_seconds=1e9)
FRAME = pd.DataFrame(
    [(f"What is {i}? " * (1 + i % 3), f"It is {i}." * (1 + i % 2), "Thank you!") for i in range(8)],
    columns=["prompt", "chosen", "rejected"],
)
REFERENCE = pd.DataFrame({"row": range(8), "ref_chosen_logps": -9.0, "ref_rejected_logps": -9.0})
GIVEN = {
    **{"learning_rate": 1e-3, "max_steps": 2, "warmup_steps": 0, "global_batch_size": 4, "max_length": 64, "beta": 0.1},
    **{"lr_scheduler": "constant", "optimizer": "adamw_torch"},
}
ENTRY = read_entries("devices", {}, ROOT, "config/devices.yaml")["auto"]


@pytest.fixture
def trained(base, tmp_path):
    """A function that trains a policy on a device: (losses, weights)."""

    def trained(device, method="dpo", entry=LORA, path=base, **given):
        spec = {"model": {"path": path, **entry}, "method": method, "hyperparameters": GIVEN | given}
        trainer = policy_trainer(spec, FRAME, REFERENCE, path, 1, device, str(tmp_path / "out"))
        trainer.args.logging_steps = 1
        trainer.train()
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        return losses, {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}

    return trained


@pytest.mark.parametrize("entry", [LORA, {"adapter": "none"}], ids=["lora", "full"])
@pytest.mark.parametrize(("method", "given"), [("dpo", {}), ("ddp", {"r": 0.5})])
def test_a_policy_with_shared_prompts_is_the_plain_one(trained, monkeypatch, method, given, entry):
    rows, pack = [], shared_prompt.pack
    monkeypatch.setattr(shared_prompt, "pack", lambda ids, *more: rows.append(len(ids)) or pack(ids, *more))
    plain, weights = trained(PLAIN, method, entry, **given)
    assert not rows
    shared, others = trained(replace(PLAIN, share_prompt=True), method, entry, **given)
    assert rows.count(8) == 2  # the four pairs of each step
    assert shared == pytest.approx(plain, rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-2, atol=2e-3)


def test_batches_made_by_other_processes_are_the_same(trained):
    plain, weights = trained(PLAIN)
    other, others = trained(replace(PLAIN, dataloader_workers=1))
    assert other == plain and all(torch.equal(others[name], weight) for name, weight in weights.items())


def test_a_model_that_cannot_share_prompts_is_refused(trained, tmp_path):
    tokenizer = chat_tokenizer()
    fields = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    fields |= {"num_key_value_heads": 2, "vocab_size": len(tokenizer), "sliding_window": 16, "head_dim": 8}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("mistral", **fields))
    save_checkpoint(model, tokenizer, tmp_path / "slides")
    message = r"device cpu: share_prompt: .* slides over 16 tokens, and sequences may have 64; leave it off"
    with pytest.raises(InputError, match=message):
        trained(replace(PLAIN, share_prompt=True), path=str(tmp_path / "slides"))


def test_switches_are_an_entry_s_and_off_by_default(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device = resolve_device("auto", ENTRY)
    assert [getattr(device, name) for name in SWITCHES] == [False, False, False, 0, "dynamic"]
    assert device.switches == [] and "switches" not in device.record() and device.cache_implementation is None
    on = {"share_prompt": True, "kernels": True, "dataloader_workers": 3, "generation_cache": "static"}
    device = resolve_device("auto", ENTRY | on)
    assert device.record()["switches"] == ["share_prompt", "kernels", "generation_cache static"]
    arguments = device.training_kwargs("policy", 16, 1)
    assert (arguments["dataloader_num_workers"], arguments["dataloader_pin_memory"]) == (3, False)
    assert "tf32" not in arguments
    with pytest.raises(InputError, match=r"device auto: tf32 needs CUDA of compute capability 8\.0 or above; leave it"):
        resolve_device("auto", ENTRY | {"tf32": True})


def test_on_a_gpu_batches_are_pinned_and_tf32_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    arguments = resolve_device("auto", ENTRY | {"tf32": True}).training_kwargs("policy", 16, 1)
    assert arguments["dataloader_pin_memory"] and arguments["tf32"]


class Model:
    """Stands for one that transformers gives kernels to."""

    def __init__(self, error=None):
        self.error, self.asked = error, []

    def set_use_kernels(self, use):
        self.asked.append(use)
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("changes", "installed", "offline", "endpoint", "reason"),
    [
        ({"type": "cpu"}, True, "", "http://127.0.0.1:9", "the device is no GPU"),
        ({}, False, "", "http://127.0.0.1:9", "the package kernels is not installed"),
        ({}, True, "1", "http://127.0.0.1:9", "HF_HUB_OFFLINE is set"),
        ({}, True, "", "http://127.0.0.1:9", "http://127.0.0.1:9 does not answer (ConnectError)"),
    ],
)
def test_kernels_stay_off_where_they_cannot_be_had(changes, installed, offline, endpoint, reason, monkeypatch, capsys):
    monkeypatch.setattr(kernels, "is_kernels_available", lambda: installed)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    model, started = Model(), time.monotonic()
    assert not use_hub_kernels(model, replace(PLAIN, kernels=True, **{"type": "cuda"} | changes))
    assert not model.asked and time.monotonic() - started < 5
    assert capsys.readouterr().out == f"kernels: none from the hub, {reason}\n"


def test_kernels_are_asked_for_where_the_hub_answers(monkeypatch, capsys):
    device = replace(PLAIN, kernels=True, type="cuda")
    monkeypatch.setattr(kernels, "_reason_against", lambda device: None)
    model = Model()
    assert use_hub_kernels(model, device) and model.asked == [True]
    assert not use_hub_kernels(Model(RuntimeError("no build for this torch\nmore")), device)
    assert capsys.readouterr().out == (
        "kernels: from the hub\nkernels: none from the hub, RuntimeError: no build for this torch\n"
    )
    assert not use_hub_kernels(model, PLAIN) and len(model.asked) == 1


def test_responses_of_a_static_cache_are_those_of_the_usual_one(base):
    model = AutoModelForCausalLM.from_pretrained(base).eval()
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12], [5, 6, 7], [20, 21]]
    shapes, ended = [], []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    settings = {"pad_token_id": 0, "eos_token_ids": [1, 2, 3, 4, *range(100, 140)], "max_new_tokens": 12}
    settings |= {"temperature": 1.0, "top_p": 1.0, "batch_size": 2}
    plain = sample_responses(model, prompts, do_sample=False, **settings)
    shapes.clear()
    settings |= {"cache_implementation": "static", "on_ended": ended.append}
    assert sample_responses(model, prompts, do_sample=False, **settings) == plain
    assert any(len(ids) < 12 for ids in plain) and ended == [2, 2, 1]
    assert {shape[0] for shape in shapes} == {2} and {shape[1] for shape in shapes} == {WIDTHS, 1}
    torch.manual_seed(0)
    first = sample_responses(model, prompts, **settings)
    torch.manual_seed(0)
    assert sample_responses(model, prompts, **settings) == first and len(set(map(tuple, first))) > 1


def test_rollouts_have_the_cache_of_the_device(base, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("sail.answers.sample_responses", lambda *args, **given: asked.append(given) or [[5, 1]] * 8)
    device = replace(PLAIN, generation_cache="static")
    given = GIVEN | {"p": 1.0, "pi": 0.0, "rollout_prompts": 4, "max_steps": 1}
    spec = {"model": {"path": base, **LORA}, "method": "dpp", "hyperparameters": given}
    policy_trainer(spec, FRAME, REFERENCE, base, 1, device, str(tmp_path / "out")).train()
    assert asked and all(each["cache_implementation"] == "static" for each in asked)
