"""What the trainings share: datasets in a model's format, the learning curve, adapters, what is refused."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import disable_progress_bars
from fixtures_models import (
    PLAIN_ENTRY,
    chat_tokenizer,
    cpu_device,
    llama_tokenizer,
    neox_tokenizer,
    trunk_config,
)
from peft import get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from pipeline.jobs.io import InputError, read_json, read_parquet
from pipeline.models.checkpoints import load_policy, load_tokenizer, peft_config, save_checkpoint, training_dtype
from pipeline.models.devices import Device
from pipeline.training.policy import policy_trainer
from pipeline.training.reference import reference_logps
from pipeline.training.running import learning_curve, preference_dataset, train_and_save, trainer_arguments
from pipeline.training.sft import sft_trainer

disable_progress_bars()
TRAINING = {
    **{"learning_rate": 1e-2, "epochs": 1, "max_steps": 3, "warmup_steps": 0, "lr_scheduler": "constant"},
    **{"optimizer": "adamw_torch", "weight_decay": 0.0, "max_length": 128, "global_batch_size": 4, "seed": 0},
}
SFT = {**TRAINING, "responses": "chosen"}
POLICY = {**TRAINING, "beta": 0.1, "label_smoothing": 0.0, "loss_type": "sigmoid"}
SAIL = {"g": 0.5, "gamma": 0.3, "rollout_max_new_tokens": 4, "rollout_prompts": 4}
LORA = {"adapter": "lora", "lora": {"r": 2, "alpha": 4, "dropout": 0.0, "target_modules": "all-linear"}}
COLOURS = ("red", "blue", "yellow", "old", "small", "sour", "big", "the cat")
FRAME = pd.DataFrame(
    [(f"What is {word}?", f"It is {word}.", f"Thank you for {i}!") for i, word in enumerate(COLOURS)],
    columns=["prompt", "chosen", "rejected"],
).assign(prompt_id=[f"id{i}" for i in range(len(COLOURS))])


def save_base(folder, kind, tokenizer):
    torch.manual_seed(0)
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config(kind, tokenizer)), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Folder of a tiny Qwen2 with a chat template."""
    return save_base(tmp_path_factory.mktemp("base") / "model", "qwen2", chat_tokenizer())


def test_frozen_weights_take_half_precision_on_a_gpu_and_the_adapter_does_not(base):
    t4 = Device("t4", "cuda", torch.float16, "sdpa", {}, "")
    entry = {"path": str(base), **LORA}
    assert training_dtype(entry, t4) == training_dtype({"adapter": "qlora"}, t4) == torch.float16
    assert training_dtype({**entry, "adapter": "none"}, t4) == training_dtype({}, t4) == torch.float32
    assert training_dtype(entry, cpu_device()) == torch.float32
    model = get_peft_model(load_policy(str(base), entry, dtype=training_dtype(entry, t4)), peft_config(entry))
    dtypes = {(value.requires_grad, value.dtype) for value in model.parameters()}
    assert dtypes == {(True, torch.float32), (False, torch.float16)}


def test_the_file_of_an_adapter_is_the_same_in_every_process(base, tmp_path):
    model = get_peft_model(load_policy(str(base), LORA), peft_config(LORA))
    save_checkpoint(model, load_tokenizer(str(base)), tmp_path / "adapter")
    named = read_json(tmp_path / "adapter" / "adapter_config.json")["target_modules"]
    assert named == sorted(named) and len(named) == 14  # the set has another order under another PYTHONHASHSEED


def train_sft(entry, folder, frame=FRAME, **given):
    trainer = sft_trainer({"model": entry, "sft": SFT | given}, frame, cpu_device(), str(folder / "scratch"))
    train_and_save(trainer, trainer.processing_class, folder, cpu_device())
    return trainer


def weights(folder, name="model.safetensors"):
    return load_file(folder / "model" / name)


# datasets


def test_pairs_are_in_the_models_format():
    plain = preference_dataset(FRAME.iloc[:2], llama_tokenizer(), PLAIN_ENTRY)
    assert plain["prompt"][:] == ["Human: What is red?\n\nAssistant:", "Human: What is blue?\n\nAssistant:"]
    written = [llama_tokenizer().decode(ids) for ids in plain["chosen_ids"]]
    assert written == ["It is red.</s>", "It is blue.</s>"] and plain["row"][:] == [0, 1]
    chat = preference_dataset(FRAME.iloc[:2], chat_tokenizer(), {})
    assert chat["prompt"][1] == [{"role": "user", "content": "What is blue?"}]
    assert chat_tokenizer().decode(chat["rejected_ids"][0]) == "Thank you for 0!<|end|>"
    assert chat["source_prompt"][:] == FRAME["prompt"][:2].tolist()


def test_dialogues_are_in_the_models_format():
    turns = [{"role": role, "content": text} for role, text in (("user", "1"), ("assistant", "2"), ("user", "3"))]
    frame = FRAME.iloc[:1].assign(prompt=[np.array(turns, dtype=object)])
    assert preference_dataset(frame, chat_tokenizer(), {})["source_prompt"][0] == turns
    plain = preference_dataset(frame, llama_tokenizer(), PLAIN_ENTRY)
    assert plain["prompt"][0] == "Human: 1\n\nAssistant: 2\n\nHuman: 3\n\nAssistant:"


