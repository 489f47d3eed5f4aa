"""Scores that are numbers."""

from collections.abc import Sequence

import numpy as np

from pipeline.jobs.io import InputError


def check_finite(scores: Sequence[float] | np.ndarray, what: str) -> None:
    """See that all scores are finite numbers.

    Args:
        what: the table and column that they are of, for messages.

    Raises:
        InputError: one is not.
    """
    values = np.asarray(scores, dtype="float64")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise InputError(
            f"{what}: {wrong.size} of {values.size} scores are no finite numbers, row {wrong[0]} (the first is 0) has "
            f"{values[wrong[0]]}. A reward model does so where its weights are broken or its precision is too low"
        )
