"""The reward models that the pipeline trains, as `reward_funcs`."""

import json

import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, llama_tokenizer, trunk_config
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, Qwen3Config

from pipeline.models.checkpoints import save_checkpoint
from pipeline.rewards.saving import save_reward_model, save_score_model
from pipeline.rewards.scorer import RewardModel
from plugin.training import logged
from sail.reward_models import TEXT_FORMATS, ModelReward

PROMPTS = ["What is red?", "What is old and sour?", "Which colour has a lemon, please?"]
DIALOGUE = [{"role": role, "content": text} for role, text in (("user", "Is it old?"), ("assistant", "It is."))]
SYSTEM = {"role": "system", "content": "Be brief."}
ANSWERS = ["It is blue.", "it", "A lemon is yellow. It is small."]


def trained(folder, kind, tokenizer, text_format, **fields):
    """Folder of a reward model as `scripts/train_reward.py` writes it."""
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_config(trunk_config(kind, tokenizer, num_labels=1, **fields))
    save_score_model(model, tokenizer, folder, text_format)
    return str(folder)


def same_scores(folder, prompts=PROMPTS):
    """What the pipeline's scorer gives, which the folder as a reward function gives too."""
    expected = RewardModel(str(folder), {}, cpu_device()).score(prompts, ANSWERS)
    assert len(set(expected)) == len(prompts)
    completions = ANSWERS if isinstance(prompts[0], str) else messages("assistant", ANSWERS)
    assert ModelReward(str(folder))(prompts=prompts, completions=completions) == pytest.approx(expected, abs=1e-5)
    return expected


def messages(role, texts):
    return [[{"role": role, "content": text}] for text in texts]


@pytest.mark.parametrize("text_format", ["chat_template", "beaver", *TEXT_FORMATS])
@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_a_trained_reward_model_gives_the_scores_that_the_pipeline_gives(tmp_path, kind, text_format):
    tokenizer = chat_tokenizer()
    folder = trained(tmp_path / "model", kind, tokenizer, text_format)
    asked = messages("user", PROMPTS)
    assert same_scores(folder, asked) == pytest.approx(same_scores(folder), abs=1e-5)
    same_scores(folder, [[*DIALOGUE, *turns] for turns in asked])
    if text_format != "chat_template":  # whose text is the template's own
        same_scores(folder, [[SYSTEM, *DIALOGUE, *turns] for turns in asked])


def test_a_trained_classifier_of_another_architecture_gives_the_pipeline_s_scores(tmp_path):
    torch.manual_seed(2)
    tokenizer = chat_tokenizer()
    fields = trunk_config("llama", tokenizer).to_dict() | {"head_dim": 8, "model_type": "qwen3", "num_labels": 1}
    model = AutoModelForSequenceClassification.from_config(Qwen3Config(**fields, text_format="plain"))
    save_reward_model(model, tokenizer, tmp_path / "model")
    same_scores(tmp_path / "model")


@pytest.mark.parametrize("pad", ["<pad>", "</s>"])
def test_a_trained_adapter_with_its_head_gives_the_pipeline_s_scores(tmp_path, pad):
    torch.manual_seed(2)
    tokenizer, base = llama_tokenizer(pad_token=pad), tmp_path / "base"
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config("llama", tokenizer)), tokenizer, base)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    model.config.text_format, model.config.pad_token_id = "plain", tokenizer.pad_token_id
    lora = LoraConfig(task_type="SEQ_CLS", target_modules=["q_proj"], init_lora_weights=False)
    save_reward_model(get_peft_model(model, lora), tokenizer, tmp_path / "model")
    same_scores(tmp_path / "model")


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
