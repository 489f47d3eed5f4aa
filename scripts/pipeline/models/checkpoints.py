"""Policies and their tokenizers: loading from a hub id or folder, making one from scratch, saving.

A model entry (see config/README.md) has either `path` (hub id or local save_pretrained folder) or `architecture` (a
model to be trained from scratch, with a tokenizer trained on the corpus).
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import cached_file

from pipeline.jobs.io import InputError, atomic_folder, file_hash, visible_files, write_json
from pipeline.models.devices import Device
from pipeline.models.quantization import four_bit
from pipeline.models.reading import load_whole, readable, refuse_pickles, whole_adapter
from pipeline.models.tokenization import adapter_config, is_adapter, local_folder, saved_tokenizer
from pipeline.models.tokenization import load_tokenizer as load_tokenizer

USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    f"{{% if message['role'] == 'assistant' %}}{ASSISTANT}{{{{ message['content'] }}}}{END}"
    f"{{% else %}}{USER}{{{{ message['content'] }}}}{{% endif %}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{ASSISTANT}{{% endif %}}"
)


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a chat template, trained on texts. Any text survives encoding and decoding."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, padding_side="left")
    fast.chat_template = CHAT_TEMPLATE
    return fast


def architecture_config(architecture: dict, tokenizer: PreTrainedTokenizerBase):
    """A transformers config of the given architecture (its `model_type` and any of that type's fields).

    There are as many key and value heads as attention heads where the architecture does not say.
    """
    fields = {"num_key_value_heads": architecture["num_attention_heads"], **architecture}
    model_type = fields.pop("model_type")
    return AutoConfig.for_model(
        model_type,
        **fields,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        tie_word_embeddings=True,
    )


def new_policy(entry: dict, texts: list[str], seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A policy with random weights and a tokenizer trained on texts, from a model entry with `architecture`."""
    tokenizer = train_tokenizer(texts, entry["vocab_size"])
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(architecture_config(entry["architecture"], tokenizer)), tokenizer


def load_evaluated(path: str, entry: dict, device: Device) -> PreTrainedModel:
    """A policy that is not to be trained, in eval mode on the device; see `load_policy`."""
    return load_policy(path, entry, device=device, **device.model_kwargs()).to(device.torch_device).eval()


def load_policy(
    path: str, entry: dict | None = None, trainable: bool = False, device: Device | None = None, **kwargs
) -> PreTrainedModel:
    """A causal language model from a hub id, a save_pretrained folder, or a folder with a PEFT adapter.

    Args:
        path: hub id or folder. One with adapter_config.json is loaded on top of the base model that it names, and
            merged into it where the entry says `adapter: none`, so that all weights can be trained.
        entry: the model entry, for `revision`, `trust_remote_code` and `adapter`; with qlora the base model's weights
            are held in 4 bits, on the device.
        trainable: whether an adapter's weights are to be trained.
        device: needed for qlora.
        kwargs: for from_pretrained, such as dtype and attn_implementation.

    Raises:
        InputError: a local path that is no checkpoint; one that lacks weights, has them as pickles only or cannot be
            read; qlora without CUDA or without bitsandbytes.
    """
    entry = entry or {}
    if entry.get("adapter") == "qlora":
        quantized = four_bit("adapter qlora", device.dtype, device.torch_device)
        kwargs |= {"quantization_config": quantized, "device_map": {"": device.torch_device}, "dtype": device.dtype}
    kwargs.setdefault("trust_remote_code", entry.get("trust_remote_code", False))
    local_folder(path)
    with readable(path, "its adapter_config.json"):
        adapter = adapter_config(path, entry) if is_adapter(path, entry) else None
    if adapter is None:
        return _load_model(path, entry.get("revision"), kwargs)
    adapted = _load_adapted(path, entry, adapter, trainable, kwargs)
    return adapted.merge_and_unload().requires_grad_(trainable) if entry.get("adapter") == "none" else adapted


def _load_model(path: str, revision: str | None, kwargs: dict) -> PreTrainedModel:
    local_folder(path)
    refuse_pickles(path, "model")
    return load_whole(AutoModelForCausalLM, path, revision=revision, **kwargs)


def _load_adapted(path: str, entry: dict, adapter: dict, trainable: bool, kwargs: dict) -> PreTrainedModel:
    """A PEFT adapter on its base model, which gets rows for the tokens that the adapter's own tokenizer adds."""
    from peft import PeftModelForCausalLM
    from peft.utils import SAFETENSORS_WEIGHTS_NAME

    if adapter.get("task_type") not in (None, "CAUSAL_LM"):
        raise InputError(f"{path}: an adapter for task_type {adapter['task_type']}; a policy's is for CAUSAL_LM")
    refuse_pickles(path, "adapter_model")
    base = _load_model(adapter["base_model_name_or_path"], adapter["revision"], kwargs)
    revision = entry.get("revision")
    with readable(path, f"its {SAFETENSORS_WEIGHTS_NAME}"):  # of a hub id PEFT would take a pickle instead
        cached_file(path, SAFETENSORS_WEIGHTS_NAME, revision=revision)
    with readable(path, "its tokenizer"):
        if get_tokenizer_config(path, revision=revision):
            tokenizer = saved_tokenizer(path, entry)
            if len(tokenizer) > base.get_input_embeddings().weight.shape[0]:
                base.resize_token_embeddings(len(tokenizer))
    with whole_adapter(path):
        return PeftModelForCausalLM.from_pretrained(base, path, is_trainable=trainable, revision=revision)


def training_dtype(entry: dict, device: Device) -> torch.dtype:
    """Of the weights of a model that is loaded to be trained.

    Weights that change are float32, on a GPU under autocast; there those that lie still under an adapter take the
    device's own dtype, half the memory where that is half precision. PEFT keeps the adapter itself in float32.
    """
    frozen = entry.get("adapter", "none") != "none"
    return device.dtype if frozen and device.type == "cuda" else torch.float32


def peft_config(entry: dict, task_type: str = "CAUSAL_LM", heads: list[str] | None = None):
    """The LoRA configuration of a model entry (adapter lora or qlora); None where it is fully fine-tuned.

    Args:
        heads: modules that are trained and saved whole.
    """
    if entry.get("adapter", "none") == "none":
        return None
    from peft import LoraConfig

    lora = entry["lora"]
    return LoraConfig(
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=lora["target_modules"],
        modules_to_save=heads,
        task_type=task_type,
        revision=entry.get("revision"),  # of the base model, which the adapter's own config then names
    )


def save_checkpoint(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    state_dict: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a checkpoint (weights in safetensors, or the adapter alone) and its tokenizer, nothing else.

    Args:
        state_dict: the weights, where the model has a part of them only.
    """
    with atomic_folder(folder) as temporary:
        if hasattr(model, "peft_config"):
            for config in model.peft_config.values():
                if isinstance(config.target_modules, set):  # its order is another in every process
                    config.target_modules = sorted(config.target_modules)
            model.save_pretrained(temporary, selected_adapters=["default"], state_dict=state_dict)
        else:
            model.save_pretrained(temporary, state_dict=state_dict)
        tokenizer.save_pretrained(temporary)


def write_manifest(folder: str | Path, path: str | Path) -> None:
    """Write the names and SHA-256 of a checkpoint's files as JSON: the last file of a training, by which it is known.

    What depends on a checkpoint depends on this small file, so that equal weights are equal whatever their dates.
    """
    write_json({"files": {name: file_hash(file) for name, file in visible_files(folder).items()}}, path)
