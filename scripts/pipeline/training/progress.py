"""Lines about the steps of a training."""

from transformers import TrainerCallback

from pipeline.jobs.progress import SECONDS, Progress


class StepLines(TrainerCallback):
    """A line whenever the trainer logs a loss, and between these about slow steps.

    Args:
        seconds: from a line on until a step has one although no loss is logged.
    """

    def __init__(self, seconds: float = 3 * SECONDS):
        self.seconds = seconds

    def on_train_begin(self, args, state, control, **kwargs):
        self.progress = Progress("step", state.max_steps, total=state.max_steps, seconds=self.seconds)
        self.progress.add_found(state.global_step)

    def on_step_end(self, args, state, control, **kwargs):
        self.progress.add(1, quiet=control.should_log)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in (logs or {}):
            self.progress.tell(f"loss {float(logs['loss']):.4f}")
