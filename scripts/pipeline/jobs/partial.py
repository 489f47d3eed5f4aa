"""Partial results of a long computation, in the state of its job: what a killed job need not compute again."""

import time
from pathlib import Path

import torch

from pipeline.jobs.io import atomic_path
from pipeline.jobs.processes import processes

SAVE_SECONDS = 10.0  # of work that a killed job loses at most


class PartialResults:
    """Values under keys, saved from time to time, in files that are each there whole or not at all.

    Several processes may share a folder; each finds what all of them saved before it began.

    Args:
        folder: where the files are; made when the first one is written. None keeps nothing.

    Attributes:
        values: all that there are, in the order in which they were added.
        found: how many of them were saved before.
        state: what was given with the last of those; None where there are none.
    """

    def __init__(self, folder: Path | None):
        self.folder, self.values, self.state = folder, {}, None
        files = folder.glob("[0-9]*.pth") if folder else ()
        for path in sorted(files, key=lambda path: [int(number) for number in path.stem.split("-")]):
            saved = torch.load(path, weights_only=True)
            self.values |= saved["values"]
            self.state = saved["state"]
        self.found = len(self.values)
        self.unsaved: dict = {}
        self.saved = time.monotonic()

    def add(self, values: dict, state=None) -> None:
        """Take the next values, made of numbers, texts and tensors.

        Args:
            state: called for what the computation goes on from, when it is saved.
        """
        self.values |= values
        self.unsaved |= values
        if time.monotonic() - self.saved >= SAVE_SECONDS:
            self.save(state)

    def save(self, state=None) -> None:
        """Save what is not saved yet."""
        if self.folder and self.unsaved:
            name = f"{len(self.values)}-{processes()[0]}.pth"  # later ones have more before them
            with atomic_path(self.folder / name) as temporary:
                torch.save({"values": self.unsaved, "state": state and state()}, temporary)
        self.unsaved, self.saved = {}, time.monotonic()


def random_state() -> dict:
    """Torch's random states, of the CPU and of all GPUs in use."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []}


def restore_random_state(state: dict) -> None:
    """Set torch's random states as `random_state` gave them."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
