"""What a trainer's checkpoint must hold beyond the Trainer's own files, and which checkpoints are whole.

Each process writes its state last of all and in one step, so that a checkpoint in which all states stand is whole: the
Trainer itself writes file by file, and a run that is killed meanwhile leaves a folder that cannot be gone on from.
"""

import os
import re
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from sail.internals import run_folder


def state_path(folder: str | Path, rank: int) -> Path:
    """Where the state of a process lies in a checkpoint."""
    return Path(folder) / f"sail_state_{rank}.pth"


def save_state(state: dict, folder: str | Path, rank: int) -> None:
    """Write a process's state in one step: a reader sees all of it or none.

    Args:
        state: numbers, texts, tensors, and lists, tuples and dicts of them.
    """
    path = state_path(folder, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_state(folder: str | Path, rank: int) -> dict:
    """A process's state.

    Raises:
        ValueError: the checkpoint has none: it is another trainer's, or was not finished.
    """
    path = state_path(folder, rank)
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {path.name}: it is the checkpoint of another trainer or of another number of processes, "
            "or was not written to its end"
        )
    return torch.load(path, weights_only=True)


def last_whole_checkpoint(folder: str | Path, processes: int) -> str | None:
    """The newest checkpoint of an output folder in which the states of all processes stand; None if there is none."""
    steps = {}
    for path in Path(folder).glob("checkpoint-*"):
        if (named := re.fullmatch(r"checkpoint-(\d+)", path.name)) and path.is_dir():
            steps[int(named[1])] = path
    whole = [step for step in steps if all(state_path(steps[step], rank).is_file() for rank in range(processes))]
    return str(steps[max(whole)]) if whole else None


class ReplayableOrder(Sampler):
    """A sampler that draws its order from the global random state, such that the order of one epoch can come again.

    Args:
        sampler: the sampler.
        replay: {epoch, state}: `drawn` of the run that is gone on with.

    Attributes:
        drawn: {epoch, state}: the epoch that was begun last, and the random state at its beginning.
    """

    def __init__(self, sampler: Sampler, replay: dict | None = None):
        self.sampler, self.replay, self.drawn, self.epoch = sampler, replay, None, 0

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next order is for."""
        self.epoch = epoch

    def __iter__(self):
        if self.replay is not None and self.replay["epoch"] == self.epoch:
            torch.set_rng_state(self.replay["state"])
        self.drawn = {"epoch": self.epoch, "state": torch.get_rng_state()}
        return iter(list(self.sampler))


class Resumable:
    """What a Trainer inherits, before its own class, so that its checkpoints hold `_state()` and give it back.

    The trainer has `_state()` and `_load_state(state)`.
    """

    args: Any
    accelerator: Any
    _order: ReplayableOrder | None = None
    _order_to_replay: dict | None = None

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs):
        """As the parent's; `resume_from_checkpoint=True` goes on from the newest checkpoint that is whole.

        Raises:
            ValueError: the checkpoint is not a whole one of this trainer, or there is none.
        """
        if resume_from_checkpoint is True:
            resume_from_checkpoint = last_whole_checkpoint(self.args.output_dir, self.accelerator.num_processes)
            if resume_from_checkpoint is None:
                raise ValueError(f"no whole checkpoint found in {self.args.output_dir}")
        if resume_from_checkpoint:
            # The parent goes through the epoch's order up to where it stopped before it restores any random state.
            self._order_to_replay = load_state(resume_from_checkpoint, self.accelerator.process_index).get("order")
        return super().train(resume_from_checkpoint, **kwargs)  # type: ignore[misc]

    def _get_train_sampler(self, *args, **kwargs):
        sampler = super()._get_train_sampler(*args, **kwargs)
        if isinstance(sampler, LengthGroupedSampler):
            sampler.lengths = sampler.lengths[:]  # a dataset's column would look each row's up anew
            sampler = self._order = ReplayableOrder(sampler, self._order_to_replay)
        return sampler

    def _save_checkpoint(self, model, trial):
        # The parent would delete the last whole checkpoint before this one is whole.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        run = run_folder(self, trial)
        state = self._state() | {"order": self._order and self._order.drawn}
        folder = f"{run}/{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        save_state(state, folder, self.accelerator.process_index)
        if limit is not None:
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                rotate_checkpoints(run, limit, self.state.best_model_checkpoint, use_mtime=True)

    def _load_rng_state(self, checkpoint):
        super()._load_rng_state(checkpoint)
        if checkpoint is not None:
            self._load_state(load_state(checkpoint, self.accelerator.process_index))
