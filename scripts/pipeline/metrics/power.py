"""What difference an experiment can show: the smallest that its interval finds in four of five cases.

The win rate of a run against the baseline run is a mean over S training seeds and P prompts. Verdicts vary between
seeds, between prompts, and besides; the variance of the mean is v_seed / S + v_prompt / P + v_rest / (S P). The
two-level bootstrap (`pipeline.metrics.bootstrap`), by which differences are called clear, sees (S - 1) / S of the first
part and 1 + 2 (S - 1) / S times the last one, as that varies with the seeds that are drawn and with the prompts. A
difference is found with a power of 80%, at 5% on both sides, where it is 1.96 of the interval's standard errors and
0.84 of the true one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # not needed to say what a plan can show
    import numpy as np

POWER, LEVEL = 0.8, 0.05
SIDE = 50.0  # points from a win or a loss to a tie


@dataclass(frozen=True)
class Spread:
    """Variances of a single verdict, in squared points of win rate.

    Attributes:
        seed: between training seeds, all prompts taken together.
        prompt: between prompts, all seeds taken together.
        rest: of what is left.
    """

    seed: float
    prompt: float
    rest: float


# Where nobody has measured any: seeds differ by 2 points, prompts by 20, and a verdict is a win or a loss.
GUESS = Spread(2.0**2, 20.0**2, SIDE**2 - 2.0**2 - 20.0**2)


def spread_of(cells: "np.ndarray") -> Spread | None:
    """The spread of measured verdicts, by the crossed analysis of variance; parts may be negative by chance.

    Args:
        cells: shape (S, P), preferences in points (0 to 100), NaN where missing; prompts that a seed lacks are left
            out.

    Returns:
        None with fewer than two prompts. With one seed, which cannot tell prompts from the rest, the seeds' part and
        at most the prompts' part of GUESS stand in.
    """
    import numpy as np

    whole = cells[:, np.isfinite(cells).all(axis=0)]
    seeds, prompts = whole.shape
    if seeds < 1 or prompts < 2:
        return None
    if seeds == 1:
        total = float(whole.var(ddof=1))
        return Spread(GUESS.seed, min(GUESS.prompt, total), max(total - GUESS.prompt, 0.0))
    of_seed, of_prompt = whole.mean(axis=1), whole.mean(axis=0)
    left = whole - of_seed[:, None] - of_prompt + whole.mean()
    rest = float((left**2).sum()) / ((seeds - 1) * (prompts - 1))
    return Spread(float(of_seed.var(ddof=1)) - rest / prompts, float(of_prompt.var(ddof=1)) - rest / seeds, rest)


def pooled(spreads: Iterable[Spread]) -> Spread | None:
    """The mean of several comparisons' spreads, no part below 0; None of none."""
    found = list(spreads)
    if not found:
        return None
    return Spread(*(max(fmean(getattr(one, part) for one in found), 0.0) for part in ("seed", "prompt", "rest")))


def standard_error(spread: Spread, seeds: int, prompts: int) -> float:
    """Of a win rate, in points. With one seed it says nothing of another training: prompts alone vary."""
    between = spread.seed / seeds if seeds > 1 else 0.0
    return (between + spread.prompt / prompts + spread.rest / (seeds * prompts)) ** 0.5


def interval_error(spread: Spread, seeds: int, prompts: int) -> float:
    """The standard error by which the bootstrap's interval is made, in points, in the mean over experiments."""
    drawn = (seeds - 1) / seeds
    between = drawn * spread.seed / seeds + spread.prompt / prompts
    return (between + (1 + 2 * drawn) * spread.rest / (seeds * prompts)) ** 0.5


def detectable(spread: Spread, seeds: int, prompts: int, comparisons: int = 1) -> float:
    """The smallest difference of a win rate from 50% that is found with a power of 80%, in points, at most 50.

    Args:
        comparisons: that share the 5%, as the first of them has it under Holm's correction.
    """
    normal = NormalDist()
    half = normal.inv_cdf(1 - LEVEL / comparisons / 2) * interval_error(spread, seeds, prompts)
    return min(half + normal.inv_cdf(POWER) * standard_error(spread, seeds, prompts), SIDE)
