"""QLoRA: adapters on weights in 4 bits; where it cannot be, it is refused."""

import pandas as pd
import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, trunk_config
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

import pipeline.models.checkpoints
from pipeline.generation.responses import generate_responses
from pipeline.jobs.io import InputError
from pipeline.models.checkpoints import load_policy, load_tokenizer, save_checkpoint
from pipeline.models.devices import Device
from pipeline.models.quantization import four_bit
from pipeline.training.policy import policy_trainer
from pipeline.training.reference import reference_logps
from pipeline.training.running import train_and_save
from pipeline.training.sft import sft_trainer

QLORA = {"adapter": "qlora", "lora": {"r": 2, "alpha": 4, "dropout": 0.0, "target_modules": "all-linear"}}
TRAINING = {
    **{"learning_rate": 1e-2, "epochs": 1, "max_steps": 2, "warmup_steps": 0, "lr_scheduler": "constant"},
    **{"optimizer": "adamw_torch", "weight_decay": 0.0, "max_length": 128, "global_batch_size": 4, "seed": 0},
}
SFT = {**TRAINING, "responses": "chosen"}
POLICY = {**TRAINING, "beta": 0.1, "label_smoothing": 0.0, "loss_type": "sigmoid"}
FRAME = pd.DataFrame(
    [(f"What is {i}?", f"It is {i}.", f"Thank you, {i}!", f"id{i}") for i in range(8)],
    columns=["prompt", "chosen", "rejected", "prompt_id"],
)


@pytest.fixture
def base(tmp_path):
    """Folder of a tiny model wide enough for blocks of 64 weights."""
    tokenizer = chat_tokenizer()
    torch.manual_seed(0)
    config = trunk_config("qwen2", tokenizer, hidden_size=64, intermediate_size=128)
    save_checkpoint(AutoModelForCausalLM.from_config(config), tokenizer, tmp_path / "base")
    return tmp_path / "base"


def test_qlora_needs_cuda(base):
    with pytest.raises(InputError, match="adapter qlora needs a CUDA device, this one is cpu; leave it out or use one"):
        load_policy(str(base), QLORA, device=cpu_device())


def test_qlora_needs_bitsandbytes(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"adapter qlora needs the package bitsandbytes.*envs/requirements-gpu\.txt"):
        four_bit("adapter qlora", torch.float16, "cuda")


def test_four_bits_are_nf4_twice_quantised(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    config = four_bit("it", torch.bfloat16, "cuda:1")
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4" and config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == torch.bfloat16


def test_adapters_on_four_bits_stay_adapters_from_sft_to_responses(base, tmp_path, monkeypatch):
    """By the real bitsandbytes, which has 4 bits on a CPU too, though too slow to be offered."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed, which 4-bit weights need")
    device = cpu_device()
    if torch.cuda.is_available():
        device = Device("cuda", "cuda", torch.bfloat16, "sdpa", device.batch_sizes, "cuda")
    else:
        nf4 = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=device.dtype,
        )
        monkeypatch.setattr(pipeline.models.checkpoints, "four_bit", lambda *arguments: nf4)
    entry = {"path": str(base), **QLORA}
    trainer = sft_trainer({"model": entry, "sft": SFT}, FRAME, device, str(tmp_path / "scratch"))
    layer = trainer.model.base_model.model.model.layers[0].self_attn.q_proj
    assert type(layer.base_layer).__name__ == "Linear4bit" and layer.base_layer.weight.dtype == torch.uint8
    before = {name: value.clone() for name, value in trainer.model.named_parameters() if value.requires_grad}
    train_and_save(trainer, trainer.processing_class, tmp_path / "sft", device)
    assert before and all("lora_" in name for name in before)
    after = {name: value for name, value in trainer.model.named_parameters() if name in before}
    assert any(not torch.equal(after[name], before[name]) for name in before)
    sft = str(tmp_path / "sft" / "model")
    assert sorted(path.suffix for path in (tmp_path / "sft" / "model").glob("*model*")) == [".safetensors"]

    reference = reference_logps({"model": entry, "max_length": 128}, FRAME, sft, device, str(tmp_path / "scratch"))
    spec = {"model": entry, "method": "dpo", "hyperparameters": POLICY}
    trainer = policy_trainer(spec, FRAME, reference, sft, 1, device, str(tmp_path / "scratch"))
    train_and_save(trainer, trainer.processing_class, tmp_path / "dpo", device)
    policy = load_policy(str(tmp_path / "dpo" / "model"), entry, device=device, **device.model_kwargs()).eval()
    assert policy.peft_config["default"].base_model_name_or_path == str(base)
    decoding = {"do_sample": False, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 4}
    tokenizer = load_tokenizer(str(tmp_path / "dpo" / "model"))
    assert len(generate_responses(decoding, entry, FRAME, policy, tokenizer, 1, device)) == len(FRAME)
