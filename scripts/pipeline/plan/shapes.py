"""How large models are, before any is loaded: from their entries, configs and names."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.schemas.models import LORA

# Layers of a pretrained model of which only the number of parameters is known, by the cube root of a billion of them.
LAYERS_OF_A_BILLION = 20
MATRICES = 7  # linear layers with adapters in a transformer's layer


@dataclass(frozen=True)
class Shape:
    """A model's size.

    Attributes:
        parameters: of the whole model.
        layers: that a token passes through.
        trained: parameters that are trained and saved; all but with adapters.
    """

    parameters: float
    layers: int
    trained: float

    @property
    def frozen(self) -> bool:
        """Whether most weights are not trained, which spares their gradients."""
        return self.trained < self.parameters / 2


def model_shape(entry: Mapping, adapter: str | None = None) -> Shape | None:
    """The shape of a model's entry, of config/models.yaml or as a spec has it; None where nothing tells it.

    Args:
        adapter: lora, qlora or none; the entry's own where it is not given.
    """
    adapter = adapter or entry.get("adapter", "none")
    config = entry.get("architecture") or _read_config(str(entry.get("path", "")))
    if config and (sized := _from_config(config, entry.get("vocab_size"))):
        parameters, layers, width = sized
    elif found := parameters_in_name(str(entry.get("path", ""))):
        parameters = found
        layers = max(round(LAYERS_OF_A_BILLION * (found / 1e9) ** (1 / 3)), 1)
        width = round((found / (12 * layers)) ** 0.5)
    else:
        return None
    if adapter == "none":
        return Shape(parameters, layers, parameters)
    rank = (entry.get("lora") or {}).get("r", LORA["r"]["default"])
    return Shape(parameters, layers, MATRICES * layers * rank * 4 * width)


def reward_shape(entry: Mapping, models: Mapping[str, Mapping]) -> Shape | None:
    """The shape of a reward model's entry, which names a model of the config where it is trained."""
    train = entry.get("train")
    if not train:
        return model_shape(entry, "none")
    model = models.get(train["model"], {})
    return model_shape(dict(model) | ({"lora": train["lora"]} if "lora" in train else {}), train.get("adapter"))


def parameters_in_name(name: str) -> float | None:
    """The number of parameters that a model's name tells, such as "Qwen/Qwen1.5-0.5B" or "pythia-70m"; else None."""
    found = re.findall(r"(?<![\w.])v?(\d+(?:\.\d+)?)\s?([bm])(?![a-z0-9])", name.replace("_", "-").lower())
    if not found:
        return None
    amount, unit = found[-1]
    return float(amount) * {"b": 1e9, "m": 1e6}[unit]


def _from_config(config: Mapping, vocabulary: int | None) -> tuple[float, int, int] | None:
    """Parameters, layers and width of a transformer by its config; None where that is of another kind."""
    try:
        width, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        shared = int(config.get("num_key_value_heads") or heads) / heads
        attention = 2 * width * width * (1 + shared)
        gated = 3 if str(config.get("model_type")) not in ("gpt_neox", "phi", "deberta-v2", "bert", "roberta") else 2
        inner = int(config.get("intermediate_size") or 4 * width)
        words = int(vocabulary or config["vocab_size"]) * width
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    total = layers * (attention + gated * width * inner) + words
    return (total, layers, width) if math.isfinite(total) else None


def _read_config(path: str) -> dict | None:
    """config.json of a local folder, or of a hub id that is in the cache."""
    if not path:
        return None
    home = os.environ.get("HF_HUB_CACHE") or f"{os.environ.get('HF_HOME', '~/.cache/huggingface')}/hub"
    cached = Path(home).expanduser() / f"models--{path.replace('/', '--')}" / "snapshots"
    for file in (Path(path).expanduser() / "config.json", *cached.glob("*/config.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return content if isinstance(content, dict) else None
    return None
