"""A row's score does not depend on what is beside it; batches keep to their budget; a common beginning is read once."""

import random

import numpy as np
import pandas as pd
import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, llama_tokenizer, save_headed, trunk_config
from transformers import AutoModelForSequenceClassification, BertConfig, DebertaV2Config

from pipeline.rewards import scorer
from pipeline.rewards.batches import Row, packed_rows, padded, plan_batches, single_rows
from pipeline.rewards.networks import CausalScorer
from pipeline.rewards.scorer import RewardModel, score_pairs

ROOM = {"max_position_embeddings": 4096, "initializer_range": 0.1}
ENCODER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, **ROOM}
DEBERTA = {
    **{"relative_attention": True, "position_buckets": 32, "pos_att_type": ["p2c", "c2p"], "share_att_key": True},
    **{"norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0},
}
FORMATS = ["beaver", "eurus", "ultrarm", "chat_template", "plain", "text_pair", "deberta"]


def words(count: int, seed: int) -> str:
    return " ".join(
        random.Random(seed).choices(["lemon", "is", "yellow", "what", "big", "cat", "tree", "old"], k=count)
    )


# About 1 to 2,000 tokens.
PROMPTS = ["a", words(12, 1), words(40, 2), words(150, 3), words(1400, 6)]
RESPONSES = [words(n, 50 + n) for n in (1, 30, 3, 12, 60)]


def save_model(folder, text_format: str, pad: str = "own") -> None:
    """A reward model of the kind that is scored in a format, with a pad token of its own or its end as one."""
    chat = text_format == "chat_template"
    tokenizer = chat_tokenizer() if chat else llama_tokenizer("<pad>" if pad == "own" else "</s>")
    headed = {"beaver": ("LlamaForScore", "llama"), "plain": ("LlamaForScore", "llama")}
    headed |= {"eurus": ("EurusRewardModel", "mistral"), "ultrarm": ("LlamaRewardModel", "llama")}
    if text_format in headed:
        save_headed(
            folder, *headed[text_format], tokenizer, trunk=ROOM, **({"bias": True} if text_format == "beaver" else {})
        )
        return
    torch.manual_seed(4)
    tokens = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "num_labels": 1}
    if chat:
        if pad == "eos":
            tokenizer.pad_token = tokenizer.eos_token
        config = trunk_config("qwen2", tokenizer, num_labels=1, **ROOM)
    elif text_format == "deberta":
        config = DebertaV2Config(**ENCODER, **DEBERTA, **tokens)
    else:
        config = BertConfig(**ENCODER, **tokens)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder, text_format: str, batch_size: int = 4, **changes) -> RewardModel:
    form = "text_pair" if text_format == "deberta" else text_format
    return RewardModel(str(folder), {"text_format": form}, cpu_device(batch_size, **changes))


@pytest.mark.parametrize("pad", ["eos", pytest.param("own", marks=pytest.mark.slow)])
@pytest.mark.parametrize("text_format", FORMATS)
def test_a_score_does_not_depend_on_its_batch(text_format, pad, tmp_path):
    save_model(tmp_path, text_format, pad)
    model = load(tmp_path, text_format, 3)
    assert model.tokenizer.padding_side == "left"
    inputs = model.inputs(PROMPTS, RESPONSES)
    lengths = [len(text["input_ids"]) for text in inputs]
    assert min(lengths) < 30 and max(lengths) > 1900 and not model.truncated
    with torch.no_grad():
        alone = [model.network(**padded([text], 0)).item() for text in inputs]
    assert len({round(score, 6) for score in alone}) == len(alone)
    assert model.score(PROMPTS, RESPONSES) == pytest.approx(alone, abs=1e-5)
    model.tokenizer.padding_side, model.batch_size = "right", 5
    assert model.score(PROMPTS, RESPONSES) == pytest.approx(alone, abs=1e-5)
    if isinstance(model.network, CausalScorer):
        for side in ("left", "right"):
            with torch.no_grad():
                scores = model.network(**padded(inputs, model.tokenizer.eos_token_id, side)).tolist()
            assert scores == pytest.approx(alone, abs=1e-5), side


@pytest.mark.parametrize("text_format", ["beaver", "eurus", "chat_template", "deberta"])
def test_shared_prompts_give_the_same_scores(text_format, tmp_path):
    save_model(tmp_path, text_format)
    model = load(tmp_path, text_format, score_tokens=1500)
    # Three answers to most prompts, one that begins like another, and one that is another.
    prompts = [prompt for prompt in PROMPTS[:4] for _ in range(3)]
    responses = [text for response in RESPONSES[:4] for text in (response, response + " is", words(6, 9))]
    prompts, responses = [*prompts, PROMPTS[3]], [*responses, words(6, 9)]
    scores = model.score_once(prompts, responses)
    assert scores == pytest.approx(load(tmp_path, text_format, 1).score(prompts, responses), abs=1e-5)
    assert scores[-1] == scores[11]
    assert model.shares_prompts == (text_format != "deberta")


