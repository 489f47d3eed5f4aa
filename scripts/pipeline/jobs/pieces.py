"""Finished pieces of a long computation, in the state of its job: what a killed job need not compute again."""

import time
from pathlib import Path

import torch

from pipeline.jobs.io import atomic_path

SAVE_SECONDS = 10.0  # of work that a killed job loses at most


class Pieces:
    """Values computed one after the other, saved from time to time, in files that are each there whole or not at all.

    Args:
        folder: where the files are; made when the first one is written. None keeps nothing.

    Attributes:
        values: those that were saved before.
        state: what was given with the last of them; None where there are none.
    """

    def __init__(self, folder: Path | None):
        self.folder, self.values, self.state = folder, [], None
        while folder and (path := self._file(len(self.values))).is_file():
            piece = torch.load(path, weights_only=True)
            self.values += piece["values"]
            self.state = piece["state"]
        self.unsaved: list = []
        self.saved = time.monotonic()

    def add(self, value, state=None) -> None:
        """Take the next value, made of numbers, texts and tensors.

        Args:
            state: called for what the computation goes on from, when it is saved.
        """
        self.unsaved.append(value)
        if not self.folder or time.monotonic() - self.saved < SAVE_SECONDS:
            return
        with atomic_path(self._file(len(self.values))) as temporary:
            torch.save({"values": self.unsaved, "state": state and state()}, temporary)
        self.values, self.unsaved, self.saved = self.values + self.unsaved, [], time.monotonic()

    def all(self) -> list:
        """All values, in order."""
        return self.values + self.unsaved

    def _file(self, number: int) -> Path:
        """The file whose first value has that number."""
        return self.folder / f"{number}.pth"


def random_state() -> dict:
    """Torch's random states, of the CPU and of all GPUs in use."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []}


def restore_random_state(state: dict) -> None:
    """Set torch's random states as `random_state` gave them."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
