"""Tokenizers and checkpoints with random weights, tiny, in the formats that the pipeline reads."""

import re
from pathlib import Path

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from pipeline.models.checkpoints import save_checkpoint, train_tokenizer
from pipeline.models.devices import Device
from pipeline.models.templates import format_prompt, format_response

TEXTS = [
    "Human: what is red?\n\nAssistant: it is blue and old",
    "BEGINNING OF CONVERSATION: USER: [INST] the big cat [/INST] sat on a tree. ASSISTANT:",
    "Which colour has a lemon, please? A lemon is yellow. Thank you for asking! It is small and sour.",
] * 3
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
TRUNKS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}
STAGES = ("sft", "policy", "reward", "reference", "generate", "score")
PLAIN_ENTRY = {"plain_template": "Human: {prompt}\n\nAssistant: "}


def tiny_chat_model(folder: Path) -> str:
    """A tiny Qwen2 with a chat template, saved in a folder; its path."""
    tokenizer = chat_tokenizer()
    torch.manual_seed(0)
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)), tokenizer, folder)
    return str(folder)


def cpu_device(batch_size: int = 4, dtype: torch.dtype = torch.float32, **batch_sizes: int) -> Device:
    """A device with the same batch size for every stage that is not named."""
    return Device("cpu", "cpu", dtype, "sdpa", dict.fromkeys(STAGES, batch_size) | batch_sizes, "cpu")


def chat_tokenizer() -> PreTrainedTokenizerFast:
    """The pipeline's own: a chat template, no BOS, a pad token of its own."""
    return train_tokenizer(TEXTS, 320)


def llama_tokenizer(pad_token: str | None = None, **fields) -> PreTrainedTokenizerFast:
    """Like Llama's: no chat template, BOS put in front of every text, words with their space, EOS not added."""
    tokenizer = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    special = ["<unk>", "<s>", "</s>", "<pad>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special[:4], show_progress=False)
    tokenizer.train_from_iterator([*TEXTS, *special[4:]], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A </s> $B:1", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokens = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": pad_token}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens, **fields)


def neox_tokenizer() -> PreTrainedTokenizerFast:
    """Like GPT-NeoX's: byte-level, no chat template, one token for BOS and EOS, nothing added, no pad token."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet, end = pre_tokenizers.ByteLevel.alphabet(), "<|endoftext|>"
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=[end], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end)


def trunk_config(kind: str, tokenizer, **fields):
    """A config of a tiny trunk: llama, mistral or qwen2."""
    tokens = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes = {**SIZES, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    return TRUNKS[kind](**{**sizes, **tokens, **fields})


def save_headed(
    folder: Path,
    architecture: str,
    kind: str,
    tokenizer,
    bias: bool = False,
    mean=None,
    var=None,
    trunk: dict | None = None,
    **config,
):
    """Save a reward model with a head of its own, as its authors' code does, and return it for hand computations.

    Args:
        architecture: its name in the config; LlamaForScore has a score_head and a normalizer, others a regression_head.
        kind: of the trunk.
        mean, var: of the normalizer.
        trunk: fields of the trunk's config.
        config: further fields of config.json.

    Returns:
        (trunk, weight of the head (1, hidden), its bias (1,) or None).
    """
    torch.manual_seed(len(architecture))
    fields = trunk or {}
    trunk = AutoModel.from_config(trunk_config(kind, tokenizer, **fields)).eval()
    head = "score_head" if "ForScore" in architecture else "regression_head"
    weights = {f"model.{name}": tensor for name, tensor in trunk.state_dict().items()}
    weights[f"{head}.weight"] = torch.randn(1, trunk.config.hidden_size)
    if bias:
        weights[f"{head}.bias"] = torch.randn(1)
    if head == "score_head":
        score = {"score_dim": 1, "bias": bias, "score_type": "reward", "do_normalize": mean is not None}
        config = {**score, "normalizer_type": "affine", "mean": None, "var": None, **config}
        weights["normalizer.mean"] = torch.tensor([0.0 if mean is None else mean])
        weights["normalizer.var"] = torch.tensor([1.0 if var is None else var])
        weights["normalizer.count"] = torch.tensor([10])
    folder.mkdir(parents=True, exist_ok=True)
    saved = trunk_config(kind, tokenizer, architectures=[architecture], **{**fields, **config})
    saved.architectures = [architecture]
    saved.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    return trunk, weights[f"{head}.weight"], weights.get(f"{head}.bias")


def change_weights(folder: Path, drop: str | None = None, **changes: torch.Tensor) -> None:
    """Rewrite a folder's weights without those that match `drop`, and with others (a double underscore for a dot)."""
    file = folder / "model.safetensors"
    weights = {name: value for name, value in load_file(file).items() if not (drop and re.search(drop, name))}
    weights |= {name.replace("__", "."): value for name, value in changes.items()}
    save_file(weights, file, metadata={"format": "pt"})


def formatted_pairs(frame, tokenizer, entry: dict) -> Dataset:
    """Pairs as TRL's own trainers take them: in the model's format, not in tokens."""
    rows = [
        {"prompt": format_prompt(row["prompt"], tokenizer, entry)}
        | {name: format_response(row[name], tokenizer, entry) for name in ("chosen", "rejected")}
        for row in frame.to_dict("records")
    ]
    return Dataset.from_list(rows)
