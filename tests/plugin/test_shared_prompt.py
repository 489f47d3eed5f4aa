"""A pair's prompt computed once: the same log-probabilities and trainings, or a reason why not."""

from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from torch.nn.attention import flex_attention as flex
from transformers import AutoConfig, AutoModelForCausalLM

from plugin.test_reference import with_reference
from plugin.tiny import SHAPE, new_model, reward, rows, weights
from plugin.training import METHODS, assert_same_weights, logged
from sail import ReferenceColumnsDPOTrainer, SAILTrainer
from sail.reference import Recorder
from sail.shared_prompt import OWN_ATTENTION, SharedPrompt, block_mask, dense_mask, pack, reason_against

LORA = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")


@pytest.fixture
def dpo(make):
    """A trainer of DPO, of a kind of weights."""

    def dpo(adapted=False, data=None, **changes):
        changes |= {"peft_config": LORA if adapted else None}
        return make(ReferenceColumnsDPOTrainer, data, **changes)

    return dpo


def batch_of(trainer, start=0, count=8):
    examples = [trainer.train_dataset[i] for i in range(start, start + count)]
    return trainer.data_collator(examples)


def test_a_row_is_what_the_docstring_draws():
    ids = torch.tensor([[11, 12, 13, 21, 22, 0], [11, 12, 13, 31, 32, 33]])
    labels = torch.tensor([[-100, -100, -100, 21, 22, -100], [-100, -100, -100, 31, 32, 33]])
    attended = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]])
    row, places = pack(ids, attended, labels, multiple=4)
    assert row["input_ids"][0, :9].tolist() == [11, 12, 13, 21, 22, 13, 31, 32, 33]
    assert row["position_ids"][0, :9].tolist() == [0, 1, 2, 3, 4, 2, 3, 4, 5]
    assert row["branches"].tolist() == [[0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]]
    ignored = -100
    assert row["shift_labels"][0, :9].tolist() == [ignored, ignored, 21, 22, ignored, 31, 32, 33, ignored]
    assert (row["shift_labels"][0, 9:] == ignored).all()
    assert places.tolist() == [[0, 1, 2, 3, 4], [0, 1, 5, 6, 7]]
    seen = dense_mask(row["branches"])[0, 0]
    assert seen[6].nonzero()[:, 0].tolist() == [0, 1, 5, 6]
    assert seen[3].nonzero()[:, 0].tolist() == [0, 1, 2, 3]
    assert seen.any(dim=1).all(), "a token that sees nothing has no attention"


def test_the_block_mask_is_the_dense_one():
    branches = torch.tensor([[0] * 5 + [1] * 3 + [2] * 4, [1] * 4 + [2] * 6 + [3] * 2])
    mask = flex.create_mask(block_mask(branches).mask_mod, 2, 1, 12, 12, device="cpu")
    assert torch.equal(mask, dense_mask(branches))


