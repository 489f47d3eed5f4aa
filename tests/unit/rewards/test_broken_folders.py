"""Broken checkpoints of reward models: each is one line that names the folder, whatever it is that breaks."""

import re
import shutil

import pytest
import torch
from fixtures_broken import TOKENIZER_FILES, configure, cut, of_text, planted, refused, rename, without
from fixtures_models import change_weights, chat_tokenizer, cpu_device, llama_tokenizer, save_headed, trunk_config
from transformers import AutoModelForSequenceClassification

from pipeline.models import template_check
from pipeline.rewards.scorer import RewardModel
from pipeline.training.classifier import starting_classifier

ENDLESS = "{% for a in range(9999) %}" * 4 + "{% endfor %}" * 4


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A tiny sequence classifier with one label."""
    folder, tokenizer = tmp_path_factory.mktemp("models") / "classifier", chat_tokenizer()
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(trunk_config("qwen2", tokenizer, num_labels=1)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def headed(tmp_path_factory):
    """A tiny score model, whose weights are not read by transformers."""
    folder = tmp_path_factory.mktemp("models") / "headed"
    save_headed(folder, "LlamaForScore", "llama", llama_tokenizer())
    return folder


def load(path: str) -> RewardModel:
    return RewardModel(path, {}, cpu_device())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: change_weights(folder, drop=r"layers\.0\.mlp\.up"), r"it lacks model\.layers\.0\.mlp\.up_proj"),
        (rename, r"it lacks .* and \d+ more"),
        (cut, "cannot be had .*header"),
        (without("model.safetensors"), r"no \*\.safetensors there"),
        (of_text("config.json", "{"), r"config\.json: not valid JSON"),
        (
            lambda folder: configure(folder, model_type="nothing"),
            "`nothing`.*a kind that the installed transformers has",
        ),
        (lambda folder: configure(folder, num_attention_heads="two"), "num_attention_heads"),
        (planted, "code of its own, which is run where its entry has trust_remote_code: true"),
        (without(*TOKENIZER_FILES), r"there is no tokenizer, such as a tokenizer\.json"),
        (of_text("tokenizer.json", "{}"), "its tokenizer cannot be had"),
        (of_text("chat_template.jinja", "{{ raise_exception('not me') }}"), "refuses a question .*not me"),
        (of_text("chat_template.jinja", ""), "is empty or writes nothing"),
        (of_text("chat_template.jinja", ENDLESS), "does not end within 0.5 seconds"),
        (of_text("chat_template.jinja", "{{ messages[0].content }}"), "leaves out the text of the assistant"),
    ],
)
def test_a_broken_classifier_is_one_line(spoil, said, classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(template_check, "SECONDS", 0.5)
    folder = shutil.copytree(classifier, tmp_path / "model")
    spoil(folder)
    assert re.search(said, refused(folder, load))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(cut, "the reward model cannot be had .*header"), (of_text("config.json", "[]"), "must be a JSON object")],
)
def test_a_broken_score_model_is_one_line(spoil, said, headed, tmp_path):
    folder = shutil.copytree(headed, tmp_path / "model")
    spoil(folder)
    assert re.search(said, refused(folder, load))


def test_training_starts_from_a_whole_trunk_with_a_new_head(classifier, tmp_path):
    folder = shutil.copytree(classifier, tmp_path / "model")
    change_weights(folder, drop="score")
    spec = {"train": {}, "base": {"path": str(folder)}}
    assert starting_classifier(spec, str(folder), cpu_device()).score.weight.shape == (1, 16)
    change_weights(folder, drop=r"layers\.1\.mlp\.up")
    said = refused(folder, lambda path: starting_classifier(spec, path, cpu_device()))
    assert re.search(r"it lacks model\.layers\.1\.mlp\.up_proj\.weight$", said)
