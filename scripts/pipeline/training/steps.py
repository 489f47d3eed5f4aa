"""Optimizer steps of a policy where a budget or another run says how many: the same in each run of the same files."""

import math

from pipeline.config.arguments import EXTENTS
from pipeline.jobs.io import InputError


def with_steps(spec: dict, pairs: int, counted: int | None) -> dict:
    """A policy spec with its number of optimizer steps as `max_steps`; as it is, where its hyperparameters say all.

    Args:
        spec: {…, hyperparameters}, and extent where another run has as many steps, see `pipeline.config.extents`.
        pairs: of the train split that are trained on.
        counted: steps that a budget was turned into, or that the other run's record has.

    Raises:
        InputError: `counted` is needed and None.
    """
    values = spec["hyperparameters"]
    further = {key: value for key, value in values.items() if key in EXTENTS and key != "max_steps"}
    if not further:
        return spec
    steps = steps_of(spec["extent"], pairs, counted) if "extent" in spec else counted
    if steps is None:
        raise InputError(f"{spec['run']}: its steps follow from a budget or from another run; give --steps")
    kept = {key: value for key, value in values.items() if key not in further}
    return spec | {"hyperparameters": kept | {"max_steps": steps}}


def steps_of(extent: dict, pairs: int, counted: int | None) -> int | None:
    """Optimizer steps of an extent: as it says, as the Trainer counts passes over pairs, or as they were counted."""
    if "run" in extent:
        return counted
    if "max_steps" in extent:
        return extent["max_steps"]
    return math.ceil(extent["epochs"] * math.ceil(pairs / extent["global_batch_size"]))


def steps_in_budget(budget: dict, speed: dict, other_seconds: float | None = None) -> int:
    """The number of steps that comes nearest to a budget, at least 1.

    Args:
        budget: {tokens | seconds | relative: amount}.
        speed: seconds_per_step and tokens_per_step of the run; what it takes before its first step, seconds_before
            and tokens_before, is part of its budget.
        other_seconds: of the run that a relative budget is a multiple of.
    """
    [(kind, amount)] = budget.items()
    if kind == "relative":
        kind, amount = "seconds", amount * other_seconds
    left = amount - speed.get(f"{kind}_before", 0.0)
    return max(round(left / speed[f"{kind}_per_step"]), 1)
