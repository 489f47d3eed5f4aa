"""What a reward model's training starts from: a one-label sequence classifier on a model's weights, with a new head."""

import os

from peft import PeftConfig, get_peft_model, load_peft_weights, set_peft_model_state_dict
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerBase,
)
from transformers.utils import find_adapter_config_file

from pipeline.jobs.io import InputError
from pipeline.models.checkpoints import load_tokenizer, peft_config, training_dtype
from pipeline.models.devices import Device
from pipeline.models.quantization import four_bit
from pipeline.models.reading import load_whole, readable, refuse_pickles

AUTO = "AutoModelForSequenceClassification"


def starting_tokenizer(spec: dict, model_path: str) -> PreTrainedTokenizerBase:
    """The tokenizer of what is started from; that of its base model where an adapter brings none.

    Args:
        spec, model_path: as those of `pipeline.training.reward.reward_trainer`.

    Raises:
        InputError: there is none.
    """
    return load_tokenizer(model_path, _entry(spec, model_path))


def starting_classifier(spec: dict, model_path: str, device: Device) -> nn.Module:
    """The classifier, or LoRA adapters on one with its head among the modules that are saved whole.

    Where the start is an adapter itself, that is gone on with; for a training of all weights it is merged.

    Args:
        spec, model_path: as those of `pipeline.training.reward.reward_trainer`.

    Raises:
        InputError: there is no such model, or transformers has no sequence classifier for it; the adapter does not fit
            it; weights in 4 bits are asked for where they cannot be.
    """
    train, entry = spec["train"], _entry(spec, model_path)
    adapter, started = train.get("adapter", "none"), _adapter(model_path, entry)
    trunk, revision = model_path, entry.get("revision")
    if started is not None:
        trunk, revision = started.base_model_name_or_path, started.revision
    kwargs = {"revision": revision, "trust_remote_code": entry.get("trust_remote_code", False)}
    with readable(trunk, "what the reward model starts from"):
        config = AutoConfig.from_pretrained(trunk, **kwargs)
    brought = getattr(config, "auto_map", None) or {}
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING and AUTO not in brought:
        raise InputError(f"{model_path}: a {config.model_type}, of which transformers has no sequence classifier")
    if device.attention != "sdpa":  # transformers' own choice where the architecture has it, which not all do
        kwargs["attn_implementation"] = device.attention
    if adapter == "qlora":
        kwargs["quantization_config"] = four_bit(
            "adapter qlora", device.dtype, device.torch_device, llm_int8_skip_modules=["score", "classifier"]
        )
        kwargs["device_map"] = {"": device.torch_device}
    refuse_pickles(trunk, "model")
    classifier = load_whole(
        AutoModelForSequenceClassification,
        trunk,
        _is_of_head,
        num_labels=1,
        dtype=training_dtype({"adapter": adapter}, device),
        **kwargs,
    )
    if adapter == "none":
        if started is None:
            return classifier
        started.task_type = None  # a task's own wrapper would add a head
        return _with_weights(classifier, started, model_path, entry).merge_and_unload().requires_grad_(True)
    heads = [name for name, module in classifier.named_children() if name != classifier.base_model_prefix]
    heads = [name for name in heads if any(True for _ in getattr(classifier, name).parameters())]
    for name in heads:
        getattr(classifier, name).float()
    if started is not None:
        started.task_type, started.inference_mode = "SEQ_CLS", False
        kept = {name for name, _ in classifier.named_modules()} & set(started.modules_to_save or ())
        started.modules_to_save = [*sorted(kept), *heads]
        return _with_weights(classifier, started, model_path, entry)
    return get_peft_model(classifier, peft_config(train | {"revision": revision}, "SEQ_CLS", heads))


def is_merged(spec: dict, model_path: str) -> bool:
    """Whether trained adapters are to be merged, as what they stand on is an SFT model, which is not kept for them."""
    entry = _entry(spec, model_path)
    return entry is not spec.get("base") and _adapter(model_path, entry) is None


def _is_of_head(model: nn.Module, name: str) -> bool:
    """Whether a weight is new in a classifier: its head's, or the pooler's that some have in their trunk."""
    return not name.startswith(f"{model.base_model_prefix}.") or ".pooler." in name


def _entry(spec: dict, model_path: str) -> dict:
    """How what is started from is loaded; a revision is of the pretrained model, not of an SFT model."""
    base = spec.get("base", {})
    return base if model_path == os.path.expanduser(base.get("path", "")) else {**base, "revision": None}


def _adapter(model_path: str, entry: dict) -> PeftConfig | None:
    """The configuration of what is started from where that is an adapter."""
    revision = entry.get("revision")
    if find_adapter_config_file(model_path, revision=revision) is None:
        return None
    return PeftConfig.from_pretrained(model_path, revision=revision)


def _with_weights(classifier: nn.Module, config: PeftConfig, path: str, entry: dict) -> nn.Module:
    """A classifier under an adapter, with that adapter's weights."""
    weights = load_peft_weights(path, device="cpu", revision=entry.get("revision"))
    for name, tensor in classifier.state_dict().items():
        if name.partition(".")[0] in (config.modules_to_save or ()):  # the new head's, which the adapter has not
            weights.setdefault(f"base_model.model.{name}", tensor.clone())
    try:
        model = get_peft_model(classifier, config)
        found = set_peft_model_state_dict(model, weights)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: the adapter does not fit a classifier on its base model ({reason})") from error
    wrong = [name for name in [*found.missing_keys, *found.unexpected_keys] if ".lora_" in name]
    if wrong:
        raise InputError(f"{path}: the adapter does not fit a classifier on its base model ({wrong[0]})")
    return model
