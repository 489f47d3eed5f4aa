"""What is worth its cost: the Pareto front of costs and gains."""

import numpy as np


def on_front(costs: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Which of K things no other one beats, by costing no more and giving no less, and one of the two truly so.

    Things that are equal in both beat each other in neither, so that all of them are on the front, or none.

    Args:
        costs, gains: shape (..., K); what lacks one of them (NaN) is not on the front and beats nothing.

    Returns:
        Shape (..., K), bool.
    """
    costs, gains = np.asarray(costs, dtype=float), np.asarray(gains, dtype=float)
    known = np.isfinite(costs) & np.isfinite(gains)
    front = known.copy()
    for one in range(costs.shape[-1]):
        cost, gain = costs[..., one, None], gains[..., one, None]
        as_good = known & (costs <= cost) & (gains >= gain)
        front[..., one] &= ~(as_good & ((costs < cost) | (gains > gain))).any(axis=-1)
    return front