def test_pairs_take_their_reference_by_row():
    reference = pd.DataFrame({"row": [3, 1], "ref_chosen_logps": [-3.0, -1.0], "ref_rejected_logps": [-6.0, -2.0]})
    dataset = preference_dataset(FRAME, chat_tokenizer(), {}, reference)
    assert dataset["row"][:] == [3, 1] and dataset["source_prompt"][:] == FRAME["prompt"][[3, 1]].tolist()
    assert dataset["ref_chosen_logps"][:] == [-3, -1] and dataset["ref_rejected_logps"][:] == [-6, -2]
    with pytest.raises(InputError, match="the reference has row 3, the data only 3 rows"):
        preference_dataset(FRAME.iloc[:3], chat_tokenizer(), {}, reference)


# records


def test_the_learning_curve_is_long_and_has_no_timings():
    history = [
        {"loss": 2.0, "grad_norm": 1, "rewards/margins": 0.5, "epoch": 0.5, "step": 10},
        {"loss": "1.5", "grad_norm": 2.0, "epoch": 1.0, "step": 20},
        {"train_runtime": 3.0, "train_loss": 1.7, "total_flos": 5, "epoch": 1.0, "step": 20},
    ]
    curve = learning_curve(history)
    assert curve.values.tolist() == [
        *([10, "loss", 2.0], [10, "grad_norm", 1.0], [10, "rewards/margins", 0.5]),
        *([20, "loss", 1.5], [20, "grad_norm", 2.0]),
    ]
    assert curve.dtypes.astype(str).to_dict() == {"step": "int64", "metric": "str", "value": "float64"}
    empty = learning_curve([])
    assert len(empty) == 0 and empty.dtypes.equals(curve.dtypes)


def test_arguments_follow_the_spec(tmp_path):
    arguments = trainer_arguments(TRAINING, cpu_device(2), "sft", tmp_path, 7)
    expected = {"seed": 7, "learning_rate": 1e-2, "num_train_epochs": 1, "max_steps": 3, "optim": "adamw_torch"}
    expected |= {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "max_length": 128}
    assert expected == {name: arguments[name] for name in expected} and arguments["save_strategy"] == "no"
    assert trainer_arguments(TRAINING | {"max_steps": None}, cpu_device(), "sft", tmp_path, 7)["max_steps"] == -1


@pytest.mark.parametrize("step", [1, 3])
def test_a_loss_that_is_no_number_stops_the_training(base, tmp_path, step):
    trainer = sft_trainer({"model": {"path": str(base)}, "sft": SFT}, FRAME, cpu_device(), str(tmp_path / "scratch"))
    compute_loss, calls = trainer.compute_loss, []

    def broken(*arguments, **options):
        calls.append(1)
        return compute_loss(*arguments, **options) * (math.nan if len(calls) == step else 1)

    trainer.compute_loss = broken
    with pytest.raises(InputError, match="the loss is not a number from step 3 on; a lower learning_rate"):
        train_and_save(trainer, trainer.processing_class, tmp_path / "out", cpu_device())
    assert not (tmp_path / "out").exists()


def test_progress_is_printed(base, tmp_path, capsys):
    train_sft({"path": str(base)}, tmp_path, max_steps=12)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split("  ")[0] for line in lines] == ["step 10/12", "step 12/12"]
    assert lines[0].split("  ")[1].startswith("loss ") and "left" in lines[0]
    assert read_parquet(tmp_path / "metrics.parquet")["step"].unique().tolist() == [10, 12]


# supervised fine-tuning


@pytest.mark.parametrize(("kind", "make"), [("llama", llama_tokenizer), ("llama", neox_tokenizer)])
def test_a_model_without_chat_template_is_trained_on_its_plain_template(kind, make, tmp_path):
    entry = {"path": str(save_base(tmp_path / "base" / "model", kind, make())), **PLAIN_ENTRY}
    trainer = train_sft(entry, tmp_path / "sft")
    tokenizer = trainer.processing_class
    row = trainer.train_dataset[0]
    assert (
        tokenizer.decode(row["input_ids"], skip_special_tokens=True) == "Human: What is red?\n\nAssistant: It is red."
    )
    learned = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert tokenizer.decode(learned[:-1]).strip() == "It is red." and learned[-1] == tokenizer.eos_token_id
    before, after = weights(tmp_path / "base"), weights(tmp_path / "sft")
    assert not torch.equal(before["model.layers.0.mlp.up_proj.weight"], after["model.layers.0.mlp.up_proj.weight"])


def test_the_loss_is_on_the_response_alone_and_falls(base, tmp_path):
    trainer = train_sft({"path": str(base)}, tmp_path, max_steps=30, epochs=15)
    row, tokenizer = trainer.train_dataset[0], trainer.processing_class
    learned = [label for label in row["labels"] if label != -100]
    assert tokenizer.decode(learned) == "It is red.<|end|>"
    curve = read_parquet(tmp_path / "metrics.parquet").query("metric == 'loss'")["value"]
    assert curve.iloc[-1] < 0.5 * curve.iloc[0]


