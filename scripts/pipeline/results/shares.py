"""Shares of prompts in per cent, with intervals that a share of 0 or 100% has too."""

import numpy as np

from pipeline.metrics import bootstrap

NORMAL = 1.959963984540054  # of a 95% interval


def shares(measured: dict[str, np.ndarray], resamples: int = bootstrap.RESAMPLES) -> dict[str, float]:
    """Each share with its interval (`_low`, `_high`), in per cent.

    Where all cells are 0 or all are 1 the bootstrap has nothing to vary: there the interval is Wilson's, of as many
    draws as there are prompts.

    Args:
        measured: by name, cells of shape (S, P) between 0 and 1, NaN where missing.
    """
    if not measured:
        return {}
    found = {name: 100 * value for name, value in bootstrap.estimates(measured, resamples).items()}
    for name, cells in measured.items():
        prompts = np.isfinite(cells).any(axis=0).sum()
        if found[name] in (0, 100) and prompts:
            reach = 100 * NORMAL**2 / (prompts + NORMAL**2)
            found[f"{name}_low"] = max(0.0, found[name] - reach)
            found[f"{name}_high"] = min(100.0, found[name] + reach)
    return found
