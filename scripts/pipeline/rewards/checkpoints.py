"""Reward models on disk: loading of the checkpoint formats by their config's architecture.

A safe-rlhf score model (the format of the Beaver checkpoints) is a trunk under `model.`, a `score_head` and a
`normalizer`; Eurus and UltraRM have a `regression_head` instead; anything else is a sequence classifier with one label.
Any of them may be the base of a PEFT adapter. No code of a checkpoint is run, and no pickle is read, unless the reward
model's entry asks for it by name.
"""

import importlib.util
import re
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from pipeline.jobs.io import InputError, read_json
from pipeline.models.quantization import four_bit
from pipeline.models.reading import OWN_CODE, load_whole, readable, reason, refuse_missing, whole_adapter
from pipeline.rewards.files import base_entry, base_of_adapter, checkpoint_folder, read_weights, weight_files
from pipeline.rewards.networks import (
    HEADED,
    CausalClassifier,
    CustomClassifier,
    EncoderClassifier,
    FirstLogit,
    SafeRlhfScorer,
    ScoreModel,
    brings_code,
    is_causal_classifier,
)

NO_REWARD_MODEL = "; it is no reward model of a known format"
# Computed, or statistics that scoring does not use.
UNUSED = r"normalizer\.count$|.*rotary_emb\.inv_freq$"


def load_reward_network(
    path: str, entry: dict, dtype: torch.dtype, device: str = "cpu", attention: str | None = None
) -> nn.Module:
    """The network of a reward model, in eval mode, on the device.

    Args:
        path: hub id or folder, of a checkpoint or of a PEFT adapter.
        entry: the reward model's entry, for `revision`, `trust_remote_code`, `allow_pickle`, `load_in_4bit`, `backend`.
        dtype: of the trunk.
        attention: transformers' attn_implementation.

    Raises:
        InputError: the checkpoint is incomplete, is in pickles that the entry does not allow, or wants what is not
            installed or not here.
    """
    with readable(path, "the reward model"):
        return _load_network(Path(checkpoint_folder(path, entry)), path, entry, dtype, device, attention)


def _load_network(folder: Path, path: str, entry: dict, dtype, device: str, attention: str | None) -> nn.Module:
    if entry.get("backend", "native") == "safe_rlhf":
        return _load_safe_rlhf(folder, entry, dtype).to(device).eval()
    quantization = None
    if entry.get("load_in_4bit"):  # nf4, double quantisation; heads stay as they are
        heads = ["score", "classifier", "pooler"]
        quantization = four_bit(f"{path}: load_in_4bit", dtype, device, llm_int8_skip_modules=heads)
    adapter = None
    if (folder / "adapter_config.json").is_file():
        adapter, folder = folder, Path(checkpoint_folder(base_of_adapter(folder), base_entry(folder, entry)))
    from_adapter = set(_adapter_modules(adapter, entry)) if adapter else set()
    source = adapter if adapter and _brings_config(adapter) else folder
    config = _read_config(source, entry)
    if (config.architectures or [""])[0] in HEADED:
        network = _load_headed(folder, config, entry, dtype, device, attention, quantization, from_adapter)
        network = _with_adapter(network, adapter, quantization) if adapter else network
        getattr(network, network.head_name).float()  # the adapter may have brought another one
    elif entry.get("head") == "first_logit":
        network = FirstLogit(_load(AutoModelForCausalLM, folder, config, entry, dtype, device, attention, quantization))
    else:
        classifier = _load_classifier(folder, config, entry, dtype, device, attention, quantization, from_adapter)
        classifier = _with_adapter(classifier, adapter, quantization) if adapter else classifier
        causal = CausalClassifier if is_causal_classifier(classifier) else EncoderClassifier
        network = CustomClassifier(classifier) if brings_code(classifier) else causal(classifier)
    return (network if quantization else network.to(device)).eval()


def _load_headed(folder, config, entry, dtype, device, attention, quantization, from_adapter: set[str]) -> ScoreModel:
    """A trunk with a head of its own; every weight must be there and of the right shape."""
    trunk = None
    if quantization:
        trunk, info = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            quantization_config=quantization,
            device_map={"": device},
            output_loading_info=True,
            use_safetensors=None if entry.get("allow_pickle") else True,
        )
        refuse_missing(folder, {f"model.{name}" for name in info["missing_keys"]} - from_adapter, NO_REWARD_MODEL)
    model = ScoreModel(config, dtype, trunk, attention)
    weights = read_weights(folder, entry)
    own = model.state_dict()
    unused = UNUSED + ("" if "normalizer.mean" in own else r"|normalizer\.")
    if quantization:
        unused += r"|model\."
        own = {name: tensor for name, tensor in own.items() if not name.startswith("model.")}
    weights = {name: tensor for name, tensor in weights.items() if not re.match(unused, name)}
    for name in sorted(own.keys() | weights.keys()):
        there, wanted = weights.get(name), own.get(name)
        if there is None and name in from_adapter:
            continue
        if there is None or wanted is None or there.shape != wanted.shape:
            found = "not there" if there is None else f"of shape {tuple(there.shape)}"
            needed = "unknown to it" if wanted is None else f"needed with shape {tuple(wanted.shape)}"
            raise InputError(f"{folder}: weight {name} is {found}, {needed}; it is no complete score model")
    model.load_state_dict(weights, strict=False)
    if quantization:  # the trunk is where it belongs, and peft asks for this
        model.is_loaded_in_4bit = True
        for name, module in model.named_children():
            if name != "model":
                module.to(device)
    return model


