"""What may be read of a reward model's files: pickles and custom code by name alone, adapters, heads."""

import importlib.util
import json
import sys

import pytest
import torch
from fixtures_models import change_weights, chat_tokenizer, cpu_device, llama_tokenizer, save_headed, trunk_config
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from pipeline.config.schema import fill, load_schema, validate
from pipeline.jobs.io import InputError, read_json
from pipeline.rewards import checkpoints
from pipeline.rewards.checkpoints import load_reward_network
from pipeline.rewards.files import content_hash
from pipeline.rewards.saving import save_score_model
from pipeline.rewards.scorer import RewardModel

PROMPTS = ["Why?", "Which colour has a lemon, please? " * 4, "And a cat?"]
RESPONSES = ["So.", "It is yellow.", "A lemon is yellow. " * 6]


def scores(folder, **entry) -> list[float]:
    return RewardModel(str(folder), entry, cpu_device()).score(PROMPTS, RESPONSES)


def save_classifier(folder, language_model: bool = False):
    torch.manual_seed(3)
    tokenizer = chat_tokenizer()
    make = AutoModelForCausalLM if language_model else AutoModelForSequenceClassification
    model = make.from_config(trunk_config("qwen2", tokenizer, **({} if language_model else {"num_labels": 1})))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def into_pickle(folder) -> None:
    """Keep a folder's weights as a pickle alone."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


# pickles and code


@pytest.mark.parametrize("kind", ["score model", "classifier"])
def test_pickles_are_read_by_name_alone(kind, tmp_path):
    if kind == "classifier":
        save_classifier(tmp_path)
    else:
        save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer(), bias=True)
    before = scores(tmp_path)
    into_pickle(tmp_path)
    with pytest.raises(InputError, match=r"pytorch_model\.bin is a pickle, .* only with allow_pickle: true"):
        scores(tmp_path)
    assert scores(tmp_path, allow_pickle=True) == pytest.approx(before, abs=1e-6)  # the weights lie elsewhere in memory


def test_a_pickle_beside_safetensors_is_left_alone(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    before = scores(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert scores(tmp_path) == scores(tmp_path, allow_pickle=True) == before


class Harm:
    """What a malicious pickle holds: unpickling calls a function."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (open, (str(self.place), "w"))


def test_a_pickle_that_is_allowed_runs_nothing(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    into_pickle(tmp_path)
    torch.save({"model.norm.weight": Harm(tmp_path / "harm")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Exception, match="Weights only load failed"):
        scores(tmp_path, allow_pickle=True)
    assert not (tmp_path / "harm").exists()


CODE = """
from pathlib import Path
from transformers import LlamaConfig
Path(__file__).with_name("ran").touch()
Path({marker!r}).touch()
class OwnConfig(LlamaConfig):
    pass
"""


@pytest.mark.parametrize("architecture", ["LlamaForScore", "LlamaForSequenceClassification"])
def test_code_of_a_checkpoint_is_not_run(architecture, tmp_path):
    folder, marker = tmp_path / "model", tmp_path / "ran"
    if architecture == "LlamaForScore":
        save_headed(folder, architecture, "llama", llama_tokenizer())
    else:
        save_classifier(folder)
    before = scores(folder)
    config = read_json(folder / "config.json")
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(CODE.format(marker=str(marker)))
    assert scores(folder) == before and not marker.exists()
    written = validate({"mine": {"path": str(folder)}}, "reward_models", "test")
    entry = fill(written, load_schema("reward_models"))["mine"]
    assert (entry["trust_remote_code"], entry["allow_pickle"], entry["load_in_4bit"]) == (False, False, False)


# adapters


def lora(**fields) -> LoraConfig:
    return LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False, **fields)


def save_adapter(model, base, folder, drop: str | None = None, tokenizer=None, **fields):
    """Put a random adapter on a model that was read from `base`, and save it; the adapted model."""
    torch.manual_seed(8)
    config = lora(**fields)
    adapted = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "modules_to_save" in name:
            parameter.data.normal_()
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(folder)
    if drop:
        file = folder / "adapter_model.safetensors"
        save_file({name: value for name, value in load_file(file).items() if drop not in name}, file)
    if tokenizer:
        tokenizer.save_pretrained(folder)
    return adapted.eval()


def expected(adapted, folder) -> list[float]:
    model = RewardModel(str(folder), {}, cpu_device())
    found = []
    for text in model.inputs(PROMPTS, RESPONSES):
        with torch.no_grad():
            output = adapted(input_ids=torch.tensor([text["input_ids"]]))
        found.append(output.logits[0, 0].item())
    return found


def test_an_adapter_brings_the_head_that_a_language_model_lacks(tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_classifier(base, language_model=True)
    classifier = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    adapted = save_adapter(classifier, base, folder, task_type="SEQ_CLS")
    assert scores(folder) == pytest.approx(expected(adapted, folder), abs=1e-5)
    assert len(set(scores(folder))) == 3


def test_an_adapter_without_a_head_needs_one_in_its_base(tmp_path):
    with_head, without, folder = tmp_path / "with", tmp_path / "without", tmp_path / "adapter"
    save_classifier(without, language_model=True)
    save_classifier(with_head)
    base = AutoModelForSequenceClassification.from_pretrained(with_head)
    adapted = save_adapter(base, with_head, folder)
    assert scores(folder) == pytest.approx(expected(adapted, folder), abs=1e-5)
    assert scores(folder) != pytest.approx(scores(with_head), abs=1e-3)
    config = read_json(folder / "adapter_config.json")
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(without)}))
    with pytest.raises(InputError, match=r"it lacks score\.weight"):
        scores(folder)


