"""Reward models in their three formats: scores by hand, in any batch; a checkpoint that is not complete is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from fixtures_models import (
    change_weights,
    chat_tokenizer,
    cpu_device,
    llama_tokenizer,
    neox_tokenizer,
    save_headed,
    trunk_config,
)
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    LlamaForSequenceClassification,
    Qwen2ForSequenceClassification,
)

from pipeline.jobs.io import InputError
from pipeline.rewards.checkpoints import load_reward_network
from pipeline.rewards.saving import save_score_model
from pipeline.rewards.scorer import RewardModel, score_pairs
from pipeline.rewards.texts import reward_text

PROMPTS = ["Why?", "Which colour has a lemon, please? " * 4, "And a cat?", "What is red?\n\nAnd old?", "[INST]"]
RESPONSES = ["So.", "It is yellow.", "", "A lemon is yellow. " * 6, "Thank you for asking! <b>"]
HEADED = {
    "plain head": ("LlamaForScore", "llama", {}),
    "bias": ("LlamaForScore", "llama", {"bias": True}),
    "older name": ("LlamaModelForScore", "llama", {}),
    "affine": ("LlamaForScore", "llama", {"bias": True, "mean": 1.5, "var": 4.0}),
    "scale": ("LlamaForScore", "llama", {"mean": 1.5, "var": 4.0, "normalizer_type": "scale", "score_type": "cost"}),
    "identity": ("LlamaForScore", "llama", {"mean": 1.5, "var": 4.0, "normalizer_type": "identity"}),
    "affine by type": ("LlamaForScore", "llama", {"mean": 1.5, "var": 4.0, "normalizer_type": None}),
    "scale by type": (
        "LlamaForScore",
        "llama",
        {"mean": 1.5, "var": 4.0, "normalizer_type": None, "score_type": "cost"},
    ),
    "eurus": ("EurusRewardModel", "mistral", {}),
    "ultrarm": ("LlamaRewardModel", "llama", {}),
}
FORMATS = {"EurusRewardModel": "eurus", "LlamaRewardModel": "ultrarm"}
NORMALIZERS = {
    "affine": lambda score: (score - 1.5) / 2,
    "scale": lambda score: score / 2,
    "affine by type": lambda score: (score - 1.5) / 2,
    "scale by type": lambda score: score / 2,
}


def load(folder, batch_size: int = 3, **entry) -> RewardModel:
    return RewardModel(str(folder), entry, cpu_device(batch_size))


def token_ids(prompt, response, tokenizer, text_format) -> list[int]:
    return reward_text(prompt, response, tokenizer, text_format).inputs["input_ids"]


def scores_in_batches(folder, **entry) -> list[float]:
    """The scores at batch size one, after other batch sizes and orders have given the same ones."""
    alone = load(folder, 1, **entry).score(PROMPTS, RESPONSES)
    for size in (2, 5):
        assert load(folder, size, **entry).score(PROMPTS, RESPONSES) == pytest.approx(alone, abs=1e-5)
    assert load(folder, 4, **entry).score(PROMPTS[::-1], RESPONSES[::-1])[::-1] == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) == len(alone)
    return alone


# heads of their own


@pytest.mark.parametrize("pad_token", [None, "<pad>"])
@pytest.mark.parametrize("name", HEADED)
def test_a_headed_score_is_the_heads_at_the_last_token(name, pad_token, tmp_path):
    architecture, kind, options = HEADED[name]
    tokenizer = llama_tokenizer(pad_token)
    trunk, weight, bias = save_headed(tmp_path, architecture, kind, tokenizer, **options)
    expected = []
    for prompt, response in zip(PROMPTS, RESPONSES, strict=True):
        ids = token_ids(prompt, response, tokenizer, FORMATS.get(architecture, "beaver"))
        with torch.no_grad():
            last = trunk(torch.tensor([ids])).last_hidden_state[0, -1]
        score = (weight[0] @ last).item() + (0 if bias is None else bias.item())
        expected.append(NORMALIZERS.get(name, float)(score))
    assert scores_in_batches(tmp_path, reverse=False) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_may_be_on_either_side(side, tmp_path):
    tokenizer = llama_tokenizer()
    save_headed(tmp_path, "LlamaForScore", "llama", tokenizer, bias=True)
    model, eos = load_reward_network(str(tmp_path), {}, torch.float32), tokenizer.eos_token_id
    ids = tokenizer("the big cat")["input_ids"] + [eos]
    alone = model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
    pads, ones = [eos] * 7, [1] * len(ids)
    padded, mask = (pads + ids, [0] * 7 + ones) if side == "left" else (ids + pads, ones + [0] * 7)
    torch.testing.assert_close(model(torch.tensor([padded]), torch.tensor([mask])), alone, rtol=0, atol=1e-5)


def test_the_head_stays_in_float32(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer(), bias=True, mean=1.0, var=2.0)
    model = load_reward_network(str(tmp_path), {}, torch.bfloat16)
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.bfloat16}
    assert model.score_head.weight.dtype == model.normalizer.var.dtype == torch.float32
    ids = torch.tensor([[1, 5, 6]])
    assert model(ids, torch.ones_like(ids)).dtype == torch.float32


def test_positions_that_old_checkpoints_hold_are_no_weights(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    before = load(tmp_path).score(PROMPTS, RESPONSES)
    change_weights(tmp_path, model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(4))
    assert load(tmp_path).score(PROMPTS, RESPONSES) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": r"score_head\.weight"}, r"weight score_head\.weight is not there, needed with shape \(1, 16\)"),
        ({"drop": r"score_head\.bias"}, r"weight score_head\.bias is not there, needed with shape \(1,\)"),
        ({"drop": r"normalizer\.var"}, r"weight normalizer\.var is not there, needed with shape \(1,\)"),
        ({"drop": r"layers\.1\.mlp\.up_proj"}, r"weight model\.layers\.1\.mlp\.up_proj\.weight is not there"),
        (
            {"score_head__weight": torch.ones(2, 16)},
            r"weight score_head\.weight is of shape \(2, 16\), needed with shape \(1, 16\)",
        ),
        ({"normalizer__mean": torch.ones(3)}, r"weight normalizer\.mean is of shape \(3,\)"),
        ({"lm_head__weight": torch.ones(4, 16)}, r"weight lm_head\.weight is of shape \(4, 16\), unknown to it"),
        ({"head__weight": torch.ones(1, 16)}, r"weight head\.weight is of shape \(1, 16\), unknown to it"),
    ],
)
def test_an_incomplete_score_model_is_refused(changes, message, tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer(), bias=True, mean=1.0, var=2.0)
    change_weights(tmp_path, **changes)
    with pytest.raises(InputError, match=f"{tmp_path}: {message}"):
        load(tmp_path)


def test_a_missing_regression_head_is_refused(tmp_path):
    save_headed(tmp_path, "EurusRewardModel", "mistral", llama_tokenizer())
    change_weights(tmp_path, drop="regression_head", score_head__weight=torch.ones(1, 16))
    with pytest.raises(InputError, match=r"weight regression_head\.weight is not there"):
        load(tmp_path)


def test_pickled_weights_are_not_read(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=rf"{tmp_path}: no \*\.safetensors there"):
        load(tmp_path)


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: neither config.json"):
        load(tmp_path)


# sequence classifiers


def save_classifier(folder, kind, tokenizer, **fields):
    """Save a one-label classifier on a trunk of trunk_config, or a tiny BERT."""
    torch.manual_seed(3)
    if kind == "bert":
        sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        tokens = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "initializer_range": 0.3}
        config = BertConfig(**sizes, **tokens, num_labels=1, **fields)
    else:
        config = trunk_config(kind, tokenizer, num_labels=1, **fields)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def logits_of_one(model, ids: list[int], **inputs) -> float:
    with torch.no_grad():
        return model(torch.tensor([ids]), **{name: torch.tensor([v]) for name, v in inputs.items()}).logits[0, 0].item()


@pytest.mark.parametrize("pad", ["own", "eos", "none", "another"])
def test_a_classifiers_score_is_its_logit(pad, tmp_path):
    """Whether it has a pad token of its own, pads with its end, has none, or another than its tokenizer."""
    tokenizer = chat_tokenizer() if pad == "own" else neox_tokenizer()
    fields = {"none": {"pad_token_id": None}, "another": {"pad_token_id": 7}}.get(pad, {})
    if pad != "own":
        tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}{{ eos_token }}"
    if pad == "eos":
        tokenizer.pad_token = tokenizer.eos_token
    model = save_classifier(tmp_path, "qwen2", tokenizer, **fields)
    texts = [
        token_ids(prompt, response, tokenizer, "chat_template")
        for prompt, response in zip(PROMPTS, RESPONSES, strict=True)
    ]
    assert scores_in_batches(tmp_path) == pytest.approx([logits_of_one(model, ids) for ids in texts], abs=1e-5)


def test_an_encoder_gets_two_segments(tmp_path):
    tokenizer = llama_tokenizer("<pad>", model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    model = save_classifier(tmp_path, "bert", tokenizer)
    expected = []
    for prompt, response in zip(PROMPTS, RESPONSES, strict=True):
        texts = tokenizer(prompt, response)
        assert response == "" or set(texts["token_type_ids"]) == {0, 1}
        expected.append(logits_of_one(model, texts["input_ids"], token_type_ids=texts["token_type_ids"]))
    assert scores_in_batches(tmp_path) == pytest.approx(expected, abs=1e-5)


def test_a_classifier_without_its_head_is_refused(tmp_path):
    save_classifier(tmp_path, "llama", chat_tokenizer())
    change_weights(tmp_path, drop=r"^score\.")
    with pytest.raises(InputError, match=rf"{tmp_path}: it lacks score\.weight"):
        load(tmp_path)


def test_a_classifier_whose_head_has_another_shape_is_refused(tmp_path):
    save_classifier(tmp_path, "llama", chat_tokenizer())
    change_weights(tmp_path, score__weight=torch.ones(3, 16))
    with pytest.raises(InputError, match=rf"{tmp_path}: .*score\.weight.*\(3, 16\)"):
        load(tmp_path)


def test_a_classifier_of_several_labels_is_refused(tmp_path):
    tokenizer = chat_tokenizer()
    AutoModelForSequenceClassification.from_config(trunk_config("llama", tokenizer, num_labels=3)).save_pretrained(
        tmp_path
    )
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"{tmp_path}: it lacks one label \\(it has 3\\)"):
        load(tmp_path)


def test_a_language_model_is_no_reward_model(tmp_path):
    from transformers import AutoModelForCausalLM

    tokenizer = chat_tokenizer()
    AutoModelForCausalLM.from_config(trunk_config("llama", tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"{tmp_path}: it lacks score.weight"):
        load(tmp_path)


# what the pipeline trains is saved as a score model


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_a_trained_classifier_keeps_its_scores_as_a_score_model(kind, tie, tmp_path):
    tokenizer = chat_tokenizer()
    torch.manual_seed(2)
    classes = {"llama": LlamaForSequenceClassification, "qwen2": Qwen2ForSequenceClassification}
    config = trunk_config(
        kind,
        tokenizer,
        num_labels=1,
        tie_word_embeddings=tie,
        num_key_value_heads=1,
        rms_norm_eps=1e-3,
        rope_parameters={"rope_type": "default", "rope_theta": 123.0},
    )
    classifier = classes[kind](config).eval()
    for parameter in classifier.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # biases and norms too
    save_score_model(classifier, tokenizer, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["architectures"] == ["LlamaForScore"]
    texts = [
        token_ids(prompt, response, tokenizer, "chat_template")
        for prompt, response in zip(PROMPTS, RESPONSES, strict=True)
    ]
    expected = [logits_of_one(classifier, ids) for ids in texts]
    assert scores_in_batches(tmp_path / "model", text_format="chat_template") == pytest.approx(expected, abs=1e-5)
    assert not [path for path in (tmp_path / "model").iterdir() if path.suffix == ".bin"]


def test_other_classifiers_cannot_be_saved_as_a_score_model(tmp_path):
    classifier = AutoModelForSequenceClassification.from_config(trunk_config("mistral", chat_tokenizer(), num_labels=1))
    with pytest.raises(InputError, match=r"a mistral reward model cannot be written .* llama or qwen2"):
        save_score_model(classifier, chat_tokenizer(), tmp_path / "model")
    assert not (tmp_path / "model").exists()


# use


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    save_headed(folder, "LlamaForScore", "llama", llama_tokenizer(), bias=True)
    return folder


def test_reverse_turns_the_sign(folder):
    scores = load(folder).score(PROMPTS, RESPONSES)
    assert load(folder, reverse=True).score(PROMPTS, RESPONSES) == [-score for score in scores]
    assert load(folder, reverse=False).score(PROMPTS, RESPONSES) == scores


def test_the_text_format_of_the_entry_comes_first(folder):
    assert load(folder).text_format == "beaver" and load(folder, text_format="plain").text_format == "plain"
    assert load(folder, text_format="plain").score(PROMPTS, RESPONSES) != load(folder).score(PROMPTS, RESPONSES)


def test_as_a_reward_function_it_scores_the_source_prompts(folder):
    model, templated = load(folder), [f"Human: {prompt}\n\nAssistant:" for prompt in PROMPTS]
    expected = model.score(PROMPTS, RESPONSES)
    completions = [[{"role": "assistant", "content": response}] for response in RESPONSES]
    assert model(prompts=templated, completions=completions, source_prompt=PROMPTS, row=[1] * 5) == expected
    assert model(prompts=PROMPTS, completions=RESPONSES) == expected != model(prompts=templated, completions=RESPONSES)


def test_pairs_get_exactly_three_columns(folder):
    messages = np.array([{"role": "assistant", "content": RESPONSES[1]}], dtype=object)
    frame = pd.DataFrame(
        {
            "note": list("abcde"),
            "prompt": PROMPTS,
            "chosen": [RESPONSES[0], messages, *RESPONSES[2:]],
            "rejected": [*RESPONSES[:0:-1], "no"],
        },
        index=[4, 3, 2, 1, 0],
    )
    before = frame.copy(deep=True)
    scored = score_pairs(frame, load(folder))
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(scored[list(frame.columns)], frame)
    assert list(scored.columns) == [*frame.columns, "chosen_score", "rejected_score", "bt_prob"]
    assert scored.dtypes[["chosen_score", "rejected_score", "bt_prob"]].eq("float64").all()
    assert scored["chosen_score"].tolist() == pytest.approx(load(folder, 5).score(PROMPTS, RESPONSES), abs=1e-5)
    margin = scored["chosen_score"] - scored["rejected_score"]
    assert np.allclose(scored["bt_prob"], 1 / (1 + np.exp(-margin)), rtol=0, atol=1e-15)


def test_a_table_without_rows_gets_the_columns_too(folder):
    scored = score_pairs(pd.DataFrame({"prompt": [], "chosen": [], "rejected": []}, dtype=object), load(folder))
    assert len(scored) == 0 and scored.dtypes[["chosen_score", "rejected_score", "bt_prob"]].eq("float64").all()
