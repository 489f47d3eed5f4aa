"""Intervals by a crossed analysis of variance: seeds and prompts both random, each seed answering each prompt.

With few seeds a percentile bootstrap understates how much seeds differ: it draws from the handful that there is. Here
the variance of the mean is put together from mean squares, and Student's t, with the degrees of freedom that these
have, pays for how little a few seeds say (Satterthwaite 1946).
"""

import numpy as np

from pipeline.metrics.bootstrap import LEVEL, cell_mean

# With fewer, hardly any degree of freedom is left where seeds differ, and the interval says nothing.
FEWEST_SEEDS = 5


def crossed_interval(cells: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """An interval of the mean over all cells.

    With S seeds and P prompts and the mean squares of seeds, prompts and the rest, the variance of the mean is
    (MS_s + MS_p − MS_r) / (S P); where chance makes it less than the rest's own, that is taken.

    Args:
        cells: shape (S, P), NaN where missing. Prompts that a seed lacks count for the mean and not for the variance.
        level: of the interval, 0.95 for 95%.

    Returns:
        Low and high; NaN with fewer than FEWEST_SEEDS seeds or two prompts. All cells equal: no width.
    """
    cells = np.asarray(cells, dtype=float)
    whole = cells[:, np.isfinite(cells).all(axis=0)] if cells.size else cells
    seeds, prompts = whole.shape
    if seeds < FEWEST_SEEDS or prompts < 2:
        return float("nan"), float("nan")
    from scipy.stats import t  # slow to import

    of_seed, of_prompt, mean = whole.mean(axis=1), whole.mean(axis=0), whole.mean()
    rest = whole - of_seed[:, None] - of_prompt + mean
    freedom = np.array([seeds - 1, prompts - 1, (seeds - 1) * (prompts - 1)])
    sums = np.array([prompts * ((of_seed - mean) ** 2).sum(), seeds * ((of_prompt - mean) ** 2).sum(), (rest**2).sum()])
    squares = sums / freedom
    total = max(squares[0] + squares[1] - squares[2], squares[2])
    middle = cell_mean(cells)
    if not total > 0:
        return middle, middle
    # the two that make up the mean's variance; what the rest takes off is known with many degrees of freedom
    degrees = total**2 / (squares**2 / freedom).sum()
    half = t.ppf((1 + level) / 2, degrees) * (total / (seeds * prompts)) ** 0.5
    return float(middle - half), float(middle + half)
