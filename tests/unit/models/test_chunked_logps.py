"""Log-probabilities in chunks equal those of whole logits, for heads that do more than multiply too, and stay small."""

import pytest
import torch
from fixtures_models import SIZES
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.models import logps
from pipeline.models.logps import response_logps

VOCABULARY = 96
# What a head does besides multiplying, in sizes that matter here.
HEADS = {
    "llama": {},
    "gemma2": {"final_logit_softcapping": 0.7, "head_dim": 8},
    "gemma3_text": {"final_logit_softcapping": 0.7, "head_dim": 8},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 4.0},
    "gpt_neox": {},
    "phi": {},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "head_dim": 8},
    "falcon_h1": {"lm_head_multiplier": 3.0, "mamba_d_ssm": 16, "mamba_n_heads": 2, "mamba_d_head": 8, "head_dim": 8},
}
PROMPTS = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [14], [15, 16]]
RESPONSES = [[20, 21, 1], [22, 1], [], [23, 24, 25, 26, 27, 28, 1], [29, 1]]


def model_of(kind: str):
    """A tiny model of an architecture, with the biases of its head away from zero where it has them."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SIZES, "vocab_size": VOCABULARY, "pad_token_id": 0, **HEADS[kind]})
    model = AutoModelForCausalLM.from_config(config).eval()
    if getattr(model.get_output_embeddings(), "bias", None) is not None:
        torch.nn.init.normal_(model.get_output_embeddings().bias)
    return model


def whole(model, batch_size: int, monkeypatch) -> list[float]:
    """By the logits of all tokens of a batch."""
    monkeypatch.setattr(logps, "SMALL_VOCABULARY", VOCABULARY)
    return response_logps(model, PROMPTS, RESPONSES, 0, batch_size)


def chunked(model, batch_size: int, monkeypatch, tokens: int = 3) -> list[float]:
    """By at most so many tokens' logits at a time."""
    monkeypatch.setattr(logps, "SMALL_VOCABULARY", 0)
    monkeypatch.setattr(logps, "MOST_LOGITS", tokens * VOCABULARY)
    return response_logps(model, PROMPTS, RESPONSES, 0, batch_size)


@pytest.mark.parametrize("kind", HEADS)
def test_chunks_give_what_whole_logits_give(kind, monkeypatch):
    model = model_of(kind)
    known = whole(model, 5, monkeypatch)
    assert min(known) < -5 and known[2] == 0
    for size in (1, 2, 5):
        assert chunked(model, size, monkeypatch) == pytest.approx(whole(model, size, monkeypatch), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", ["gemma2", "cohere", "granite"])
def test_what_the_head_does_to_logits_matters_here(kind, monkeypatch):
    """The test above would fail for a mere product with the head's weights."""
    model = model_of(kind)
    known = chunked(model, 5, monkeypatch)
    [name] = {"final_logit_softcapping", "logit_scale", "logits_scaling"} & set(HEADS[kind])
    for owner in (model, model.config):
        if hasattr(owner, name):
            setattr(owner, name, None if "cap" in name else 1.0)
    assert abs(sum(chunked(model, 5, monkeypatch)) - sum(known)) > 0.01


def test_adapters_have_their_say(monkeypatch):
    model = get_peft_model(model_of("llama"), LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"))
    before = chunked(model, 5, monkeypatch)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    after = chunked(model, 5, monkeypatch)
    assert after == pytest.approx(whole(model, 5, monkeypatch), rel=1e-6, abs=1e-6)
    assert abs(sum(after) - sum(before)) > 0.1


def test_the_head_sees_a_few_tokens_at_a_time(monkeypatch):
    model, seen = model_of("llama"), []
    model.get_output_embeddings().register_forward_hook(lambda module, args, output: seen.append(args[0].shape[:-1]))
    chunked(model, 5, monkeypatch)
    assert max(shape.numel() for shape in seen) == 3 and sum(shape.numel() for shape in seen) == 14
    assert "forward" not in vars(model.base_model)


def test_a_model_without_a_known_trunk_is_run_by_rows(monkeypatch):
    model, seen = model_of("cohere"), []
    known = whole(model, 5, monkeypatch)
    monkeypatch.setattr(type(model), "base_model_prefix", "elsewhere")
    model.register_forward_hook(lambda module, args, output: seen.append(len(output.logits)))
    assert chunked(model, 5, monkeypatch, tokens=16) == pytest.approx(known, rel=1e-6, abs=1e-6)
    assert seen == [2, 2, 1]  # of 8 tokens each


def test_a_trunk_with_a_hook_in_its_place_keeps_it(monkeypatch):
    model = model_of("llama")
    own, asked = model.base_model.forward, []
    model.base_model.forward = hooked = lambda *args, **kwargs: asked.append(1) or own(*args, **kwargs)
    assert chunked(model, 5, monkeypatch) == pytest.approx(whole(model, 5, monkeypatch), rel=1e-6, abs=1e-6)
    assert model.base_model.forward is hooked and len(asked) == 2


def test_no_response_at_all(monkeypatch):
    monkeypatch.setattr(logps, "SMALL_VOCABULARY", 0)
    assert response_logps(model_of("llama"), [[5, 6]], [[]], 0, 2) == [0]
