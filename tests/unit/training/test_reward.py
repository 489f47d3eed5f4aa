"""Training of reward models: from any start, all weights or adapters; saved, they score as they did in training."""

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset, disable_progress_bars
from fixtures_models import chat_tokenizer, cpu_device, llama_tokenizer, neox_tokenizer, trunk_config
from fixtures_training import FRAME, LORA, TRAINING
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    Gemma2Config,
    GPTNeoXConfig,
    MambaConfig,
    Qwen3Config,
)
from trl import RewardConfig, RewardTrainer

from pipeline.jobs.io import InputError, read_json
from pipeline.models.checkpoints import load_tokenizer, save_checkpoint
from pipeline.rewards.saving import save_reward_model
from pipeline.rewards.scorer import RewardModel
from pipeline.training.classifier import is_merged
from pipeline.training.reward import own_share, reward_dataset, reward_trainer
from pipeline.training.running import train_and_save
from pipeline.training.sft import sft_trainer

disable_progress_bars()
OTHERS = {"qwen3": Qwen3Config, "gemma2": Gemma2Config, "gpt_neox": GPTNeoXConfig, "mamba": MambaConfig}


def save_base(folder, kind, tokenizer):
    torch.manual_seed(0)
    if kind in OTHERS:
        config = OTHERS[kind](**trunk_config("llama", tokenizer).to_dict() | {"head_dim": 8, "model_type": kind})
    else:
        config = trunk_config(kind, tokenizer)
    save_checkpoint(AutoModelForCausalLM.from_config(config), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Folder of a tiny Qwen2 with a chat template."""
    return save_base(tmp_path_factory.mktemp("base") / "model", "qwen2", chat_tokenizer())


def train_reward(model, folder, spec=None, **given):
    """Train and save; the scores of the chosen and rejected texts by the trained classifier itself, in one batch."""
    spec = {"train": TRAINING | given, **(spec or {})}
    trainer = reward_trainer(spec, FRAME, str(model), cpu_device(), str(folder / "scratch"))
    merge, scores = is_merged(spec, str(model)), []

    def save(trained, *arguments, **others):
        texts = trainer.data_collator([trainer.train_dataset[i] for i in range(len(FRAME))])
        with torch.no_grad():
            logits = trained.eval()(input_ids=texts["input_ids"], attention_mask=texts["attention_mask"]).logits
        scores.extend(logits[:, 0].tolist())
        save_reward_model(trained, *arguments, merge=merge, **others)

    train_and_save(trainer, trainer.processing_class, folder, cpu_device(), save)
    return scores


def loaded_scores(folder):
    """The same scores by the saved model, loaded without an entry."""
    model = RewardModel(str(folder / "model"), {}, cpu_device(3))
    return model.score([*FRAME["prompt"]] * 2, [*FRAME["chosen"], *FRAME["rejected"]])


def test_a_reward_model_learns_the_preferences(base, tmp_path):
    train_reward(base, tmp_path, max_steps=30, epochs=15)
    model = RewardModel(str(tmp_path / "model"), {"text_format": "chat_template"}, cpu_device(3))
    chosen, rejected = (model.score(FRAME["prompt"].tolist(), FRAME[name].tolist()) for name in ("chosen", "rejected"))
    assert np.mean(np.array(chosen) > np.array(rejected)) == 1


def test_the_head_follows_its_seed(base, tmp_path):
    heads = [
        reward_trainer({"train": TRAINING | {"seed": seed}}, FRAME, str(base), cpu_device(), str(tmp_path)).model.score
        for seed in (0, 0, 1)
    ]
    assert torch.equal(heads[0].weight, heads[1].weight) and not torch.equal(heads[0].weight, heads[2].weight)


@pytest.mark.parametrize(
    ("kind", "make", "message"),
    [
        ("mamba", chat_tokenizer, "a mamba, of which transformers has no sequence classifier"),
        ("llama", llama_tokenizer, "has no chat template"),
    ],
)
def test_what_cannot_become_a_reward_model_is_refused_before_training(kind, make, message, tmp_path):
    folder = save_base(tmp_path / "model", kind, make())
    spec = {"train": TRAINING, "text_format": "chat_template"}
    with pytest.raises(InputError, match=message):
        reward_trainer(spec, FRAME, str(folder), cpu_device(), str(tmp_path / "scratch"))


def test_a_reward_model_is_trained_on_the_texts_that_it_scores(base, tmp_path):
    """With a chat template these are what RewardTrainer itself makes of the pairs."""
    tokenizer = load_tokenizer(str(base))
    own = reward_dataset(FRAME, tokenizer, "chat_template", 128)
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    columns = {name: [[{"role": role, "content": text}] for text in FRAME[name]] for name, role in roles.items()}
    trainer = RewardTrainer(
        AutoModelForSequenceClassification.from_pretrained(base, num_labels=1),
        args=RewardConfig(output_dir=str(tmp_path), max_length=128, report_to=[], use_cpu=True, bf16=False),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    for name in ("chosen_ids", "rejected_ids"):
        assert own[name][:] == trainer.train_dataset[name][:]


@pytest.mark.parametrize("text_format", ["plain", "beaver"])
def test_a_reward_model_may_be_trained_on_another_format(text_format, tmp_path):
    folder = save_base(tmp_path / "base", "llama", llama_tokenizer("<pad>"))
    spec = {"train": TRAINING | {"max_steps": 2}, "text_format": text_format}
    trainer = reward_trainer(spec, FRAME, str(folder), cpu_device(), str(tmp_path / "scratch"))
    train_and_save(trainer, trainer.processing_class, tmp_path, cpu_device(), save_reward_model)
    model = RewardModel(str(tmp_path / "model"), {}, cpu_device())
    assert model.text_format == text_format
    scored = model.inputs(FRAME["prompt"], FRAME["chosen"])
    assert [text["input_ids"] for text in scored] == trainer.train_dataset["chosen_ids"][:]


def test_long_pairs_lose_their_beginning_and_are_kept(base, capsys):
    tokenizer = load_tokenizer(str(base))
    frame = pd.DataFrame({"prompt": ["Why? " * 60, "Why?"], "chosen": ["So."] * 2, "rejected": ["No.", "Yes."]})
    dataset = reward_dataset(frame, tokenizer, "chat_template", 40)
    assert len(dataset) == 2 and max(map(len, dataset["chosen_ids"])) <= 40
    assert "2 of 4 texts lose their beginning to fit 40 tokens" in capsys.readouterr().out


# saved and loaded


@pytest.mark.parametrize(
    ("kind", "make", "architecture"),
    [
        ("qwen2", chat_tokenizer, "LlamaForScore"),
        ("llama", llama_tokenizer, "LlamaForSequenceClassification"),  # it pads with the end of sequence
        ("mistral", chat_tokenizer, "MistralForSequenceClassification"),
        ("qwen3", chat_tokenizer, "Qwen3ForSequenceClassification"),
        ("gemma2", chat_tokenizer, "Gemma2ForSequenceClassification"),
        ("gpt_neox", neox_tokenizer, "GPTNeoXForSequenceClassification"),
    ],
)
def test_a_saved_reward_model_scores_as_it_was_trained(kind, make, architecture, tmp_path, capsys):
    folder, tokenizer = save_base(tmp_path / "base", kind, make()), make()
    expected = train_reward(folder, tmp_path)
    assert read_json(tmp_path / "model" / "config.json")["architectures"] == [architecture]
    assert loaded_scores(tmp_path) == pytest.approx(expected, abs=1e-4) and len(set(expected)) > 4
    text_format = "plain" if tokenizer.chat_template is None else "chat_template"
    assert RewardModel(str(tmp_path / "model"), {}, cpu_device()).text_format == text_format
    assert f"text_format {text_format}: the tokenizer has" in capsys.readouterr().out


def adapter_weights(folder):
    return load_file(folder / "model" / "adapter_model.safetensors")


@pytest.mark.parametrize("make", [chat_tokenizer, llama_tokenizer], ids=["chat", "padded with its end"])
def test_an_adapter_on_a_pretrained_model_is_saved_with_its_head(make, tmp_path):
    folder = save_base(tmp_path / "base", "llama", make())
    spec = {"base": {"path": str(folder), "trust_remote_code": False}}
    expected = train_reward(folder, tmp_path, spec, **LORA, sft=False)
    weights = adapter_weights(tmp_path)
    assert [name for name in weights if "lora" not in name] == ["base_model.model.score.weight"]
    config = read_json(tmp_path / "model" / "adapter_config.json")
    assert config["base_model_name_or_path"] == str(folder) and "score" in config["modules_to_save"]
    assert not (tmp_path / "model" / "model.safetensors").exists()
    assert loaded_scores(tmp_path) == pytest.approx(expected, abs=1e-4) and len(set(expected)) > 4
    untrained = reward_trainer({"train": TRAINING | LORA, **spec}, FRAME, str(folder), cpu_device(), str(tmp_path))
    head = dict(untrained.model.named_parameters())["base_model.model.score.modules_to_save.default.weight"]
    assert head.requires_grad and not torch.allclose(head, weights["base_model.model.score.weight"])


def test_adapters_on_a_tuned_model_are_merged_as_that_is_not_kept_for_them(base, tmp_path):
    expected = train_reward(base, tmp_path, **LORA)
    assert read_json(tmp_path / "model" / "config.json")["architectures"] == ["LlamaForScore"]
    assert not (tmp_path / "model" / "adapter_config.json").exists()
    assert loaded_scores(tmp_path) == pytest.approx(expected, abs=1e-4)


@pytest.fixture(scope="module")
def tuned(base, tmp_path_factory):
    """Folder of an SFT model that is an adapter on `base`."""
    folder = tmp_path_factory.mktemp("sft")
    spec = {"model": {"path": str(base), **LORA}, "sft": TRAINING | {"responses": "chosen"}}
    trainer = sft_trainer(spec, FRAME, cpu_device(), str(folder / "scratch"))
    train_and_save(trainer, trainer.processing_class, folder, cpu_device())
    return folder


def test_an_adapter_goes_on_with_that_of_the_sft_model(base, tuned, tmp_path):
    spec = {"base": {"path": str(base), "trust_remote_code": False}}
    trainer = reward_trainer({"train": TRAINING | LORA, **spec}, FRAME, str(tuned / "model"), cpu_device(), "unused")
    started = {name.replace(".default", ""): value for name, value in trainer.model.named_parameters()}
    of_sft = adapter_weights(tuned)
    assert all(torch.equal(started[name].cpu(), of_sft[name]) for name in of_sft)
    expected = train_reward(tuned / "model", tmp_path, spec, **LORA)
    weights = adapter_weights(tmp_path)
    assert not any(torch.equal(weights[name], of_sft[name]) for name in of_sft)
    assert read_json(tmp_path / "model" / "adapter_config.json")["base_model_name_or_path"] == str(base)
    assert loaded_scores(tmp_path) == pytest.approx(expected, abs=1e-4)


def test_the_adapter_of_the_sft_model_is_merged_to_train_all_weights(base, tuned, tmp_path):
    spec = {"base": {"path": str(base), "trust_remote_code": False}}
    start = reward_trainer({"train": TRAINING, **spec}, FRAME, str(tuned / "model"), cpu_device(), "unused").model
    bare = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    assert not torch.allclose(start.model.layers[0].mlp.up_proj.weight, bare.model.layers[0].mlp.up_proj.weight)
    assert all(parameter.requires_grad for parameter in start.parameters())
    expected = train_reward(tuned / "model", tmp_path, spec, adapter="none")
    assert loaded_scores(tmp_path) == pytest.approx(expected, abs=1e-4)


def test_an_adapter_of_another_shape_is_refused(tuned, tmp_path):
    config = tuned / "model" / "adapter_config.json"
    base = save_base(tmp_path / "other", "gpt_neox", chat_tokenizer())
    text = config.read_text()
    config.write_text(text.replace(read_json(config)["base_model_name_or_path"], str(base)))
    try:
        with pytest.raises(InputError, match=r"the adapter does not fit a classifier on its base model"):
            reward_trainer({"train": TRAINING | LORA}, FRAME, str(tuned / "model"), cpu_device(), "unused")
    finally:
        config.write_text(text)


def test_an_adapter_may_leave_the_tokenizer_to_its_base(base, tuned, tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).write_bytes((tuned / "model" / name).read_bytes())
    spec = {"base": {"path": str(folder), "trust_remote_code": False}}
    expected = train_reward(folder, tmp_path, spec, **LORA, sft=False)
    assert read_json(tmp_path / "model" / "adapter_config.json")["base_model_name_or_path"] == str(base)
    assert loaded_scores(tmp_path) == pytest.approx(expected, abs=1e-4)


def test_a_start_that_cannot_be_had_is_named():
    with pytest.raises(InputError, match=r"owner/none: its tokenizer cannot be had \("):
        reward_trainer({"train": TRAINING, "base": {"path": "owner/none"}}, FRAME, "owner/none", cpu_device(), "unused")


def test_four_bits_need_cuda(base, tmp_path):
    with pytest.raises(InputError, match="adapter qlora needs a CUDA device"):
        spec = {"train": TRAINING | LORA | {"adapter": "qlora"}}
        reward_trainer(spec, FRAME, str(base), cpu_device(), str(tmp_path))


# shares


def test_shares_of_one_seed_are_disjoint_and_keep_a_prompt_s_pairs_together():
    frame = pd.DataFrame({"prompt_id": [f"id{i // 2}" for i in range(2000)], "row": range(2000)})
    parts = [own_share(frame, {"part": part, "of": 3, "seed": 0}) for part in (1, 2, 3)]
    assert sorted(row for part in parts for row in part["row"]) == list(range(2000))
    assert all(600 < len(part) < 733 for part in parts)
    prompts = [set(part["prompt_id"]) for part in parts]
    assert not prompts[0] & prompts[1] and not prompts[1] & prompts[2] and not prompts[0] & prompts[2]
    shuffled = own_share(frame.sample(frac=1, random_state=1), {"part": 1, "of": 3, "seed": 0})
    assert set(shuffled["row"]) == set(parts[0]["row"])  # wherever its pairs stand
    assert set(own_share(frame, {"part": 1, "of": 3, "seed": 1})["prompt_id"]) != prompts[0]
    assert own_share(frame, None) is frame


def test_a_reward_model_is_trained_on_its_share_alone(base, tmp_path, capsys):
    spec = {"train": TRAINING | {"share": {"part": 2, "of": 2, "seed": 0}}}
    trainer = reward_trainer(spec, FRAME, str(base), cpu_device(), str(tmp_path))
    own = own_share(FRAME, spec["train"]["share"])
    tokenizer = load_tokenizer(str(base))
    assert (
        trainer.train_dataset["chosen_ids"][:] == reward_dataset(own, tokenizer, "chat_template", 128)["chosen_ids"][:]
    )
    assert f"trained on {len(own)} of 8 pairs, part 2 of 2 of the prompts" in capsys.readouterr().out
    with pytest.raises(InputError, match="of 8 pairs none is in part"):
        for part in range(1, 101):
            own_share(FRAME, {"part": part, "of": 100, "seed": 0})