@pytest.mark.parametrize("adapted", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"max_length": 12}, {"max_length": 12, "truncation_mode": "keep_end"}, {"pad_to_multiple_of": 16}],
    ids=["whole", "cut", "cut at the beginning", "padded"],
)
def test_log_probabilities_and_gradients_are_the_same(dpo, adapted, changes):
    trainer = dpo(adapted, **changes)
    if adapted:
        for name, parameter in trainer.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    batch = batch_of(trainer)
    found = []
    for attention in (None, "sdpa", "eager"):
        recorder = Recorder(SharedPrompt(trainer.model, attention) if attention else trainer.model)
        (trainer.model.get_base_model() if adapted else trainer.model).set_attn_implementation(attention or "sdpa")
        recorder.forward(batch)
        logps = recorder.logps(batch)
        trainer.model.zero_grad()
        (logps[0] - 0.5 * logps[1]).sum().backward()
        gradients = [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]
        found.append((torch.cat(logps).detach(), recorder.log_probs.detach(), gradients))
    for logps, tokens, gradients in found[1:]:
        torch.testing.assert_close(logps, found[0][0], rtol=1e-6, atol=0)
        torch.testing.assert_close(tokens, found[0][1], rtol=1e-5, atol=1e-5)
        for one, other in zip(gradients, found[0][2], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("way", ["weights", "autocast"])
def test_in_bf16_they_are_the_same_within_its_rounding(dpo, way):
    trainer = dpo()
    batch = batch_of(trainer)
    exact, found = Recorder(trainer.model), []
    with torch.no_grad():
        exact.forward(batch)
        if way == "weights":
            trainer.model.to(torch.bfloat16)
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
            for model in (trainer.model, SharedPrompt(trainer.model, "sdpa")):
                found.append(Recorder(model))
                found[-1].forward(batch)
    errors = [(torch.cat(each.logps(batch)) - torch.cat(exact.logps(batch))).abs().max().item() for each in found]
    assert 0 < errors[1] < 2 * errors[0]


def test_flex_attention_gives_the_same(dpo, monkeypatch):
    """Forward alone, and not compiled: on a CPU it can do no more."""
    trainer = dpo()
    batch = batch_of(trainer)
    plain, rows_ = Recorder(trainer.model), Recorder(SharedPrompt(trainer.model, OWN_ATTENTION))
    with torch.no_grad():
        plain.forward(batch)
        trainer.model.set_attn_implementation(OWN_ATTENTION)
        name = "transformers.integrations.flex_attention.compile_friendly_flex_attention"
        monkeypatch.setattr(name, lambda *qkv, training=False, **more: flex.flex_attention(*qkv, **more))
        rows_.forward(batch)
        torch.testing.assert_close(torch.cat(rows_.logps(batch)), torch.cat(plain.logps(batch)), rtol=1e-6, atol=0)
        before = plain.log_probs
        plain.forward(batch)  # the reference's passes and generation have no block mask
        torch.testing.assert_close(plain.log_probs, before)


@pytest.mark.parametrize("adapted", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]},
        {"use_weighting": True, "ld_alpha": 0.5},
        {"activation_checkpointing": True},
    ],
    ids=["dpo", "with sft", "weighted", "checkpointing"],
)
def test_dpo_is_the_same_training(dpo, adapted, changes):
    plain, sharing = dpo(adapted, **changes), dpo(adapted, **changes)
    tokens = []
    sharing.share_prompts()
    sharing.model.register_forward_pre_hook(
        lambda module, args, kwargs: tokens.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    plain.train()
    sharing.train()
    assert any(len(shape) == 2 and shape[0] == 8 for shape in tokens), "a row for each pair"
    assert logged(sharing, "loss") == pytest.approx(logged(plain, "loss"), rel=1e-4)
    for name in ("entropy", "logits/chosen", "mean_token_accuracy", "logps/rejected", "num_tokens"):
        assert logged(sharing, name) == pytest.approx(logged(plain, name), rel=1e-3), name
    assert_same_weights(weights(sharing), weights(plain), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("shares", [{}, METHODS["ddp"], METHODS["mix"]], ids=["off", "ddp", "mix"])
def test_sail_is_the_same_training(sail_trainer, shares):
    data = with_reference(sail_trainer(), Dataset.from_list(rows(64)))
    plain, sharing = sail_trainer(data, **shares), sail_trainer(data, share_prompt=True, **shares)
    plain.train()
    sharing.train()
    assert logged(sharing, "loss")[:2] == pytest.approx(logged(plain, "loss")[:2], rel=1e-4)
    assert logged(sharing, "logps/chosen")[:2] == pytest.approx(logged(plain, "logps/chosen")[:2], rel=1e-4)


def test_labels_of_the_plain_mixture_are_drawn_from_the_same_log_probabilities(sail_trainer):
    given = {"r": 0.5, "rho": 0.0, "loss_type": ["hinge"], "max_steps": 2}
    plain, sharing = sail_trainer(**given), sail_trainer(share_prompt=True, **given)
    plain.train()
    sharing.train()
    assert logged(sharing, "loss") == pytest.approx(logged(plain, "loss"), rel=1e-4)


def test_equal_responses_and_evaluation(make):
    data = Dataset.from_list([row | {"rejected": row["chosen"]} for row in rows(8)])
    trainer = make(SAILTrainer, data, eval_data=data, share_prompt=True, max_steps=1, loss_type=["sigmoid"])
    assert trainer.evaluate()["eval_rewards/margins"] == pytest.approx(0, abs=1e-5)
    trainer.train()
    assert trainer.evaluate()["eval_rewards/margins"] == pytest.approx(0, abs=1e-4)


def model_of(**fields):
    """A tiny model of any architecture, attention as transformers chooses it."""
    shape = SHAPE | {"head_dim": 16, "vocab_size": 64, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(**shape | fields))


@pytest.mark.parametrize(
    ("fields", "max_length", "reason"),
    [
        ({"model_type": "gemma3_text", "sliding_window": 32}, 64, "slides over 32 tokens, and sequences may have 64"),
        ({"model_type": "gemma3_text", "sliding_window": 32}, 32, None),
        ({"model_type": "mistral", "sliding_window": 32}, None, "slides over 32 tokens, and sequences may have more"),
        ({"model_type": "mistral", "sliding_window": 64}, 64, None),
        ({"model_type": "qwen2", "sliding_window": 8}, 64, None),
        ({"model_type": "mamba", "state_size": 4}, 64, "keep a state, which no mask"),
        (
            {"model_type": "qwen3_next", "linear_num_key_heads": 2, "linear_num_value_heads": 2, "num_experts": 2},
            64,
            "keep a state, which no mask",
        ),
        (
            {"model_type": "llama", "layer_types": ["chunked_attention", "full_attention"]},
            64,
            "layers of chunked",
        ),
        ({"model_type": "bloom", "n_head": 2}, 64, "takes no positions"),
        ({"model_type": "llama"}, 64, None),
        ({"model_type": "gpt_neox"}, 64, None),
        ({"model_type": "phi3", "sliding_window": 2047}, 1024, None),
    ],
)
def test_what_attention_takes_no_such_mask_is_refused_with_the_reason(fields, max_length, reason):
    found = reason_against(model_of(**fields), max_length)
    assert found is None if reason is None else reason in found


def test_other_reasons(tokenizer, sail_trainer, tmp_path):
    model = new_model(tokenizer)
    assert "router" in reason_against(model, 64, router_loss=True)
    model.set_attn_implementation("flex_attention")
    assert "no backward pass on a CPU" in reason_against(model, 64)
    virtual = SimpleNamespace(
        get_base_model=lambda: new_model(tokenizer),
        peft_config={},
        active_peft_config=SimpleNamespace(is_prompt_learning=True),
    )
    assert "virtual tokens" in reason_against(virtual, 64)
    with pytest.raises(ValueError, match=r"share_prompt: .* slides over 8 tokens, .* 64; leave it off"):
        model_of(model_type="mistral", sliding_window=8, vocab_size=len(tokenizer)).save_pretrained(tmp_path / "slides")
        sail_trainer(model=str(tmp_path / "slides"), share_prompt=True, r=0.5)


def test_a_model_that_takes_no_notice_of_the_mask_is_found_out(dpo, monkeypatch):
    trainer = dpo()
    forward = trainer.model.model.forward
    monkeypatch.setattr(
        trainer.model.model, "forward", lambda *args, attention_mask=None, **kwargs: forward(*args, **kwargs)
    )
    with pytest.raises(ValueError, match="other log-probabilities for rows of pairs; leave it off"):
        trainer.share_prompts()


def test_padding_on_the_left_is_refused(dpo):
    trainer = dpo()
    batch = batch_of(trainer)
    batch["attention_mask"][:, 0] = 0
    with pytest.raises(ValueError, match="padded on the right"):
        Recorder(SharedPrompt(trainer.model, "sdpa")).forward(batch)


def test_without_labels_it_is_the_model():
    assert SharedPrompt(lambda **inputs: inputs, "sdpa")(input_ids=1, labels=None) == {"input_ids": 1, "labels": None}


def test_rewards_of_sampled_pairs(sail_trainer):
    """On-policy pairs go the same way, their reference's log-probabilities too."""
    plain, sharing = (sail_trainer(g=1.0, reward_funcs=reward, max_steps=1, share_prompt=on) for on in (False, True))
    plain.train()
    sharing.train()
    one, other = plain.pool.state_dict(), sharing.pool.state_dict()
    assert [pair["response_ids"] for pair in one] == [pair["response_ids"] for pair in other]
    for a, b in zip(one, other, strict=True):
        assert a["ref_logps"] == pytest.approx(b["ref_logps"], rel=1e-6)
