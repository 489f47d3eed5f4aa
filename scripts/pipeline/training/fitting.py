"""How many rows of a training fit, where its batch size is `auto`.

On a GPU that is tried: steps at full length, before the first one, that leave weights, optimizer and random state as
they were. On a CPU, where a process that takes too much is killed, it is estimated. The choice is kept for a training
that goes on; where a step runs out of memory after all, it is halved.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate.utils import DistributedType

from pipeline.config.global_batch import divisors
from pipeline.jobs.gathering import gathered
from pipeline.jobs.io import InputError, read_json
from pipeline.jobs.processes import is_first_process, processes
from pipeline.models.devices import Device
from pipeline.models.fitting import free, keep_choice, kept_choice, layer_count, room, sequence_bytes
from sail.internals import set_batch

# Sequences of a row.
SEQUENCES = {"sft": 1, "policy": 2, "reward": 2}
# Numbers that an optimizer keeps for each weight that it changes; two where it is not named.
OPTIMIZER_STATES = {"sgd": 0, "adafactor": 0, "rmsprop": 1, "adagrad": 1}
# Gradients on their way through the layers, and what the management of memory wastes: measured with SmolLM2-135M.
OVERHEAD = 1.3
# Entries of a tile of logits, and the copies of it that TRL's fused head makes of it on a CPU, in float32.
TILE_TOKENS, TILE_WIDTH, TILE_COPIES = 256, 32768, 9
NAME = "training"
SHARDING = (DistributedType.FSDP, DistributedType.DEEPSPEED)


def fit(trainer, stage: str, device: Device, folder: Path | str) -> dict | None:
    """Set a trainer's rows per device and accumulation steps, where the device leaves the rows to be found.

    Args:
        trainer: a TRL trainer that is not yet trained; its model is on its device.
        stage: sft, policy or reward.
        folder: the job's state, in which the choice is kept.

    Returns:
        {rows, steps, checkpointing, halved: how often a step ran out of memory}; None where the device has a number.
    """
    if not device.finds_rows(stage):
        return None
    processes_rows = trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps
    choice = kept_choice(folder, NAME, device, lambda: _find(trainer, stage, device, divisors(processes_rows)))
    steps = processes_rows // choice["rows"]
    set_batch(trainer, choice["rows"], steps, choice["checkpointing"])
    if is_first_process():
        again = ", layers computed again in the backward pass" if choice["checkpointing"] else ""
        print(f"batch: {choice['rows']} rows per device × {steps} accumulation steps{again}", flush=True)
    return choice | {"steps": steps}


def _find(trainer, stage: str, device: Device, candidates: list[int]) -> dict:
    """The first candidate that fits, the largest first; with activation checkpointing if none does without."""
    if trainer.accelerator.distributed_type in SHARDING:  # whole until the training begins, it may not fit anywhere
        return {"rows": 1, "checkpointing": device.activation_checkpointing != "never", "halved": 0}
    ways = {"always": [True], "never": [False]}.get(device.activation_checkpointing, [False, True])
    fits = tried(trainer, stage) if device.type == "cuda" else estimated(trainer, stage, device)
    rows, checkpointing = first_fit(candidates, ways, lambda *case: _all_agree(fits(*case), device))
    return {"rows": rows, "checkpointing": checkpointing, "halved": 0}


def first_fit(candidates: list[int], ways: list[bool], fits: Callable[[int, bool], bool]) -> tuple[int, bool]:
    """The first (rows, whether with activation checkpointing) that fits.

    Args:
        candidates: numbers of rows, the largest first.
        ways: whether with checkpointing, the best first; the second is looked at if no candidate fits with the first.
    """
    for checkpointing in ways:
        for rows in candidates:
            if fits(rows, checkpointing):
                return rows, checkpointing
    print("batch: not even one row may fit; it is tried all the same", flush=True)
    return candidates[-1], ways[-1]


def _all_agree(fits: bool, device: Device) -> bool:
    """Whether it fits in every process."""
    return all(gathered({processes()[0]: fits}, device.type).values())


def estimated(trainer, stage: str, device: Device) -> Callable[[int, bool], bool]:
    """Tells whether so many rows fit on a CPU, by what short sequences take of the memory that there is in all."""
    model, length = trainer.model, trainer.args.max_length
    weights = list(model.parameters())
    with _untouched(trainer):
        row = sequence_bytes(lambda tokens: _loss(trainer, stage, 1, tokens), weights, length)
    layers, config = layer_count(model), model.config.get_text_config()
    again = 2 * row / layers + SEQUENCES[stage] * layers * length * config.hidden_size * 4
    copies = TILE_COPIES * TILE_TOKENS * min(config.vocab_size, TILE_WIDTH) * 4
    fixed = _optimizer_bytes(trainer) + (0 if stage == "reward" else copies)
    available = room(device)

    def fits(rows: int, checkpointing: bool) -> bool:
        return fixed + rows * OVERHEAD * (again if checkpointing else row) <= available

    return fits


def tried(trainer, stage: str) -> Callable[[int, bool], bool]:
    """Tells whether so many rows fit on a GPU, by a forward and a backward pass at full length."""
    model, place = trainer.model, trainer.accelerator.device

    def fits(rows: int, checkpointing: bool) -> bool:
        try:
            with _untouched(trainer), _checkpointing(model, checkpointing):
                # What the first step allocates besides: the optimizer's states, and what processes exchange.
                held = torch.empty(int(_optimizer_bytes(trainer)), dtype=torch.uint8, device=place)
                _loss(trainer, stage, rows, trainer.args.max_length).backward()
                del held
        except torch.OutOfMemoryError:
            return False
        finally:
            free()
        return True

    return fits


def _optimizer_bytes(trainer) -> float:
    """Bytes of gradients' copies and the optimizer's states, which are made in the first step."""
    changed = sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad)
    return 4 * changed * (1 + OPTIMIZER_STATES.get(str(getattr(trainer.args.optim, "value", trainer.args.optim)), 2))


def _loss(trainer, stage: str, rows: int, length: int) -> torch.Tensor:
    """A number to be derived, from as many sequences of a length as so many rows have."""
    ids = torch.zeros((SEQUENCES[stage] * rows, length), dtype=torch.long, device=trainer.accelerator.device)
    mask = torch.ones_like(ids)
    mask[0, -1] = 0  # batches are padded, for which attention may take another way
    with trainer.accelerator.autocast():
        if stage == "reward":
            return trainer.model(input_ids=ids, attention_mask=mask).logits.float().sum()
        if getattr(trainer, "whole_logits", False):
            logits = trainer.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            return -logits.float().log_softmax(-1)[..., 0].sum()
        labels = ids.masked_fill(mask == 0, -100)
        outputs = trainer.model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False, fused_lm_head=True)
        return -outputs.log_probs.sum()


@contextmanager
def _untouched(trainer) -> Iterator[None]:
    """Do what training does not notice: random state, mode and gradients are afterwards as before."""
    model, place = trainer.model, trainer.accelerator.device
    training = model.training
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        model.train()
        try:
            yield
        finally:
            model.train(training)
            model.zero_grad(set_to_none=True)


@contextmanager
def _checkpointing(model, wanted: bool) -> Iterator[None]:
    """Whether layers are computed again in the backward pass."""
    adapted = hasattr(model, "peft_config")
    if wanted:
        model.activation_checkpointing_enable()
        if adapted:
            model.enable_input_require_grads()
    try:
        yield
    finally:
        if wanted:
            model.activation_checkpointing_disable()
            if adapted:
                model.disable_input_require_grads()


def halve(folder: Path | str, trained_with: int) -> dict | None:
    """Keep half as many rows, or activation checkpointing where there is one row; None where nothing is left to do.

    Args:
        trained_with: the rows that were too many; another process may have halved them already.
    """
    path = Path(folder) / f"{NAME}-rows.json"
    choice = read_json(path) if path.is_file() else None
    if choice is None or choice["rows"] < trained_with:
        return choice
    if choice["rows"] == 1 and choice["checkpointing"]:
        return None
    if choice["rows"] == 1:
        choice["checkpointing"] = True
    else:
        choice["rows"] = next(n for n in divisors(choice["rows"]) if 2 * n <= choice["rows"])
    choice["halved"] += 1
    keep_choice(folder, NAME, choice)
    return choice


def smaller_batch(folder: Path | str, rows: int, stage: str, device: Device) -> tuple[int, str]:
    """What to try after a step that ran out of memory.

    Returns:
        The rows of the next attempt, which are kept, and what happened, in words.

    Raises:
        InputError: there is no smaller batch.
    """
    choice, text = halve(folder, rows), f"device {device.name}: out of memory with {rows} rows per device"
    if choice is None:
        smaller = "is one already; use a larger device" if rows == 1 else f"auto, or below {rows}, may fit"
        raise InputError(f"{text}; per_device_batch_size.{stage} {smaller}")
    return choice["rows"], text


def tile_tokens(device: Device, stage: str) -> int | None:
    """Tokens whose logits TRL's fused head holds at a time; as many as it likes where that is None."""
    return TILE_TOKENS if device.type == "cpu" and device.finds_rows(stage) else None
