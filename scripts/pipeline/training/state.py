"""Training that goes on from its last whole checkpoint, to the same weights and the same learning curve."""

import shutil
import time
from collections.abc import Collection
from functools import cache
from pathlib import Path

from accelerate.utils import broadcast_object_list
from transformers import Trainer, TrainerCallback

from sail.checkpoint import Resumable, last_whole_checkpoint
from sail.internals import load_unlogged, unlogged

KEPT = 2  # checkpoints: while one is written, the one before is there


class KeepsLog:
    """What a resumable TRL trainer inherits first: its checkpoints hold what the next line of its log is made from.

    The Trainer itself forgets the losses and metrics since the last line, and the time that was spent.

    Attributes:
        seconds_before: spent on the steps before those of this process.
    """

    seconds_before = 0.0
    begun: float | None = None

    def train(self, *args, **kwargs):
        self.begun = time.perf_counter()
        return super().train(*args, **kwargs)

    def seconds(self) -> float:
        """Seconds that the training took so far, all attempts together, without what was lost."""
        return self.seconds_before + time.perf_counter() - self.begun

    def _state(self) -> dict:
        inherited = super()._state() if hasattr(super(), "_state") else {}
        history = {"history": self.state.log_history}  # which the Trainer keeps with its keys in another order
        return inherited | {"log": unlogged(self) | history, "seconds": self.seconds()}

    def _load_state(self, state: dict) -> None:
        if hasattr(super(), "_load_state"):
            super()._load_state(state)
        load_unlogged(self, state["log"])
        self.state.log_history = state["log"]["history"]
        self.seconds_before, self.begun = state["seconds"], time.perf_counter()


@cache
def continued(trainer: type[Trainer]) -> type[Trainer]:
    """A trainer's class, with checkpoints that a killed run goes on from as if it had not been killed."""
    resumable = () if issubclass(trainer, Resumable) else (Resumable,)
    return type(trainer.__name__, (KeepsLog, *resumable, trainer), {})


class Checkpoints(TrainerCallback):
    """Saves a checkpoint after the step at which that many seconds have passed since the last one.

    The last step needs none, as the result follows it.

    Args:
        seconds: between checkpoints.
        steps: after which there is one in any case.
    """

    def __init__(self, seconds: float, steps: Collection[int] = ()):
        self.interval, self.steps, self.saved = seconds, steps, 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        self.saved = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        due = [time.monotonic() - self.saved >= self.interval or state.global_step in self.steps]
        if args.world_size > 1:  # all processes save together, by the first one's clock
            broadcast_object_list(due)
        control.should_save = due[0] and state.global_step < state.max_steps

    def on_save(self, args, state, control, **kwargs):
        self.saved = time.monotonic()
        print(f"step {state.global_step}/{state.max_steps}  checkpoint", flush=True)


def train_on(trainer: Trainer, interval: float) -> None:
    """Train from the last whole checkpoint in the trainer's output folder, else from the beginning.

    Args:
        trainer: of a class that `continued` made; with `checkpoint_steps` where it wants checkpoints after these.
        interval: seconds between checkpoints; 0 for one after every step.
    """
    folder, accelerator = Path(trainer.args.output_dir), trainer.accelerator
    found = [None]
    if accelerator.is_main_process:
        found = [last_whole_checkpoint(folder, accelerator.num_processes)]
        remove_checkpoints(folder, but=found[0])
    if accelerator.num_processes > 1:
        broadcast_object_list(found)
    if found[0] and accelerator.is_main_process:
        print(f"continues after step {found[0].rpartition('-')[2]}", flush=True)
    trainer.args.save_total_limit = KEPT
    trainer.add_callback(Checkpoints(interval, getattr(trainer, "checkpoint_steps", ())))
    try:
        trainer.train(resume_from_checkpoint=found[0])
    except Exception:
        if accelerator.is_main_process:  # where the disk is full, this makes room for what there is to say
            remove_checkpoints(folder, but=last_whole_checkpoint(folder, accelerator.num_processes))
        raise


def remove_checkpoints(folder: Path, but: str | None) -> None:
    """Remove all checkpoints of a folder but one."""
    for path in folder.glob("checkpoint-*"):
        if str(path) != but:
            shutil.rmtree(path, ignore_errors=True)
