"""What the benchmarks of lm-eval are run by."""

import copy

from pipeline.config.settings import Settings

VERSION = "0.4.13"  # of lm-eval, as in envs/requirements-lm-eval.txt: another one may have other prompts and answers


def lm_eval_spec(settings: Settings, model: str) -> dict:
    """What a model's checkpoints are asked: {model: {name, …}, lm_eval: its version, tasks: [{task, …}]}."""
    spec = {"model": settings.generation_spec(model)["model"], "lm_eval": VERSION}
    return spec | {"tasks": copy.deepcopy(settings.config["lm_eval"])}