def test_both_responses_may_be_trained_on(base, tmp_path):
    spec = {"model": {"path": str(base)}, "sft": SFT | {"responses": "both"}}
    assert len(sft_trainer(spec, FRAME, cpu_device(), str(tmp_path)).train_dataset) == 2 * len(FRAME)


# adapters


@pytest.fixture(scope="module")
def adapted(base, tmp_path_factory):
    """Folder of an SFT of LoRA adapters, with the entry and its reference log-probabilities."""
    folder, entry = tmp_path_factory.mktemp("lora") / "sft", {"path": str(base), **LORA, **PLAIN_ENTRY}
    train_sft(entry, folder)
    spec = {"model": entry, "max_length": 128}
    reference = reference_logps(spec, FRAME, str(folder / "model"), cpu_device(), str(folder / "scratch"))
    return folder, entry, reference


def test_an_adapter_is_all_that_is_saved(adapted, base):
    folder = adapted[0] / "model"
    files = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= files
    assert not {"model.safetensors", "config.json"} & files
    assert set(read_json(adapted[0] / "manifest.json")["files"]) == files
    assert all(".lora_" in name for name in load_file(folder / "adapter_model.safetensors"))
    ids = torch.tensor([load_tokenizer(str(folder))("What is red?")["input_ids"]])
    policy, bare = load_policy(str(folder)).eval(), load_policy(str(base)).eval()
    assert not torch.allclose(policy(ids).logits, bare(ids).logits, atol=1e-4)


def test_the_reference_of_an_adapter_is_the_adapted_model(adapted, base, tmp_path):
    _, entry, reference = adapted
    bare = reference_logps({"model": entry, "max_length": 128}, FRAME, str(base), cpu_device(), str(tmp_path))
    assert not np.allclose(reference["ref_chosen_logps"], bare["ref_chosen_logps"], atol=1e-3)


@pytest.mark.parametrize(("method", "more"), [("dpo", {}), ("dpr", SAIL)])
def test_a_policy_continues_the_adapter(adapted, method, more, tmp_path):
    folder, entry, reference = adapted
    spec = {"model": entry, "method": method, "hyperparameters": POLICY | more}
    trainer = policy_trainer(
        *(spec, FRAME, reference, str(folder / "model"), 1, cpu_device(), str(tmp_path / "scratch")),
        reward_function=lambda prompts, completions, **columns: [float(len(str(text))) for text in completions],
    )
    trainable = {name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}
    assert trainable and all("lora_" in name and ".default." in name for name in trainable)
    train_and_save(trainer, trainer.processing_class, tmp_path / "policy", cpu_device())
    files = {path.name for path in (tmp_path / "policy" / "model").rglob("*")}
    assert "adapter_model.safetensors" in files and not {"ref", "model.safetensors"} & files
    before, after = (weights(place, "adapter_model.safetensors") for place in (folder, tmp_path / "policy"))
    assert before.keys() == after.keys() and not any(torch.equal(before[name], after[name]) for name in before)
    margins = read_parquet(tmp_path / "policy" / "metrics.parquet").query("metric == 'rewards/margins'")
    assert len(margins) and load_policy(str(tmp_path / "policy" / "model")).peft_config.keys() == {"default"}


def test_at_the_start_a_policy_is_its_reference(adapted, tmp_path):
    folder, entry, reference = adapted
    spec = {"model": entry, "method": "dpo", "hyperparameters": POLICY | {"learning_rate": 1e-12, "max_steps": 1}}
    trainer = policy_trainer(spec, FRAME, reference, str(folder / "model"), 1, cpu_device(), str(tmp_path))
    trainer.train()
    assert trainer.state.log_history[-1]["train_loss"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize(("loss_type", "smoothing"), [("sigmoid", 0.0), ("robust", 0.0), ("robust", 0.2)])
def test_the_robust_loss_takes_the_share_of_swapped_labels(adapted, loss_type, smoothing, tmp_path):
    folder, entry, reference = adapted
    # With the policy still the reference but for 5 nats, every pair has the implicit reward margin 0.1 * 5.
    reference = reference.assign(ref_chosen_logps=reference["ref_chosen_logps"] - 5)
    given = {"learning_rate": 1e-12, "max_steps": 1, "loss_type": loss_type, "label_smoothing": smoothing}
    spec = {"model": entry, "method": "dpo", "hyperparameters": POLICY | given}
    trainer = policy_trainer(spec, FRAME, reference, str(folder / "model"), 1, cpu_device(), str(tmp_path))
    trainer.train()
    kept, swapped = math.log1p(math.exp(-0.5)), math.log1p(math.exp(0.5))
    expected = ((1 - smoothing) * kept - smoothing * swapped) / (1 - 2 * smoothing)
    assert trainer.state.log_history[-1]["train_loss"] == pytest.approx(expected, abs=1e-4)
