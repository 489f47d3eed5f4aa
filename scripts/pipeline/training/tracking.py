"""Training curves for Weights & Biases."""

from transformers import TrainerCallback

from pipeline.tracking import OFF, start_run


class Tracking(TrainerCallback):
    """Sends what a trainer logs to a run of Weights & Biases, from the first process alone.

    Args:
        arguments: of `pipeline.tracking.start_run`.
    """

    def __init__(self, **arguments):
        self.arguments = arguments
        self.run = None

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.run = start_run(**self.arguments)

    def on_log(self, args, state, control, logs=None, **kwargs):
        values = {f"train/{name}": value for name, value in (logs or {}).items() if isinstance(value, int | float)}
        if self.run and values:
            self.run.log(values, step=state.global_step)

    def on_train_end(self, args, state, control, **kwargs):
        if self.run:
            self.run.finish()


def track(trainer, project: str, name: str, group: str, job_type: str, config: dict) -> None:
    """Have a trainer's curves recorded, unless the project is `pipeline.tracking.OFF`."""
    if project != OFF:
        trainer.add_callback(Tracking(project=project, name=name, group=group, job_type=job_type, config=config))