@pytest.mark.parametrize("prompt", PROMPTS[2:4])
def test_a_text_that_ends_in_the_pad_token_is_scored_at_the_same_place_with_a_shared_prompt(prompt, tmp_path):
    """Like transformers a classifier passes over its pad token; here that is the end which every text has."""
    tokenizer = chat_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}{{ eos_token }}"
    torch.manual_seed(4)
    config = trunk_config("qwen2", tokenizer, num_labels=1, **ROOM)
    classifier = AutoModelForSequenceClassification.from_config(config)
    classifier.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = load(tmp_path, "chat_template")
    prompts, responses = [prompt] * 3, ["", *RESPONSES[1:3]]
    inputs = [text["input_ids"] for text in model.inputs(prompts, responses)]
    assert all(ids[-1] == config.pad_token_id for ids in inputs)
    assert any(row.shared for row in packed_rows(inputs, [range(3)]))
    with torch.no_grad():
        logits = [classifier.eval()(torch.tensor([ids])).logits[0, 0].item() for ids in inputs]
    assert model.score(prompts, responses) == pytest.approx(logits, abs=1e-5)
    assert model.score_once(prompts, responses) == pytest.approx(logits, abs=1e-5)


def test_pairs_with_long_prompts_share_them(tmp_path, monkeypatch):
    save_model(tmp_path, "beaver")
    model, seen = load(tmp_path, "beaver"), []
    forward = model.network.forward_packed
    monkeypatch.setattr(model.network, "forward_packed", lambda **inputs: seen.append(inputs) or forward(**inputs))
    frame = pd.DataFrame({"prompt": PROMPTS, "chosen": RESPONSES, "rejected": RESPONSES[::-1]})
    scored = score_pairs(frame, model)
    assert len(seen) > 0
    for name in ("chosen", "rejected"):
        assert scored[f"{name}_score"].tolist() == pytest.approx(model.score(PROMPTS, frame[name]), abs=1e-5)


def test_pairs_with_short_prompts_are_scored_as_each_column_alone(tmp_path):
    """To the last bit: what shares nothing is put into the same batches."""
    save_model(tmp_path, "beaver")
    model, short = load(tmp_path, "beaver"), [f"Why {i}?" for i in range(11)]
    frame = pd.DataFrame({"prompt": short, "chosen": [words(i + 9, i) for i in range(11)]})
    frame["rejected"] = [words(30 - i, 100 + i) for i in range(11)]
    scored = score_pairs(frame, model)
    for name in ("chosen", "rejected"):
        assert scored[f"{name}_score"].tolist() == model.score(short, frame[name])


def test_each_distinct_text_is_scored_once(tmp_path, monkeypatch):
    save_model(tmp_path, "beaver")
    model, counted = load(tmp_path, "beaver"), []
    batch = model.score_batch
    monkeypatch.setattr(model, "score_batch", lambda rows, inputs: counted.extend(rows) or batch(rows, inputs))
    frame = pd.DataFrame({"prompt": ["a", "b"] * 6, "chosen": ["x", "y"] * 6, "rejected": ["y", "x"] * 6})
    scored = score_pairs(frame, model)
    assert sum(len(row.texts) for row in counted) == 4
    assert scored["chosen_score"].nunique() == 2 and scored["rejected_score"].nunique() == 2


def test_in_bfloat16_the_head_and_the_sum_are_float32(tmp_path):
    for text_format in ("beaver", "chat_template", "deberta"):
        folder = tmp_path / text_format
        save_model(folder, text_format)
        model = RewardModel(
            str(folder),
            {"text_format": "text_pair" if text_format == "deberta" else text_format},
            cpu_device(4, dtype=torch.bfloat16),
        )
        heads = [
            module
            for name, module in model.network.named_modules()
            if name.split(".")[-1] in ("score_head", "score", "classifier") and isinstance(module, torch.nn.Linear)
        ]
        assert heads and all(parameter.dtype == torch.float32 for head in heads for parameter in head.parameters())
        embedding = next(module for module in model.network.modules() if isinstance(module, torch.nn.Embedding))
        assert embedding.weight.dtype == torch.bfloat16
        seen = []
        heads[0].register_forward_hook(lambda module, inputs, output, seen=seen: seen.append((inputs[0], output)))
        scores = model.score(PROMPTS[:3], RESPONSES[:3])
        assert all(tensor.dtype == torch.float32 for pair in seen for tensor in pair)
        # More digits than bfloat16 holds, and the score of the same model in float32 but for the trunk's digits.
        assert any(torch.tensor(score).bfloat16().item() != score for score in scores)
        exact = load(folder, text_format).score(PROMPTS[:3], RESPONSES[:3])
        assert scores == pytest.approx(exact, abs=0.15)


