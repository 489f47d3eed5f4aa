"""Statistics of pairwise verdicts and of per-prompt measurements, on plain arrays.

A measurement has one value per (seed, prompt) cell: a matrix of shape (S, P), NaN where the cell is missing. A verdict
cell is the mean of the orders that were parsed (`order_means`), so that both orders of a pair stay one cluster. The
point estimate is the mean over the cells that are there.

Intervals are percentile intervals of a two-level bootstrap: seeds are drawn with replacement, then prompts with
replacement, the same prompts for every seed and for every measurement that is passed together. A cell then counts as
often as its seed was drawn times as often as its prompt was drawn; a missing cell counts nothing. With one seed only
the prompts vary, and the interval says nothing about another training seed. With few seeds their own
variance is understated (by (S - 1) / S), that of single answers overstated; where seeds differ much more than prompts
do, the interval is too narrow, which is why the spread between seeds is also given on its own (`seed_spread`).
"""

import argparse
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

RESAMPLES = 2_000
LEVEL = 0.95
# Draws held at once; bounds the memory of a bootstrap over very many prompts.
CHUNK_DRAWS = 4_000_000
DECIMALS = 10


def win_rate(preference: np.ndarray) -> float:
    """100 * mean(q) over the values that are not NaN; NaN when there is none.

    Args:
        preference: shape (n,), q in [0, 1], the preference for the run: win 1, tie 0.5, loss 0, or a probability.
    """
    return 100 * cell_mean(preference)


def win_rate_se(preference: np.ndarray) -> float:
    """100 * sd(q, ddof=1) / sqrt(n) over the values that are not NaN; NaN when there are fewer than two.

    Args:
        preference: shape (n,), q in [0, 1]. Taken as independent: pass one per prompt, not one per order.
    """
    parsed = _present(preference)
    return 100 * float(parsed.std(ddof=1)) / parsed.size**0.5 if parsed.size > 1 else float("nan")


def order_means(verdicts: pd.DataFrame) -> pd.Series:
    """One value per prompt: the mean preference over its parsed orders, NaN where no order was parsed.

    Args:
        verdicts: columns prompt_id and preference (NaN where not parsed), one row per order.

    Returns:
        Preferences in [0, 1], indexed by prompt_id in sorted order.
    """
    return verdicts.groupby("prompt_id", sort=True)["preference"].mean()


def all_prompts(values: Mapping[int, pd.Series | pd.DataFrame]) -> pd.Index:
    """The prompts of any seed, sorted, for `cell_matrix`; values are by prompt for each seed."""
    return pd.Index(sorted({prompt for each in values.values() for prompt in each.index}))


def cell_matrix(values: dict[int, pd.Series], seeds: list[int], prompts: pd.Index) -> np.ndarray:
    """Per-prompt values of several seeds, aligned by prompt_id.

    Args:
        values: per seed a series indexed by a unique prompt_id; a seed may be absent.
        seeds: the S rows of the matrix.
        prompts: the P columns of the matrix.

    Returns:
        Shape (S, P), float64, NaN where a seed or a prompt is missing.
    """
    absent = pd.Series(dtype=float)
    rows = [values.get(seed, absent).reindex(prompts).to_numpy(dtype=float) for seed in seeds]
    return np.array(rows, dtype=float).reshape(len(seeds), len(prompts))


def cell_mean(cells: np.ndarray) -> float:
    """The mean over the cells that are not NaN; NaN when there is none. `cells` may have any shape."""
    present = _present(cells)
    return float(present.mean()) if present.size else float("nan")


def prompt_means(cells: np.ndarray) -> np.ndarray:
    """(S, P) -> (P,): the mean over the seeds that have the prompt, NaN where none has."""
    return _mean_over(cells, axis=0)


def seed_spread(cells: np.ndarray) -> float:
    """Standard deviation (ddof=1) over seeds of each seed's mean over its prompts; NaN with fewer than two seeds.

    Args:
        cells: shape (S, P).
    """
    means = _present(_mean_over(cells, axis=1))
    return float(means.std(ddof=1)) if means.size > 1 else float("nan")


