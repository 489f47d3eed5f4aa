"""Checkpoints of a training that are kept to be measured, evenly over its steps; the last of them is its result.

They wait in the job's state, so that a killed training still has those that it wrote. What is trained does not depend
on them: nothing random is drawn where weights are written.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from transformers import TrainerCallback

from pipeline.jobs.io import atomic_folder, file_hash, visible_files, write_json
from pipeline.jobs.processes import is_first_process
from pipeline.training.processes import whole_weights

FOLDER = "kept"


def kept_steps(count: int, last: int) -> list[int]:
    """The steps after which a checkpoint is kept, `last` among them: so many, or all steps where there are fewer."""
    return sorted({max(round(last * number / count), 1) for number in range(1, count + 1)})


class KeepsCheckpoints(TrainerCallback):
    """Writes a training's weights after each of its `kept_steps` but the last.

    Args:
        trainer, tokenizer: whose weights these are.
        count: of checkpoints, the last step's included.
        state: the job's state, in which they wait.
        save: called with (model, tokenizer, folder), and with state_dict where the model has a part of it only.
    """

    def __init__(self, trainer, tokenizer, count: int, state: Path, save: Callable):
        self.trainer, self.tokenizer, self.count = trainer, tokenizer, count
        self.folder, self.save = state / FOLDER, save

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step not in kept_steps(self.count, state.max_steps)[:-1]:
            return
        weights = whole_weights(self.trainer)
        if is_first_process():
            model = self.trainer.accelerator.unwrap_model(self.trainer.model)
            self.save(model, self.tokenizer, kept_folder(self.folder, state.global_step), **weights)


def kept_results(output_dir: Path, count: int) -> list[Path]:
    """What of kept checkpoints a training leaves: their folder, and the file by which they are known; none of none."""
    return [output_dir / f"checkpoints{count}", output_dir / f"checkpoints{count}.json"] if count else []


def write_kept(state: Path, output_dir: Path, count: int, last: int) -> None:
    """Move kept checkpoints from a job's state to its results.

    Args:
        count: of checkpoints, the last step's included.
        last: the training's last step, whose weights are its result.
    """
    folder, file = kept_results(output_dir, count)
    steps = kept_steps(count, last)
    with atomic_folder(folder) as temporary:
        for step in steps[:-1]:
            shutil.copytree(kept_folder(state / FOLDER, step), kept_folder(temporary, step))
    hashes = {name: file_hash(path) for name, path in visible_files(folder).items()}
    write_json({"steps": steps, "files": hashes}, file)


def kept_folder(folder: Path, step: int) -> Path:
    """The checkpoint of a step among those that a folder holds."""
    return folder / f"step-{step}"