def _read_config(folder: Path, entry: dict):
    """The config of a checkpoint; a pad token that its embeddings have no row for is none."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=entry.get("trust_remote_code", False))
    text = config.get_text_config()
    if text.pad_token_id is not None and text.pad_token_id >= getattr(text, "vocab_size", text.pad_token_id + 1):
        text.pad_token_id = None
    return config


def _load_classifier(
    folder, config, entry, dtype, device, attention, quantization, from_adapter: set[str]
) -> nn.Module:
    """A one-label sequence classifier; a checkpoint without its head is refused rather than given a random one."""
    if from_adapter:  # a base model that an adapter made a classifier of does not say how many labels there are
        config.num_labels = 1
    loaded = (folder, config, entry, dtype, device, attention, quantization, from_adapter)
    model = _load(AutoModelForSequenceClassification, *loaded)
    if model.config.num_labels != 1 and not brings_code(model):
        refuse_missing(folder, {f"one label (it has {model.config.num_labels})"}, NO_REWARD_MODEL)
    return model


def _load(
    kind, folder, config, entry, dtype, device, attention, quantization, from_adapter: set[str] = frozenset()
) -> nn.Module:
    """A model by one of transformers' automatic classes, all its weights from the checkpoint."""
    weight_files(folder, "model", entry)
    kwargs = {"quantization_config": quantization, "device_map": {"": device}} if quantization else {}
    kwargs |= {"attn_implementation": attention} if attention else {}
    trusted = entry.get("trust_remote_code", False)
    brought = getattr(config, "auto_map", None) and not trusted
    try:
        return load_whole(
            kind,
            folder,
            lambda model, name: name in from_adapter,
            NO_REWARD_MODEL + (f"; {OWN_CODE}" if brought else ""),
            config=config,
            dtype=dtype,
            trust_remote_code=trusted,
            use_safetensors=None if entry.get("allow_pickle") else True,
            **kwargs,
        )
    except InputError as error:
        if trusted and error.__cause__:
            code = f"its own code cannot be run with transformers {transformers.__version__}"
            raise InputError(f"{folder}: {code}: {reason(error.__cause__)}") from error
        raise


def _load_safe_rlhf(folder: Path, entry: dict, dtype: torch.dtype) -> nn.Module:
    """A score model as the package safe_rlhf loads it."""
    if importlib.util.find_spec("safe_rlhf") is None:
        raise InputError("backend safe_rlhf: the package safe_rlhf is not installed; leave backend out, or install it")
    try:
        from safe_rlhf.models import AutoModelForScore
    except (ImportError, AttributeError) as error:  # it is written for older versions of transformers
        raise InputError(
            f"backend safe_rlhf: the package safe_rlhf that is installed cannot be loaded here ({error}); leave "
            "backend out, or install one that goes with this version of transformers"
        ) from error

    weight_files(folder, "model", entry)
    return SafeRlhfScorer(AutoModelForScore.from_pretrained(str(folder), torch_dtype=dtype))


# adapters


def _brings_config(adapter: Path) -> bool:
    """Whether beside an adapter there is the config of the classifier that it was trained as, by this pipeline."""
    return (adapter / "config.json").is_file() and "text_format" in read_json(adapter / "config.json")


def _adapter_modules(folder: Path, entry: dict) -> list[str]:
    """Names, in the base model, of whole weights that an adapter brings, such as a head's."""
    names = [name.removeprefix("base_model.model.") for name in read_weights(folder, entry, "adapter_model")]
    return [re.sub(r"\.modules_to_save(\.default)?", "", name) for name in names if ".lora_" not in name]


def _with_adapter(model: nn.Module, folder: Path, quantization) -> nn.Module:
    """The model with an adapter on it, merged where its weights can take that in (not in 4 bits)."""
    from peft import PeftConfig, PeftModel

    config = PeftConfig.from_pretrained(folder)
    config.task_type = None  # a task's own wrapper would want a head of its own name
    with whole_adapter(folder):
        adapted = PeftModel.from_pretrained(model, folder, config=config)
    return adapted.get_base_model() if quantization else adapted.merge_and_unload()
