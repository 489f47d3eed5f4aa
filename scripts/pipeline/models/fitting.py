"""How many rows fit where a batch size is `auto`: what this process may take, what rows take, and what was chosen.

What may be taken follows from the memory that the machine has in all and the jobs side by side on it, never from what
is free at the moment, so that it is the same in every run.
"""

import gc
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.jobs.gathering import gathered
from pipeline.jobs.io import read_json, write_json
from pipeline.jobs.memory import resident_memory, total_memory
from pipeline.jobs.processes import is_first_process, processes
from pipeline.models.devices import Device

GIB = 2**30
# Of the memory in all; the rest is for the system, and for what an estimate does not know of.
SHARE = 0.8
# That rows take on a CPU, where more of them side by side take as long as one after the other.
MOST_ON_CPU = 2.5 * GIB
# Lengths of the short sequences that a model's need is measured on.
SHORT = (16, 32)
# Rows side by side where nothing is trained.
INFERENCE_ROWS = (128, 64, 32, 16, 8, 4, 2, 1)
# Copies of logits, in float32, that sampling from them holds.
SAMPLING_COPIES = 6


def room(device: Device) -> float:
    """Bytes that rows may take in this process, on top of what it holds already."""
    if device.type == "cuda":
        place = torch.device(device.torch_device)
        return SHARE * torch.cuda.get_device_properties(place).total_memory - torch.cuda.memory_allocated(place)
    own = SHARE * total_memory() / (device.side_by_side * processes()[1])
    return min(own - resident_memory(), MOST_ON_CPU)


def saved_bytes(run: Callable[[], object], parameters: Iterable[torch.nn.Parameter]) -> int:
    """Bytes that a forward pass keeps for its backward pass, the parameters themselves not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()  # what it keeps lives as long as its result
    del result
    return sum(kept.values())


def sequence_bytes(run: Callable[[int], object], parameters: Iterable[torch.nn.Parameter], length: int) -> float:
    """Bytes that a sequence of a length keeps for its backward pass, from short ones: a part per token, one per square.

    Args:
        run: the forward pass of a sequence of a length.
    """
    parameters = list(parameters)
    short, longer = (saved_bytes(lambda tokens=tokens: run(tokens), parameters) for tokens in SHORT)
    square = max(longer - 2 * short, 0) / (2 * SHORT[0] ** 2)
    per_token = (short - square * SHORT[0] ** 2) / SHORT[0]
    return per_token * length + square * length**2


def layer_count(model) -> int:
    """The number of a model's layers."""
    return getattr(model.config.get_text_config(), "num_hidden_layers", None) or 1


def cache_bytes(model, tokens: int) -> float:
    """Bytes that a sequence of so many tokens takes while it is generated: keys and values, and the logits of one."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", 0) or 0
    width = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0)
    values = 2 * layer_count(model) * (getattr(config, "num_key_value_heads", None) or heads) * width
    return values * tokens * model.dtype.itemsize + SAMPLING_COPIES * 4 * config.vocab_size


@torch.no_grad()
def forward_bytes(model, length: int) -> float:
    """Bytes that a sequence of a length takes in a forward pass alone: about twice what one layer's modules give."""
    trunk = (model.get_base_model() if hasattr(model, "peft_config") else model).base_model
    given = []

    def count(module, args, output) -> None:
        given.append(output.nbytes if isinstance(output, torch.Tensor) else 0)

    hooks = [module.register_forward_hook(count) for module in trunk.modules() if not list(module.children())]
    ids = torch.zeros((1, SHORT[0]), dtype=torch.long, device=next(model.parameters()).device)
    trunk(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    for hook in hooks:
        hook.remove()
    return 2 * sum(given) / SHORT[0] * length / layer_count(model)


def most_rows(candidates: Iterable[int], per_row: float, available: float) -> int:
    """The first of the candidates, the largest first, that fits, else the last."""
    rows = 1
    for rows in candidates:
        if rows * per_row <= max(available, 0):
            break
    return rows


def kept_choice(folder: Path | str, name: str, device: Device, find: Callable[[], dict]) -> dict:
    """What a job chose before it was killed, else what it finds now, which is kept; the same in all processes.

    Args:
        folder: the job's state.
        name: of the choice, such as "generate".
        find: called in every process where nothing is kept; the first one's finding counts.
    """
    path = Path(folder) / f"{name}-rows.json"
    known = gathered({processes()[0]: read_json(path) if path.is_file() else None}, device.type)[0]
    if known is None:
        known = gathered({processes()[0]: find()}, device.type)[0]
        if is_first_process():
            keep_choice(folder, name, known)
    return known


def keep_choice(folder: Path | str, name: str, choice: dict) -> None:
    """Keep a choice, in place of one before it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    write_json(choice, Path(folder) / f"{name}-rows.json")


def fitted(device: Device, stage: str, folder: Path | str, per_row: Callable[[], float], part: float = 1.0) -> Device:
    """The device with a number of rows for `reference` or `generate`, where it has none.

    Args:
        folder: the job's state, in which the choice is kept.
        per_row: bytes that a row takes.
        part: of the room that the rows may take.
    """
    if not device.finds_rows(stage):
        return device

    def find() -> dict:
        own = most_rows(INFERENCE_ROWS, per_row(), part * room(device))
        return {"rows": min(gathered({processes()[0]: own}, device.type).values())}

    rows = kept_choice(folder, stage, device, find)["rows"]
    return replace(device, batch_sizes=device.batch_sizes | {stage: rows})


def free() -> None:
    """Give memory back that nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