# the plan


@pytest.mark.parametrize(("size", "tokens"), [(4, 100), (32, 50), (1, 10), (3, 10_000)])
def test_batches_keep_to_their_budget(size, tokens):
    lengths = np.random.default_rng(0).integers(1, 60, 200).tolist()
    batches = plan_batches(single_rows([[0] * length for length in lengths]), size, tokens)
    flat = [row for batch in batches for row in batch]
    assert sorted(row.texts[0] for row in flat) == list(range(200))
    assert [row.length for row in flat] == sorted(lengths)
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        assert len(batch) <= size and (len(batch) == 1 or len(batch) * batch[-1].length <= tokens)
        if following:  # another row would not have fitted
            assert len(batch) == size or (len(batch) + 1) * following[0].length > tokens


def test_without_a_budget_that_binds_batches_are_of_a_fixed_size():
    texts = [[0] * length for length in (5, 3, 9, 3, 7)]
    batches = plan_batches(single_rows(texts), 2, 10**6)
    assert [[row.texts[0] for row in batch] for batch in batches] == [[1, 3], [0, 4], [2]]


def test_a_common_beginning_is_packed_where_it_saves_a_quarter():
    long, short = list(range(100)), list(range(5))
    texts = [[*long, 1, 2], [*long, 1, 3], [*long, 4], [*short, *range(50, 80)], [*short, *range(60, 90)], [9]]
    rows = packed_rows(texts, [(0, 1, 2), (3, 4), (5,)])
    assert rows == [Row((0, 1, 2), 100, 105), Row((3,), 0, 35), Row((4,), 0, 35), Row((5,), 0, 1)]
    assert packed_rows(texts[3:], [(0, 1), (2,)]) == single_rows(texts[3:])
    # Nothing is packed where little is saved over all.
    assert packed_rows([*texts, [7] * 5000], [(0, 1, 2), (3, 4), (5,), (6,)]) == single_rows([*texts, [7] * 5000])


def test_a_text_that_begins_another_keeps_a_token_of_its_own():
    texts = [[1] * 40, [1] * 41]
    assert packed_rows(texts, [(0, 1)]) == [Row((0, 1), 39, 42)]


# limits


def test_the_models_own_maximum_is_the_default_limit(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    model = RewardModel(str(tmp_path), {}, cpu_device())
    assert model.max_length == 256
    model.score(PROMPTS, RESPONSES)
    roomy = RewardModel(str(tmp_path), {"max_length": 9999}, cpu_device())
    lengths = [len(text["input_ids"]) for text in roomy.inputs(PROMPTS, RESPONSES)]
    assert roomy.truncated == 0 and model.truncated == sum(length > 256 for length in lengths) > 0
    shorter = RewardModel(str(tmp_path), {"max_length": 60}, cpu_device())
    assert all(len(text["input_ids"]) <= 60 for text in shorter.inputs(PROMPTS, RESPONSES))
    assert shorter.truncated == sum(length > 60 for length in lengths) > model.truncated
    assert shorter.score(PROMPTS[:1], RESPONSES[:1]) == model.score(PROMPTS[:1], RESPONSES[:1])


def test_an_encoders_limit_is_its_tokenizers_too(tmp_path):
    save_model(tmp_path, "deberta")
    assert load(tmp_path, "deberta").max_length == 4096
    tokenizer = llama_tokenizer("<pad>", model_max_length=512)
    tokenizer.save_pretrained(tmp_path)
    assert load(tmp_path, "deberta").max_length == 512


def test_a_reward_function_says_once_that_texts_are_cut(tmp_path, capsys):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    model = RewardModel(str(tmp_path), {}, cpu_device())
    model(PROMPTS[:1], RESPONSES[:1])
    assert capsys.readouterr().out == ""
    model(PROMPTS[-1:], RESPONSES[:1])
    model(PROMPTS[-1:], RESPONSES[:1])
    assert capsys.readouterr().out.count("texts above 256 tokens lose their beginning") == 1 and model.truncated == 2


def test_the_budget_of_tokens_is_the_devices(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    model = RewardModel(str(tmp_path), {}, cpu_device(7))
    assert (model.batch_size, model.tokens) == (7, scorer.TOKENS)
    assert RewardModel(str(tmp_path), {}, cpu_device(7, score_tokens=99), batch_size=3).tokens == 99
