"""Broken checkpoints of policies: each is one line that names the folder, none is trained from random numbers."""

import re
import shutil

import pytest
import torch
from fixtures_broken import TOKENIZER_FILES, configure, cut, of_text, pickled, planted, refused, rename, without
from fixtures_models import change_weights, chat_tokenizer, trunk_config
from fixtures_templates import CHATML
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from pipeline.jobs.io import InputError
from pipeline.models import template_check
from pipeline.models.checkpoints import load_policy, load_tokenizer, save_checkpoint
from pipeline.models.template_check import check_template

NESTED = "{% for a in range(9999) %}" * 4 + "{% endfor %}" * 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tiny model whose input and output embeddings are tied, so that its file has them once."""
    folder, tokenizer = tmp_path_factory.mktemp("models") / "whole", chat_tokenizer()
    torch.manual_seed(0)
    config = trunk_config("qwen2", tokenizer, tie_word_embeddings=True)
    save_checkpoint(AutoModelForCausalLM.from_config(config), tokenizer, folder)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def adapter(whole, tmp_path_factory):
    """An adapter on it."""
    folder = tmp_path_factory.mktemp("models") / "adapter"
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    save_checkpoint(get_peft_model(load_policy(str(whole)), lora), load_tokenizer(str(whole)), folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of it to break."""
    return shutil.copytree(whole, tmp_path / "model")


MODELS = [
    (
        lambda folder: change_weights(folder, drop=r"layers\.0\.mlp\.up"),
        r"it lacks model\.layers\.0\.mlp\.up_proj",
    ),
    (lambda folder: change_weights(folder, drop="embed_tokens"), r"it lacks .*model\.embed_tokens\.weight"),
    (rename, r"it lacks .* and \d+ more"),
    (
        lambda folder: change_weights(folder, model__norm__weight=torch.ones(3)),
        r"weight model\.norm\.weight is of",
    ),
    (lambda folder: configure(folder, num_hidden_layers=3, layer_types=None), r"it lacks model\.layers\.2\."),
    (pickled, r"pytorch_model\.bin is a pickle.*safetensors"),
    (without("model.safetensors"), r"no model\*\.safetensors there"),
    (cut, "the model cannot be had .*header"),
    (lambda folder: cut(folder, size=0), "the model cannot be had .*header"),
    (without("config.json"), r"neither config\.json nor adapter_config\.json"),
    (of_text("config.json", "{not json"), r"config\.json: not valid JSON"),
    (of_text("config.json", "[" * 9000), r"config\.json: not valid JSON"),
    (of_text("config.json", "[]"), r"config\.json: it must be a JSON object"),
    (lambda folder: configure(folder, model_type="nothing"), "`nothing`.*a kind that the installed transformers has"),
    (lambda folder: configure(folder, model_type="vit"), "ViTConfig.*a kind that the installed transformers has"),
    (lambda folder: configure(folder, num_attention_heads="two"), "num_attention_heads"),
    (planted, "code of its own, which is run where its entry has trust_remote_code: true"),
]
TOKENIZERS = [
    (without(*TOKENIZER_FILES), r"there is no tokenizer, such as a tokenizer\.json"),
    (without("tokenizer.json"), "its tokenizer cannot be had"),
    (lambda folder: cut(folder, "tokenizer.json", 500), "its tokenizer cannot be had .*JSON"),
    (of_text("tokenizer.json", "{}"), "its tokenizer cannot be had"),
    (of_text("tokenizer_config.json", "{"), r"tokenizer_config\.json: not valid JSON"),
]
TEMPLATES = [
    ("{{ raise_exception('not me') }}", "refuses a question with its answer .*not me"),
    ("{{ 1 // 0 }}", "refuses a question with its answer .*ZeroDivisionError"),
    ("{% for %}", "refuses a question with its answer .*TemplateSyntaxError"),
    ("", "is empty or writes nothing"),
    (CHATML.replace("m.content", "('' if m.role == 'assistant' else m.content)"), "leaves out the text of the assist"),
    (CHATML.replace("m.content", "('' if m.role == 'user' else m.content)"), "leaves out the text of the user"),
    (NESTED + CHATML, "does not end within 0.5 seconds"),
]


@pytest.mark.parametrize(("spoil", "said"), MODELS)
def test_a_broken_model_is_one_line(spoil, said, folder):
    spoil(folder)
    assert re.search(said, refused(folder, load_policy))


@pytest.mark.parametrize(("spoil", "said"), TOKENIZERS)
def test_a_broken_tokenizer_is_one_line(spoil, said, folder):
    spoil(folder)
    assert re.search(said, refused(folder, load_tokenizer))


@pytest.mark.parametrize(("template", "said"), TEMPLATES)
def test_a_broken_chat_template_is_one_line(template, said, whole, monkeypatch):
    monkeypatch.setattr(template_check, "SECONDS", 0.5)
    tokenizer = load_tokenizer(str(whole))
    tokenizer.chat_template = template
    assert re.search(said, refused(whole, lambda path: check_template(tokenizer, {"path": path})))


def test_what_is_whole_is_loaded_with_its_tied_weights(whole):
    model = load_policy(str(whole))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    check_template(load_tokenizer(str(whole)), {})


def test_weights_that_are_computed_may_be_missing_or_there(folder):
    change_weights(folder, model__rotary_emb__inv_freq=torch.ones(4))
    load_policy(str(folder))


def test_a_hub_id_that_is_nowhere_is_one_line():
    for load in (load_policy, load_tokenizer):
        with pytest.raises(InputError, match=r"^nobody/nothing: .*; give a hub id that this machine can reach"):
            load("nobody/nothing")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda folder: rename(folder, "adapter_model.safetensors"),
            "does not fit its base .*missing adapter keys",
        ),
        (lambda folder: configure(folder, "adapter_config.json", r=3), "does not fit its base model .*size mismatch"),
        (lambda folder: cut(folder, "adapter_model.safetensors", 100), "the adapter cannot be had .*header"),
        (without("adapter_model.safetensors"), r"no adapter_model\*\.safetensors there"),
        (lambda folder: configure(folder, "adapter_config.json", task_type="SEQ_CLS"), "task_type SEQ_CLS"),
    ],
)
def test_a_broken_adapter_is_one_line(spoil, said, adapter, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    load_policy(str(folder))
    spoil(folder)
    assert re.search(said, refused(folder, load_policy))


def test_an_adapter_on_a_base_that_lacks_a_weight_is_refused(adapter, folder, tmp_path):
    spoilt = shutil.copytree(adapter, tmp_path / "adapter")
    configure(spoilt, "adapter_config.json", base_model_name_or_path=str(folder))
    change_weights(folder, drop=r"layers\.1\.mlp\.up")
    with pytest.raises(InputError, match=rf"^{folder}: it lacks model\.layers\.1\.mlp\.up_proj\.weight"):
        load_policy(str(spoilt))


def test_pickles_of_the_hub_are_refused_and_its_safetensors_read(whole, adapter, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name, folder, stem in (("base", whole, "model"), ("adapter", adapter, "adapter_model")):
        for kept in (True, False):
            cache = tmp_path / f"models--own--{name}-{kept}"
            snapshot = shutil.copytree(folder, cache / "snapshots" / ("a" * 40))
            (cache / "refs").mkdir()
            (cache / "refs" / "main").write_text("a" * 40)
            if not kept:
                pickled(snapshot, stem)
        load_policy(f"own/{name}-True")
        with pytest.raises(InputError, match=rf"^own/{name}-False: .*{stem}\.safetensors"):
            load_policy(f"own/{name}-False")
