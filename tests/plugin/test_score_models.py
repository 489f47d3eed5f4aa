"""The reward models that the pipeline trains, as `reward_funcs`."""

import json

import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, llama_tokenizer, trunk_config
from transformers import AutoModelForSequenceClassification

from pipeline.rewards.checkpoints import save_score_model
from pipeline.rewards.scorer import RewardModel
from plugin.training import logged
from sail.reward_models import TEXT_FORMATS, ModelReward

PROMPTS = ["What is red?", "What is old and sour?", "Which colour has a lemon, please?"]
ANSWERS = ["It is blue.", "it", "A lemon is yellow. It is small."]


def trained(folder, kind, tokenizer, text_format, **fields):
    """Folder of a reward model as `scripts/train_reward.py` writes it."""
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_config(trunk_config(kind, tokenizer, num_labels=1, **fields))
    save_score_model(model, tokenizer, folder, text_format)
    return str(folder)


def messages(role, texts):
    return [[{"role": role, "content": text}] for text in texts]


@pytest.mark.parametrize("text_format", ["chat_template", *TEXT_FORMATS])
@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_a_trained_reward_model_gives_the_scores_that_the_pipeline_gives(tmp_path, kind, text_format):
    tokenizer = chat_tokenizer()
    folder = trained(tmp_path / "model", kind, tokenizer, text_format)
    expected = RewardModel(folder, {}, cpu_device()).score(PROMPTS, ANSWERS)
    assert len(set(expected)) == 3
    own = ModelReward(folder)
    assert own(prompts=PROMPTS, completions=ANSWERS) == pytest.approx(expected, abs=1e-5)
    dialogues = {"prompts": messages("user", PROMPTS), "completions": messages("assistant", ANSWERS)}
    assert own(**dialogues) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("text_format", ["plain", "eurus"])
def test_a_text_s_end_counts_where_it_is_the_pad_token_too(tmp_path, text_format):
    tokenizer = llama_tokenizer(pad_token="</s>")
    folder = trained(tmp_path / "model", "llama", tokenizer, text_format)
    expected = RewardModel(folder, {}, cpu_device()).score(PROMPTS, ANSWERS)
    assert ModelReward(folder)(prompts=PROMPTS, completions=ANSWERS) == pytest.approx(expected, abs=1e-5)


def test_a_score_model_that_normalises_is_refused(tmp_path):
    folder = trained(tmp_path / "model", "llama", chat_tokenizer(), "plain")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"do_normalize": True}))
    with pytest.raises(ValueError, match="a score model with a normaliser or a bias; pass a function"):
        ModelReward(folder)


def test_a_run_is_rewarded_by_its_folder(sail_trainer, tokenizer, tmp_path):
    folder = trained(tmp_path / "model", "qwen2", tokenizer, "plain")
    trainer = sail_trainer(g=0.5, reward_funcs=folder, max_steps=1)
    trainer._refill()
    for pair in trainer.pool.pairs:
        prompt = tokenizer.decode(pair.prompt_ids)
        answers = [tokenizer.decode(ids, skip_special_tokens=True) for ids in pair.response_ids]
        scores = RewardModel(folder, {}, cpu_device()).score([prompt] * 2, answers)
        assert pair.rewards == pytest.approx(scores, abs=1e-4)
    trainer.train()
    assert logged(trainer, "sail/reward")
