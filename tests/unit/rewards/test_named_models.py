"""Tiny checkpoints with the config fields of the reward models that config/reward_models.yaml names."""

import json

import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, llama_tokenizer, neox_tokenizer, trunk_config
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    Gemma2Config,
    LlamaConfig,
    Qwen3Config,
)

from pipeline.config.entries import read_entries
from pipeline.config.settings import ROOT
from pipeline.jobs.io import InputError, read_json
from pipeline.rewards.scorer import RewardModel
from pipeline.rewards.texts import reward_text

PROMPTS = ["Why?", "Which colour has a lemon, please? " * 4, "And a cat?", "What is red?", "[INST]"]
RESPONSES = ["So.", "It is yellow.", "", "A lemon is yellow. " * 6, "Thank you for asking! <b>"]
ONE_LABEL = {"id2label": {0: "LABEL_0"}, "label2id": {"LABEL_0": 0}}
# As the checkpoints on the hub have them.
KINDS = {
    "Skywork-Reward-V2-Qwen3": (Qwen3Config, {"head_dim": 8, "pad_token_id": 0, "tie_word_embeddings": True}),
    "Skywork-Reward-V2-Llama": (LlamaConfig, {"pad_token_id": None, "rope_parameters": {"rope_type": "default"}}),
    "Skywork-Reward-Gemma-2": (Gemma2Config, {"head_dim": 8, "sliding_window": 16, "attn_logit_softcapping": 50.0}),
    "RM-RB2": (LlamaConfig, {"pad_token_id": 0}),
}


def config_of(tokenizer, config=LlamaConfig, **fields):
    base = trunk_config("llama", tokenizer).to_dict()
    base = {key: value for key, value in base.items() if key not in ("model_type", "architectures", "rope_parameters")}
    rope = fields.pop("rope_parameters", None)
    return config(**base | ONE_LABEL | fields | ({"rope_parameters": {**rope, "rope_theta": 1e5}} if rope else {}))


def save(folder, tokenizer, model):
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def load(folder, batch_size=3, **entry):
    return RewardModel(str(folder), entry, cpu_device(batch_size))


def texts(tokenizer, text_format="chat_template"):
    pairs = zip(PROMPTS, RESPONSES, strict=True)
    return [reward_text(*pair, tokenizer, text_format).inputs["input_ids"] for pair in pairs]


def one_by_one(model, tokenizer, text_format="chat_template"):
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0, 0].item() for ids in texts(tokenizer, text_format)]


@pytest.mark.parametrize("name", KINDS)
def test_a_classifier_s_score_is_its_own_logit_in_any_batch(name, tmp_path):
    kind, fields = KINDS[name]
    tokenizer = chat_tokenizer()
    if fields.get("pad_token_id", 0) is None:  # one whose tokenizer has no pad token either
        tokenizer.pad_token = None
    torch.manual_seed(1)
    config = config_of(tokenizer, kind, **fields)
    model = save(tmp_path, tokenizer, AutoModelForSequenceClassification.from_config(config))
    assert len(read_json(tmp_path / "config.json")["id2label"]) == 1
    expected = one_by_one(model, tokenizer)
    for size in (1, 2, 5):
        assert load(tmp_path, size, text_format="chat_template").score(PROMPTS, RESPONSES) == pytest.approx(
            expected, abs=1e-5
        )
    assert len(set(expected)) == 5


def test_a_pad_token_that_the_model_has_no_row_for_is_never_read(tmp_path):
    tokenizer = chat_tokenizer()
    rows = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    config = config_of(tokenizer, vocab_size=rows, pad_token_id=None)
    model = save(tmp_path, tokenizer, AutoModelForSequenceClassification.from_config(config))
    expected = one_by_one(model, tokenizer)
    assert load(tmp_path).score(PROMPTS, RESPONSES) == pytest.approx(expected, abs=1e-5)
    content = read_json(tmp_path / "config.json") | {"pad_token_id": rows}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert load(tmp_path).score(PROMPTS, RESPONSES) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match=rf"its tokenizer has a token {rows} \('\[PAD\]'\), its model only {rows}"):
        load(tmp_path).score(["[PAD]"], ["So."])


@pytest.mark.parametrize("make", [neox_tokenizer, llama_tokenizer])
def test_a_format_that_is_guessed_is_said(make, tmp_path, capsys):
    tokenizer = make()
    save(tmp_path, tokenizer, AutoModelForSequenceClassification.from_config(config_of(tokenizer)))
    assert load(tmp_path).text_format == "text_pair"
    said = capsys.readouterr().out
    assert f"{tmp_path}: its tokenizer has no chat template, so texts are scored in the format text_pair" in said
    assert load(tmp_path, text_format="plain").text_format == "plain" and not capsys.readouterr().out