def draw_counts(resamples: int, size: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of `size` units is drawn when `size` are drawn with replacement.

    Returns:
        Shape (resamples, size), float64; every row sums to `size`.
    """
    drawn = generator.integers(0, size, size=(resamples, size))
    drawn += np.arange(resamples)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size).astype(float)


def draw_in_chunks(resamples: int, size: int, generator: np.random.Generator) -> Iterator[tuple[slice, np.ndarray]]:
    """`draw_counts` by parts of at most CHUNK_DRAWS draws: which resamples, and their counts."""
    step = max(1, CHUNK_DRAWS // size)
    for start in range(0, resamples, step):
        chunk = slice(start, min(start + step, resamples))
        yield chunk, draw_counts(chunk.stop - start, size, generator)


def draw_two_levels(resamples: int, seeds: int, prompts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each seed and each prompt is drawn: shapes (resamples, seeds) and (resamples, prompts)."""
    seed_stream, prompt_stream = _two_streams(seed)
    return draw_counts(resamples, seeds, seed_stream), draw_counts(resamples, prompts, prompt_stream)


def bootstrap_means(cells: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Two-level bootstrap of the means of K measurements that share seeds and prompts.

    Args:
        cells: shape (K, S, P), NaN where missing. All K are resampled together, so a difference of two of them is
            paired when it is passed as a measurement of its own.
        resamples: number R of resamples.
        seed: of the random generator; the same seed and shape draw the same resamples.

    Returns:
        Shape (R, K); NaN where a resample holds no cell of a measurement.
    """
    measurements, seeds, prompts = cells.shape
    if prompts == 0 or seeds == 0:
        return np.full((resamples, measurements), np.nan)
    seed_stream, prompt_stream = _two_streams(seed)
    seed_counts = draw_counts(resamples, seeds, seed_stream)
    present = np.isfinite(cells)
    # Both are (P, K * S): one matrix product with the prompt counts gives every seed's sum and number of cells.
    values = np.where(present, cells, 0.0).reshape(measurements * seeds, prompts).T
    weights = present.astype(float).reshape(measurements * seeds, prompts).T
    means = np.empty((resamples, measurements))
    for chunk, prompt_counts in draw_in_chunks(resamples, prompts, prompt_stream):
        shape = (len(prompt_counts), measurements, seeds)
        drawn_seeds = seed_counts[chunk, None, :]
        sums = ((prompt_counts @ values).reshape(shape) * drawn_seeds).sum(axis=2)
        counts = ((prompt_counts @ weights).reshape(shape) * drawn_seeds).sum(axis=2)
        with np.errstate(invalid="ignore"):
            means[chunk] = sums / counts
    return means


def bootstrap_intervals(
    cells: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> np.ndarray:
    """Percentile intervals of the means of K measurements that share seeds and prompts.

    A measurement with values for fewer than two prompts has no interval (NaN): one prompt cannot say how much prompts
    vary. All values equal (all ties, all wins) give an interval of no width.

    Args:
        cells: shape (K, S, P), NaN where missing; see `bootstrap_means` for this and the other arguments.
        level: of the interval, 0.95 for 95%.

    Returns:
        Shape (K, 2): low and high.
    """
    return percentile_intervals(bootstrap_means(cells, resamples, seed), several_prompts(cells), level)


def estimates(measured: dict[str, np.ndarray], resamples: int = RESAMPLES, seed: int = 0) -> dict[str, float]:
    """Means of measurements that share seeds and prompts, each with its interval (`_low`, `_high`), rounded.

    Args:
        measured: by name, cells of shape (S, P).
    """
    intervals = bootstrap_intervals(np.stack(list(measured.values())), resamples, seed)
    return {
        f"{name}{end}": rounded(number)
        for (name, cells), (low, high) in zip(measured.items(), intervals, strict=True)
        for end, number in (("", cell_mean(cells)), ("_low", low), ("_high", high))
    }


def several_prompts(cells: np.ndarray) -> np.ndarray:
    """Which of K measurements, shape (K, S, P), have values for two prompts at least: bool of shape (K,)."""
    return np.isfinite(cells).any(axis=1).sum(axis=1) > 1


def percentile_intervals(means: np.ndarray, known: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Bootstrap draws of K measurements, shape (R, K), as their intervals, shape (K, 2); NaN where not `known`."""
    intervals, tail = np.full((len(known), 2), np.nan), (1 - level) / 2
    if known.any():
        intervals[known] = np.nanquantile(means[:, known], [tail, 1 - tail], axis=0).T
    return intervals


def rounded(value: float) -> float:
    """A value as results have it: without noise in the last bits of a sum, and without the sign of a zero."""
    return round(float(value), DECIMALS) + 0.0


def number_or_none(value: float) -> float | None:
    """A value as JSON results have it: `rounded`, None for what is no finite number."""
    return rounded(value) if np.isfinite(value) else None


def estimate(value: float, interval: np.ndarray) -> dict[str, float | None]:
    """A value with its interval, shape (2,), as JSON results have them: {value, low, high}."""
    return {"value": number_or_none(value), "low": number_or_none(interval[0]), "high": number_or_none(interval[1])}


def add_bootstrap_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --resamples and --seed."""
    parser.add_argument(
        "--resamples", type=_resamples, default=RESAMPLES, help="bootstrap resamples (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default %(default)s)")


def _resamples(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("--resamples must be at least 1")
    return int(text)


def outcomes(margins: np.ndarray) -> np.ndarray:
    """1 where a margin is positive, one half where it is zero, 0 where it is negative; NaN stays NaN."""
    return (np.sign(margins) + 1) / 2


def positive_share(margins: np.ndarray) -> float:
    """Share of positive values, zero counting one half: the accuracy of pairs by their margins. NaN when empty."""
    return cell_mean(outcomes(margins))


def _two_streams(seed: int) -> list[np.random.Generator]:
    """Independent generators for the seeds' and the prompts' draws."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)]


def _present(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float).ravel()
    return values[np.isfinite(values)]


def _mean_over(cells: np.ndarray, axis: int) -> np.ndarray:
    present = np.isfinite(cells)
    with np.errstate(invalid="ignore"):
        return np.where(present, cells, 0.0).sum(axis=axis) / present.sum(axis=axis)
