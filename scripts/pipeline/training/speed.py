"""What an optimizer step of a training takes, measured by a few steps of a trainer of its own, and kept in a file.

Such a file is read ever after, on whatever machine: a clock decides once how many steps a budget has.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PrinterCallback, TrainerCallback

from pipeline.jobs.io import InputError, file_hash, read_json, write_json
from pipeline.jobs.processes import is_first_process, processes
from pipeline.models.devices import Device
from pipeline.models.fitting import free
from pipeline.training.fitting import fit, smaller_batch, tile_tokens
from pipeline.training.processes import share_order
from sail.internals import logits_of, unlogged

WARM, TIMED = 2, 8  # steps: the first ones are slower
KEYS = ("seconds_per_step", "tokens_per_step")


class Clock(TrainerCallback):
    """Notes the time, and the seconds of sampling so far, after each step.

    Args:
        trainer: that it is added to.
    """

    def __init__(self, trainer):
        self.trainer, self.ends = trainer, []

    def on_step_end(self, args, state, control, **kwargs):
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self.ends.append((time.perf_counter(), getattr(self.trainer, "rollout_seconds", 0.0)))


def speed_path(folder: Path, spec: dict, made_from: list) -> Path:
    """Where the speed of a training is kept.

    Args:
        spec: its policy spec without what says how long it is; another spec has another file, whatever runs are called.
        made_from: what else a step depends on, which the spec only names: hashes of the data, the reward model's spec.
    """
    parts = [spec | {"run": None}, made_from]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    return folder / spec["dataset"] / spec["model"]["name"] / f"{spec['method']}-{key}.json"


def read_speed(path: Path) -> dict:
    """A kept speed.

    Raises:
        InputError: it lacks one of KEYS, or has a number that is not above 0.
    """
    speed = read_json(path)
    for key in KEYS:
        if not isinstance(speed, dict) or not isinstance(speed.get(key), int | float) or not speed[key] > 0:
            raise InputError(f"{path}: {key} must be a number above 0; without the file it is measured again")
    return speed


def keep_speed(path: Path, speed: dict) -> None:
    """Keep a measured speed, unless another job has kept one meanwhile, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        write_json(speed, Path(folder) / path.name)
        try:
            os.link(Path(folder) / path.name, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not path.exists():
                os.replace(Path(folder) / path.name, path)


def rows_hash(data: Path, reference: pd.DataFrame) -> str:
    """SHA-256 of a split and of the rows of it that have a reference; its numbers may differ between machines."""
    rows = reference["row"].to_numpy(dtype="int64").tobytes()
    return hashlib.sha256(file_hash(data).encode() + rows).hexdigest()


def sample_rows(reference: pd.DataFrame, global_batch_size: int) -> pd.DataFrame:
    """Rows of the train split for the measured steps, evenly spread: their lengths are those of all."""
    wanted = min((WARM + TIMED) * global_batch_size, len(reference))
    return reference.iloc[np.linspace(0, len(reference) - 1, wanted).round().astype(int)].reset_index(drop=True)


def measured_speed(make: Callable, device: Device) -> dict:
    """Seconds and tokens of a step, over some steps of a training that nothing is kept of.

    Pairs that were sampled and wait to be trained on count in part: their sampling is spread over the steps they last.

    Args:
        make: called with a folder that the trainer may write to, for the trainer, whose max_steps are WARM + TIMED.

    Returns:
        seconds_per_step, tokens_per_step (trained on, both responses of a pair with their prompt, and sampled, over all
        processes), steps measured, and the device's record.

    Raises:
        InputError: the trainer counts no tokens; or a step ran out of memory, and there is no smaller batch, or other
            processes have to begin again too.
    """
    with tempfile.TemporaryDirectory() as folder, logits_of(tile_tokens(device, "policy")):
        while (speed := _attempt(make, device, Path(folder))) is None:
            pass
    return speed


def _attempt(make: Callable, device: Device, folder: Path) -> dict | None:
    """Measure once; None where a step ran out of memory, and the next attempt has a smaller batch."""
    trainer, speed = make(str(folder)), None
    fit(trainer, "policy", device, folder)
    rows = trainer.args.per_device_train_batch_size
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock := Clock(trainer))
    share_order(trainer)
    try:
        trainer.train()
        speed = _speed(trainer, clock.ends) | {"device": device.record()}
    except torch.OutOfMemoryError:
        pass  # what the error refers to is given free first
    del trainer
    clock.trainer = None
    free()
    if speed is None:
        fewer, text = smaller_batch(folder, rows, "policy", device)
        if processes()[1] > 1:
            raise InputError(f"{text}; give per_device_batch_size.policy a number below it")
        print(f"{text}; measured again with {fewer}", flush=True)
    return speed


def _speed(trainer, ends: list[tuple[float, float]]) -> dict:
    steps = len(ends)
    (begun, sampled_before), (ended, sampled) = ends[WARM - 1], ends[-1]
    training = (ended - begun - (sampled - sampled_before)) / (steps - WARM)
    used = trainer.used_share() if sampled and hasattr(trainer, "used_share") else 1.0
    counts = torch.tensor(float(getattr(trainer, "rollout_tokens", 0)), device=trainer.accelerator.device)
    generated = trainer.accelerator.reduce(counts, "sum").item()
    trained = max(unlogged(trainer)["tokens"], trainer.state.num_input_tokens_seen)
    if not trained:
        raise InputError(f"{type(trainer).__name__} counts no tokens; give a budget of steps")
    seconds, tokens = training + used * sampled / steps, (trained + used * generated) / steps
    return {"seconds_per_step": seconds, "tokens_per_step": tokens, "steps": steps}


def kept_speed(
    folder: Path, spec: dict, made_from: list, make: Callable, device: Device, before: dict[str, float] | None = None
) -> dict:
    """The speed of a training: the kept one, else measured and kept.

    Args:
        folder: of all kept speeds.
        spec, made_from: see `speed_path`.
        make: see `measured_speed`.
        before: {seconds, tokens} that went before the first step, which are kept as seconds_before and tokens_before.
    """
    path = speed_path(folder, spec, made_from)
    if not path.is_file():
        speed = measured_speed(make, device) | {f"{kind}_before": amount for kind, amount in (before or {}).items()}
        if is_first_process():
            keep_speed(path, speed)
            print(f"{spec['run']}: {speed['seconds_per_step']:.3f} s and {speed['tokens_per_step']:.0f} tokens a step")
        if not path.is_file():
            return speed  # in another process, whose result nobody reads
    return read_speed(path)
