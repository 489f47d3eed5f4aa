"""A run's win rate over several sets of prompts, each of the same weight however many prompts it has."""

from collections.abc import Sequence

import numpy as np

from pipeline.metrics import bootstrap


def mean_over_sets(
    sets: Sequence[np.ndarray], resamples: int = bootstrap.RESAMPLES, seed: int = 0
) -> tuple[float, np.ndarray]:
    """The mean of the sets' means, and bootstrap draws of it.

    Seeds are drawn with replacement, the same for all sets, as the same policies answer them; then each set's prompts.

    Args:
        sets: of each the cells, shape (S, P of that set), NaN where missing; S is the same for all.
        resamples: number R of resamples.
        seed: of the bootstrap.

    Returns:
        The mean, and draws of shape (R,); NaN where a set, or a draw of it, has no cell.
    """
    children = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(1 + len(sets))]
    seed_counts = bootstrap.draw_counts(resamples, len(sets[0]), children[0])
    drawn = np.zeros(resamples)
    for cells, generator in zip(sets, children[1:], strict=True):
        present = np.isfinite(cells)
        values, weights = np.where(present, cells, 0.0).T, present.astype(float).T
        for chunk, counts in bootstrap.draw_in_chunks(resamples, cells.shape[1], generator):
            sums = ((counts @ values) * seed_counts[chunk]).sum(axis=1)
            with np.errstate(invalid="ignore"):
                drawn[chunk] += sums / ((counts @ weights) * seed_counts[chunk]).sum(axis=1)
    return float(np.mean([bootstrap.cell_mean(cells) for cells in sets])), drawn / len(sets)
