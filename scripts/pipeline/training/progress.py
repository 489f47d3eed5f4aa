"""Lines about slow steps of a training, between those that have its loss."""

import time

from transformers import TrainerCallback

from pipeline.jobs.progress import SECONDS, line


class SlowSteps(TrainerCallback):
    """A line after a step whenever the last line, this one's or that of the trainer's log, was some time ago.

    Args:
        seconds: the least between two lines.
    """

    def __init__(self, seconds: float = 3 * SECONDS):
        self.seconds = seconds

    def on_train_begin(self, args, state, control, **kwargs):
        self.first = state.global_step
        self.started = self.said = time.monotonic()

    def on_log(self, args, state, control, **kwargs):
        self.said = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        now = time.monotonic()
        if state.is_world_process_zero and now - self.said >= self.seconds and not control.should_log:
            self.said = now
            done, total = state.global_step - self.first, state.max_steps - self.first
            print(line("step", done, total, now - self.started), flush=True)
