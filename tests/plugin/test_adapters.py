"""Adapters, modes and random states, and exceptions in the middle of a refill."""

import contextlib

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

import sail.answers
from plugin.tiny import reward, weights
from plugin.training import COLUMNS, completions_of, logps, spy_on_batches

LORA = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")


def adapter_state(model):
    return {
        "active": model.active_adapters,
        "disabled": any(getattr(module, "_disable_adapters", False) for module in model.modules()),
        "trainable": sorted(name for name, parameter in model.named_parameters() if parameter.requires_grad),
        "checkpointing": model.is_activation_checkpointing,
        "modes": {name: module.training for name, module in model.named_modules()},
    }


@contextlib.contextmanager
def nothing_expected():
    yield


@pytest.mark.parametrize("adapter", ["new", "trained"])
@pytest.mark.parametrize("fails", [None, "reward", "generate", "reference"])
def test_lora_trains_with_dpr_and_is_left_as_it_was(sail_trainer, checkpoint, adapter, fails, monkeypatch):
    """The reference of a new adapter is the base model, that of a trained one its copy as it was at the start."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    if adapter == "trained":
        model = get_peft_model(model, LORA)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))

    calls = []

    def score(prompts, completions, **columns):
        calls.append(prompts)
        if fails == "reward" and len(calls) > 1:
            raise RuntimeError("the reward is out of order")
        return [float(len(completion)) for completion in completions]

    trainer = sail_trainer(
        model=model,
        peft_config=LORA if adapter == "new" else None,
        g=0.6,
        reward_funcs=score,
        activation_checkpointing=True,
        max_age=0,
    )
    assert trainer.ref_model is None
    before, states = weights(trainer), []
    draw = trainer._draw_routes

    def drawing(size):
        states.append(adapter_state(trainer.model))
        return draw(size)

    trainer._draw_routes = drawing
    if fails == "generate":
        sample = sail.answers.sample_responses

        def failing(*args, **settings):
            if len(states) > 1:
                raise RuntimeError("out of memory, say")
            return sample(*args, **settings)

        monkeypatch.setattr(sail.answers, "sample_responses", failing)
    if fails == "reference":

        def fail(module, args, given):
            if not torch.is_grad_enabled() and "labels" in given and len(states) > 1:
                assert adapter_state(trainer.model) != states[0], "the reference's adapter is at work"
                raise RuntimeError("out of memory")

        trainer.model.register_forward_pre_hook(fail, with_kwargs=True)
    seen = spy_on_batches(trainer)
    with pytest.raises(RuntimeError, match="out of") if fails else nothing_expected():
        trainer.train()

    states.append(adapter_state(trainer.model))
    assert all(state == states[0] for state in states) and len(states) > 2 - bool(fails)
    assert states[0]["active"] == ["default"] and not states[0]["disabled"]
    assert states[0]["trainable"] and all("lora" in name and "default" in name for name in states[0]["trainable"])
    assert states[0]["checkpointing"] and any(states[0]["modes"].values())
    changed = {name for name, value in weights(trainer).items() if not torch.equal(value, before[name])}
    assert changed and changed <= set(states[0]["trainable"])

    # The reference that the rows got is the policy as it was at the start.
    reference = AutoModelForCausalLM.from_pretrained(checkpoint)
    if adapter == "trained":
        reference = get_peft_model(reference, LORA)
        reference.load_state_dict({name: before[name] for name, _ in reference.named_parameters()}, strict=False)
    reference.eval()
    batch = seen[-1]
    for row in range(8):
        prompt, chosen, rejected = completions_of(batch.after, row)
        got = [batch.after[name][row].item() for name in COLUMNS]
        assert got == pytest.approx([logps(reference, None, prompt, ids) for ids in (chosen, rejected)], rel=1e-4)


@pytest.mark.parametrize("place", ["reward", "sample_responses"])
def test_an_exception_leaves_mode_and_random_state_as_they_were(sail_trainer, monkeypatch, place):
    def out_of_order(*args, **kwargs):
        torch.rand(3)
        raise RuntimeError("out of order")

    if place == "sample_responses":
        monkeypatch.setattr(sail.answers, "sample_responses", out_of_order)
    trainer = sail_trainer(
        g=1.0, reward_funcs=out_of_order if place == "reward" else reward, activation_checkpointing=True
    )
    trainer.model.activation_checkpointing_enable()
    trainer.model.train()
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="out of order"):
        trainer._refill()
    assert all(module.training for module in trainer.model.modules())
    assert trainer.model.is_activation_checkpointing
    assert torch.equal(torch.get_rng_state(), state)
    assert len(trainer.pool) == 0