def test_the_first_logit_of_a_language_model_is_a_reward_where_its_entry_says_so(tmp_path):
    tokenizer = chat_tokenizer()
    torch.manual_seed(1)
    model = save(tmp_path, tokenizer, AutoModelForCausalLM.from_config(config_of(tokenizer)))
    with torch.no_grad():
        expected = [model(torch.tensor([ids])).logits[0, -1, 0].item() for ids in texts(tokenizer)]
    for size in (1, 3):
        scores = load(tmp_path, size, head="first_logit").score(PROMPTS, RESPONSES)
        assert scores == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match=r"it lacks score\.weight"):
        load(tmp_path)


# code of their own

CODE = """
from dataclasses import dataclass
import torch
from torch import nn
from transformers import LlamaModel, LlamaPreTrainedModel
from transformers.utils import ModelOutput
{more}

@dataclass
class Output(ModelOutput):
    rewards: torch.FloatTensor = None
    score: torch.FloatTensor = None
    logits: torch.FloatTensor = None


class Gated(LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.regression_layer = nn.Linear(config.hidden_size, 3, bias=False)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, **others):
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        last = attention_mask.sum(1) - 1
        rewards = self.regression_layer(hidden[torch.arange(len(hidden)), last])
        score = rewards{taken}
        return Output(rewards=rewards, score=score, logits=score)
"""


def save_gated(folder, taken=".mean(dim=1)", more=""):
    """A checkpoint like ArmoRM's: several objectives, told by its code into one number per text; the tokenizer."""
    tokenizer = chat_tokenizer()
    torch.manual_seed(1)
    fields = config_of(tokenizer, id2label={i: f"LABEL_{i}" for i in range(10)}, label2id=None)
    weights = AutoModelForSequenceClassification.from_config(fields)
    weights.regression_layer = torch.nn.Linear(fields.hidden_size, 3, bias=False)
    del weights.score
    save(folder, tokenizer, weights)
    content = read_json(folder / "config.json") | {"architectures": ["Gated"]}
    content["auto_map"] = {"AutoModelForSequenceClassification": "own.Gated"}
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "own.py").write_text(CODE.format(taken=taken, more=more))
    with torch.no_grad():
        last = [weights.model(torch.tensor([ids])).last_hidden_state[0, -1] for ids in texts(tokenizer)]
        return [weights.regression_layer(hidden).mean().item() for hidden in last]


@pytest.fixture
def own_modules(monkeypatch, tmp_path):
    """transformers keeps the code that it runs in the test's own folder."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))


def test_a_reward_model_s_own_code_gives_the_score_where_its_entry_trusts_it(own_modules, tmp_path):
    expected = save_gated(tmp_path / "gated")
    for size in (1, 3):
        scores = load(tmp_path / "gated", size, trust_remote_code=True).score(PROMPTS, RESPONSES)
        assert scores == pytest.approx(expected, abs=1e-5) and len(set(scores)) == 5
    with pytest.raises(InputError, match=r"it lacks score\.weight.*brings code of its own.*trust_remote_code: true"):
        load(tmp_path / "gated")


def test_own_code_that_gives_several_numbers_or_does_not_run_is_refused(own_modules, tmp_path):
    save_gated(tmp_path / "many", taken="")
    with pytest.raises(InputError, match=r"code gives of shape \(3, 3\) for 3 texts, not a score for each"):
        load(tmp_path / "many", trust_remote_code=True).score(PROMPTS[:3], RESPONSES[:3])
    save_gated(tmp_path / "old", more="from transformers.models.llama.modeling_llama import GONE")
    with pytest.raises(InputError, match=r"its own code cannot be run with transformers .*GONE"):
        load(tmp_path / "old", trust_remote_code=True)


def test_the_entries_say_text_length_and_what_is_run():
    entries = read_entries("reward_models", {}, ROOT, "config")
    of_today = {name: entry for name, entry in entries.items() if entry.get("text_format") == "chat_template"}
    assert len(of_today) == 11
    assert all(entry["max_length"] in (4096, 16384) for entry in of_today.values())
    assert [name for name, entry in of_today.items() if entry["trust_remote_code"]] == ["armorm-8b"]
    assert [name for name, entry in of_today.items() if entry.get("head")] == ["nemotron-70b"]
