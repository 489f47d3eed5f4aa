"""What a trainer's checkpoint must hold beyond the Trainer's own files, and which checkpoints are whole.

Each process writes its state last of all and in one step, so that a checkpoint in which all states stand is whole: the
Trainer itself writes file by file, and a run that is killed meanwhile leaves a folder that cannot be gone on from.
"""

import os
import re
from pathlib import Path

import torch
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR


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


class Resumable:
    """What a Trainer inherits, before its own class, so that its checkpoints hold `_state()` and give it back.

    The trainer has `_state()` and `_load_state(state)`.
    """

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs):
        """As the parent's; `resume_from_checkpoint=True` goes on from the newest checkpoint that is whole.

        Raises:
            ValueError: the checkpoint is not a whole one of this trainer, or there is none.
        """
        if resume_from_checkpoint is True:
            resume_from_checkpoint = last_whole_checkpoint(self.args.output_dir, self.accelerator.num_processes)
            if resume_from_checkpoint is None:
                raise ValueError(f"no whole checkpoint found in {self.args.output_dir}")
        return super().train(resume_from_checkpoint, **kwargs)

    def _save_checkpoint(self, model, trial):
        super()._save_checkpoint(model, trial)
        folder = f"{self._get_output_dir(trial=trial)}/{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        save_state(self._state(), folder, self.accelerator.process_index)

    def _load_rng_state(self, checkpoint):
        super()._load_rng_state(checkpoint)
        if checkpoint is not None:
            self._load_state(load_state(checkpoint, self.accelerator.process_index))