def test_a_head_that_an_adapter_only_promises_is_refused(tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_classifier(base, language_model=True)
    classifier = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    save_adapter(classifier, base, folder, drop="score", task_type="SEQ_CLS")
    with pytest.raises(InputError, match=r"it lacks score\.weight"):
        scores(folder)


@pytest.mark.parametrize("head", ["of the base", "of the adapter"])
def test_an_adapter_on_a_score_model(head, tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_headed(base, "LlamaForScore", "llama", llama_tokenizer(), mean=1.0, var=4.0)
    network = load_reward_network(str(base), {}, torch.float32)
    fields = {"modules_to_save": ["score_head"]} if head == "of the adapter" else {}
    adapted = save_adapter(network, base, folder, **fields)
    if fields:
        change_weights(base, drop="score_head")
        with pytest.raises(InputError, match=r"weight score_head\.weight is not there"):
            scores(base)
    model = RewardModel(str(folder), {}, cpu_device())
    assert model.text_format == "beaver"
    wanted = []
    for text in model.inputs(PROMPTS, RESPONSES):
        ids = torch.tensor([text["input_ids"]])
        with torch.no_grad():
            wanted.append(adapted.base_model(input_ids=ids, attention_mask=torch.ones_like(ids)).item())
    assert model.score(PROMPTS, RESPONSES) == pytest.approx(wanted, abs=1e-5)


def test_an_adapter_of_another_shape_is_refused(tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_classifier(base)
    save_adapter(AutoModelForSequenceClassification.from_pretrained(base), base, folder)
    file = folder / "adapter_model.safetensors"
    save_file({name: torch.ones(7, 7) for name in load_file(file)}, file)
    with pytest.raises(InputError, match=f"{folder}: the adapter does not fit its base model"):
        scores(folder)


def test_an_adapter_in_a_pickle_is_read_by_name_alone(tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_classifier(base)
    save_adapter(AutoModelForSequenceClassification.from_pretrained(base), base, folder)
    before = scores(folder)
    file = folder / "adapter_model.safetensors"
    torch.save(load_file(file), folder / "adapter_model.bin")
    file.unlink()
    with pytest.raises(InputError, match=r"adapter_model\.bin is a pickle"):
        scores(folder)
    assert scores(folder, allow_pickle=True) == before


def test_an_adapters_own_tokenizer_comes_first(tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_classifier(base)
    tokenizer = chat_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    model = AutoModelForSequenceClassification.from_pretrained(base)
    save_adapter(model, base, folder, tokenizer=tokenizer)
    assert RewardModel(str(folder), {}, cpu_device()).tokenizer.chat_template == tokenizer.chat_template


# 4 bits, another backend


def test_four_bits_need_cuda(tmp_path):
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    with pytest.raises(InputError, match=f"{tmp_path}: load_in_4bit needs a CUDA device, this one is cpu"):
        scores(tmp_path, load_in_4bit=True)


@pytest.mark.parametrize("kind", ["score model", "classifier"])
def test_four_bits_are_near_the_scores(kind, tmp_path, monkeypatch):
    """By the real bitsandbytes, which has 4 bits on a CPU too, though too slow to be offered."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed, which 4-bit weights need")
    place = "cuda" if torch.cuda.is_available() else "cpu"
    if place == "cpu":
        offered = checkpoints.four_bit
        monkeypatch.setattr(
            checkpoints, "four_bit", lambda what, dtype, place, **rest: offered(what, dtype, "cuda", **rest)
        )
    trunk = {"initializer_range": 0.02, "hidden_size": 64, "intermediate_size": 128}  # wide enough for blocks of 64
    if kind == "classifier":
        tokenizer = chat_tokenizer()
        torch.manual_seed(3)
        config = trunk_config("qwen2", tokenizer, num_labels=1, **trunk)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
    else:
        save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer(), trunk=trunk)
    network = load_reward_network(str(tmp_path), {"load_in_4bit": True}, torch.bfloat16, place)
    held = {type(module).__name__ for module in network.trunk.modules()}
    assert "Linear4bit" in held and "Linear" not in held
    [head] = [module for name, module in network.named_modules() if name.split(".")[-1] in ("score", "score_head")]
    assert type(head) is torch.nn.Linear and head.weight.dtype == torch.float32
    exact = load_reward_network(str(tmp_path), {}, torch.float32, place)
    ids = torch.tensor([[1, 5, 6, 9]], device=place)
    score, wanted = (each(ids, torch.ones_like(ids)) for each in (network, exact))
    assert score.dtype == torch.float32 and score.item() != wanted.item()
    assert score.item() == pytest.approx(wanted.item(), abs=0.25 * head.weight.norm().item())


def test_the_package_safe_rlhf_gives_the_same_scores(tmp_path):
    pytest.importorskip("safe_rlhf", reason="safe_rlhf is not installed; nothing to compare the native scorer with")
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer("<pad>"), bias=True, mean=1.0, var=4.0)
    assert scores(tmp_path, backend="safe_rlhf") == pytest.approx(scores(tmp_path), abs=1e-5)


# What safe_rlhf has under these names, as far as scoring goes: a stand-in where the package is not installed.
SAFE_RLHF = """
from types import SimpleNamespace

import torch
from torch import nn
from transformers import LlamaModel, LlamaPreTrainedModel


class Normalizer(nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("mean", "var", "count"):
            self.register_buffer(name, torch.zeros(1))


class AutoModelForScore(LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.score_head = nn.Linear(config.hidden_size, config.score_dim, bias=config.bias)
        self.normalizer = Normalizer()
        self.post_init()

    def forward(self, input_ids, attention_mask=None):
        assert attention_mask is not None
        scores = self.score_head(self.model(input_ids, attention_mask=attention_mask)[0]).float()
        end_index = torch.cat([mask.nonzero()[-1] for mask in attention_mask])
        end_scores = scores[torch.arange(len(scores)), end_index]
        normal = self.normalizer
        return SimpleNamespace(scores=scores, end_scores=(end_scores - normal.mean) / normal.var.sqrt())
"""


@pytest.mark.parametrize("source", [SAFE_RLHF, "from transformers import NoSuchThing"])
def test_the_backend_safe_rlhf_takes_what_that_package_gives(source, tmp_path, monkeypatch):
    if importlib.util.find_spec("safe_rlhf"):
        pytest.skip("safe_rlhf is installed, which is compared with by itself")
    folder, package = tmp_path / "model", tmp_path / "packages" / "safe_rlhf"
    save_headed(folder, "LlamaForScore", "llama", llama_tokenizer("<pad>"), bias=True, mean=1.0, var=4.0)
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(source)
    monkeypatch.syspath_prepend(package.parent)
    for name in ("safe_rlhf", "safe_rlhf.models"):  # so that they are forgotten again
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    if source == SAFE_RLHF:
        assert scores(folder, backend="safe_rlhf") == pytest.approx(scores(folder), abs=1e-5)
        assert "safe_rlhf.models" in sys.modules
        return
    with pytest.raises(InputError, match=r"backend safe_rlhf: .* cannot be loaded here .*NoSuchThing"):
        scores(folder, backend="safe_rlhf")


def test_a_backend_that_is_not_installed_is_refused(tmp_path):
    if importlib.util.find_spec("safe_rlhf"):
        pytest.skip("safe_rlhf is installed")
    save_headed(tmp_path, "LlamaForScore", "llama", llama_tokenizer())
    with pytest.raises(InputError, match="the package safe_rlhf is not installed"):
        scores(tmp_path, backend="safe_rlhf")


def test_a_hub_id_that_cannot_be_had_is_named():
    with pytest.raises(InputError, match=r"nobody/nothing: the reward model cannot be had .* Give a hub id"):
        scores("nobody/nothing")


# what a checkpoint says of itself


def test_a_trained_model_records_its_text_format(tmp_path):
    classifier = save_classifier(tmp_path / "classifier")
    save_score_model(classifier, chat_tokenizer(), tmp_path / "model", "chat_template")
    assert read_json(tmp_path / "model" / "config.json")["text_format"] == "chat_template"
    model = RewardModel(str(tmp_path / "model"), {}, cpu_device())
    assert model.text_format == "chat_template"
    assert scores(tmp_path / "model") == pytest.approx(scores(tmp_path / "classifier"), abs=1e-5)
    assert RewardModel(str(tmp_path / "model"), {"text_format": "plain"}, cpu_device()).text_format == "plain"


def test_the_hash_is_of_all_that_is_read(tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapter"
    save_classifier(base)
    save_adapter(AutoModelForSequenceClassification.from_pretrained(base), base, folder)
    before = content_hash(str(folder), {})
    assert content_hash(str(folder), {}) == before != content_hash(str(base), {})
    change_weights(base, score__weight=torch.ones(1, 16))
    assert content_hash(str(folder), {}) != before
