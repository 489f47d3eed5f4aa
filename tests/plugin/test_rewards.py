"""Reward models as reward functions."""

import pytest
import torch
from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForSequenceClassification

from plugin.tiny import SHAPE, rows
from sail import SAILConfig, SAILTrainer
from sail.reward_models import ModelReward
from sail.rewards import reward_function


def classifier(tokenizer, labels=1):
    config = Qwen2Config(vocab_size=len(tokenizer), num_labels=labels, pad_token_id=tokenizer.pad_token_id, **SHAPE)
    torch.manual_seed(3)
    return Qwen2ForSequenceClassification(config).eval()


@pytest.fixture
def folder(tokenizer, tmp_path):
    path = tmp_path / "classifier"
    classifier(tokenizer).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def texts():
    table = rows(20)
    return [row["prompt"] for row in table], [row["chosen"] for row in table]


def test_a_reward_is_the_classifier_s_logit_of_the_whole_text(tokenizer, texts):
    model = classifier(tokenizer)
    rewards = ModelReward(model, tokenizer, batch_size=6)(*texts)
    for prompt, completion, reward in zip(*texts, rewards, strict=True):
        ids = torch.tensor([tokenizer(prompt + completion)["input_ids"]])
        with torch.no_grad():
            assert reward == pytest.approx(model(ids).logits.item(), abs=1e-5)
    assert len(set(rewards)) > 10


def test_a_reward_does_not_depend_on_its_batch(tokenizer, texts):
    model = classifier(tokenizer)
    alone = ModelReward(model, tokenizer, batch_size=1)(*texts)
    assert ModelReward(model, tokenizer, batch_size=20)(*texts) == pytest.approx(alone, abs=1e-5)


def test_messages_go_through_the_classifier_s_chat_template(tokenizer):
    model = classifier(tokenizer)
    prompt, completion = [{"role": "user", "content": "say red"}], [{"role": "assistant", "content": "red"}]
    (reward,) = ModelReward(model, tokenizer)([prompt], [completion])
    text = tokenizer.apply_chat_template(prompt + completion, tokenize=False)
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        assert reward == pytest.approx(model(ids).logits.item(), abs=1e-5)


def test_a_folder_brings_its_own_tokenizer(folder, tokenizer, texts):
    expected = ModelReward(classifier(tokenizer), tokenizer)(*texts)
    for given in (str(folder), [str(folder)]):
        rewards = reward_function(given, None, "cpu")
        assert rewards(prompts=texts[0], completions=texts[1]) == pytest.approx(expected, abs=1e-6)
        assert rewards.names == ["classifier"]


def test_what_is_no_reward_model_is_refused(tokenizer, checkpoint):
    with pytest.raises(ValueError, match="has one label"):
        ModelReward(classifier(tokenizer, labels=2), tokenizer)
    with pytest.raises(ValueError, match=r"tiny\d*: it lacks score\.weight; it is no reward model"):
        ModelReward(str(checkpoint))


def test_a_classifier_labels_the_rollouts_of_a_run(folder, checkpoint, tokenizer, tmp_path):
    args = SAILConfig(
        str(tmp_path),
        g=0.5,
        max_steps=2,
        per_device_train_batch_size=8,
        rollout_prompts=8,
        rollout_max_new_tokens=6,
        logging_steps=1,
        bf16=False,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
    )
    data = Dataset.from_list(rows(16))
    trainer = SAILTrainer(
        str(checkpoint), args=args, train_dataset=data, processing_class=tokenizer, reward_funcs=str(folder)
    )
    trainer._refill()
    for pair in trainer.pool.pairs:
        prompt = tokenizer.decode(pair.prompt_ids)
        answers = [tokenizer.decode(ids, skip_special_tokens=True) for ids in pair.response_ids]
        rewards = ModelReward(classifier(tokenizer), tokenizer)([prompt] * 2, answers)
        assert pair.rewards == pytest.approx(rewards, abs=1e-4)
        assert pair.identical or pair.rewards[pair.preferred] == max(pair.rewards)
    trainer.train()
    logs = {name: value for entry in trainer.state.log_history for name, value in entry.items()}
    assert logs["sail/reward_preferred"] >= logs["sail/reward_other"]
    names = {"sail/kl", "sail/dpo_loss", "sail/rollouts_per_second", "sail/extra_loss_dpr"}
    assert names <= logs.keys() and logs["sail/rollouts_per_second"] > 0
