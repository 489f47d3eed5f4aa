"""How well a reward model's Bradley-Terry probabilities hold on the pairs of a scored split.

What is calibrated is bt_prob, taken as the probability that the dataset's chosen response is the better one. Every
label is "chosen wins", so the pairs as they stand have one outcome only. Each pair therefore counts in the order that
the reward model prefers: its confidence is max(bt_prob, 1 - bt_prob), from 0.5 to 1, and its outcome is whether the
model prefers the chosen response (bt_prob > 0.5: 1, a tie: 0.5, else 0). Both orders of each pair, each with its own
probability and label, would give the same numbers.

- Pair accuracy: the mean outcome.
- Brier score: the mean of (1 - bt_prob)², the same in both orders; 0 is best, always 0.5 gives 0.25.
- Expected calibration error: over `BINS` bins of confidence of equal width, each with its lower edge (the last with
  both), the mean of |accuracy - mean confidence| weighted by the pairs in the bin. It is not negative, so even a
  perfectly calibrated model has a small one on few pairs.

Intervals are 95% percentile intervals of a seeded bootstrap over prompts: all pairs of a prompt are drawn together.
"""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from pipeline.columns.pair_scores import SCORING_COLUMNS
from pipeline.columns.pairs import PAIR_RESPONSES
from pipeline.jobs.io import InputError, read_parquet
from pipeline.metrics.bootstrap import (
    RESAMPLES,
    draw_in_chunks,
    estimate,
    number_or_none,
    outcomes,
    percentile_intervals,
)

BINS = 10
MARGIN_BINS = 40
LENGTH_GROUPS = 10
# More points than this only make a figure large; they are spread evenly over the rows of the split.
MAX_POINTS = 400


def read_scored(path: str) -> pd.DataFrame:
    """A scored split: prompt_id, chosen, rejected (text or messages), chosen_score, rejected_score and bt_prob.

    Raises:
        InputError: a column is missing, or a score is no finite number or a probability not from 0 to 1.
    """
    frame = read_parquet(path, ["prompt_id", *PAIR_RESPONSES, *SCORING_COLUMNS])
    for column in SCORING_COLUMNS:
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        valid = np.isfinite(values) & ((column != "bt_prob") | ((values >= 0) & (values <= 1)))
        for row in np.flatnonzero(~valid):
            wanted = "a number from 0 to 1" if column == "bt_prob" else "a finite number"
            raise InputError(f"{path}: row {row}: {column} is {frame[column].iloc[row]!r}; it must be {wanted}")
        frame[column] = values
    return frame


def response_lengths(responses: pd.Series) -> np.ndarray:
    """Characters of responses that are text or lists of messages, shape (n,), int."""
    return np.array(
        [len(value) if isinstance(value, str) else sum(len(m["content"]) for m in value) for value in responses],
        dtype=int,
    )


def calibration(scored: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Accuracy, Brier score, calibration error, bins, margins and length correlations of a scored split.

    Args:
        scored: as `read_scored` gives it, at least one row.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        pairs, prompts, ties (bt_prob exactly 0.5): int; accuracy, brier: {value, low, high}; ece: float;
        bins: [{low, high, pairs, confidence, accuracy, accuracy_low, accuracy_high}]; margin (of scores, chosen minus
        rejected): {mean, sd, low_decile, median, high_decile, length_correlation, histogram: {edges, counts}}; chosen,
        rejected: {mean_score, mean_length, length_correlation, length_groups: [[length, score]], means of groups of
        like length, length_points: [[length, score]] of single responses}. Lengths are characters, correlations
        Spearman's with the length (for the margin: with the difference of lengths). What cannot be computed is None.
    """
    probability = scored["bt_prob"].to_numpy()
    confidence, outcome = folded(probability)
    bins = bin_numbers(confidence)
    inside = bins == np.arange(BINS)[:, None]
    values = np.vstack([outcome, (1 - probability) ** 2, inside * outcome])
    weights = np.vstack([np.ones((2, len(scored))), inside])
    prompts, names = pd.factorize(scored["prompt_id"])
    accuracy, brier, *binned = prompt_estimates(values, weights, prompts, resamples, seed)
    rows = [
        {
            "low": number_or_none(0.5 + number * 0.5 / BINS),
            "high": number_or_none(0.5 + (number + 1) * 0.5 / BINS),
            "pairs": int(inside[number].sum()),
            "confidence": number_or_none(confidence[inside[number]].mean()) if inside[number].any() else None,
            "accuracy": found["value"],
            "accuracy_low": found["low"],
            "accuracy_high": found["high"],
        }
        for number, found in enumerate(binned)
    ]
    return {
        "pairs": len(scored),
        "prompts": len(names),
        "ties": int((probability == 0.5).sum()),
        "accuracy": accuracy,
        "brier": brier,
        "ece": number_or_none(expected_calibration_error(rows)),
        "bins": rows,
        **_scores_and_lengths(scored),
    }


def folded(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (0.5 to 1) and outcome (0, 0.5 or 1) of pairs in the order that the reward model prefers.

    Args:
        probability: shape (n,), that the chosen response is the better one.
    """
    return np.maximum(probability, 1 - probability), outcomes(probability - 0.5)


def bin_numbers(confidence: np.ndarray) -> np.ndarray:
    """The bin (0 to BINS - 1) of each confidence: equal widths from 0.5 to 1, a bin has its lower edge."""
    edges = np.linspace(0.5, 1, BINS + 1)
    return np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, BINS - 1)


def expected_calibration_error(bins: list[dict]) -> float:
    """The mean of |accuracy - confidence| over bins, weighted by their pairs; bins without pairs count nothing."""
    used = [row for row in bins if row["pairs"]]
    pairs = sum(row["pairs"] for row in used)
    return sum(row["pairs"] * abs(row["accuracy"] - row["confidence"]) for row in used) / pairs


def prompt_intervals(
    values: np.ndarray, weights: np.ndarray, prompts: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Percentile intervals of K weighted means over n pairs, whole prompts drawn with replacement.

    Args:
        values: shape (K, n), 0 where the weight is.
        weights: shape (K, n), 0 or 1.
        prompts: shape (n,), the number of each pair's prompt, counted from 0.

    Returns:
        Shape (K, 2): low and high; NaN for a mean that has pairs of fewer than two prompts.
    """
    size = int(prompts.max()) + 1
    # (P, K): one matrix product with the prompt counts gives all sums of a resample.
    sums = np.stack([np.bincount(prompts, row, minlength=size) for row in values], axis=1)
    counts = np.stack([np.bincount(prompts, row, minlength=size) for row in weights], axis=1)
    means = np.empty((resamples, len(values)))
    for chunk, drawn in draw_in_chunks(resamples, size, np.random.default_rng(seed)):
        with np.errstate(invalid="ignore"):
            means[chunk] = (drawn @ sums) / (drawn @ counts)
    return percentile_intervals(means, (counts > 0).sum(axis=0) > 1)


def prompt_estimates(
    values: np.ndarray, weights: np.ndarray, prompts: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> list[dict[str, float | None]]:
    """K weighted means with their `prompt_intervals`: {value, low, high}; a mean over no pairs is None."""
    intervals, totals = prompt_intervals(values, weights, prompts, resamples, seed), weights.sum(axis=1)
    with np.errstate(invalid="ignore"):
        means = values.sum(axis=1) / totals
    return [estimate(mean, interval) for mean, interval in zip(means, intervals, strict=True)]


def _scores_and_lengths(scored: pd.DataFrame) -> dict:
    """The parts margin, chosen and rejected of `calibration`."""
    margin = (scored["chosen_score"] - scored["rejected_score"]).to_numpy()
    lengths = {name: response_lengths(scored[name]) for name in PAIR_RESPONSES}
    quantiles = {"low_decile": 0.1, "median": 0.5, "high_decile": 0.9}
    difference = lengths["chosen"] - lengths["rejected"]
    parts = {
        "margin": {
            "mean": number_or_none(margin.mean()),
            "sd": number_or_none(margin.std(ddof=1)) if len(margin) > 1 else None,
            **{name: number_or_none(np.quantile(margin, share)) for name, share in quantiles.items()},
            "length_correlation": rank_correlation(margin, difference),
            "histogram": _histogram(margin),
        }
    }
    for name, length in lengths.items():
        scores = scored[f"{name}_score"].to_numpy()
        parts[name] = {
            "mean_score": number_or_none(scores.mean()),
            "mean_length": number_or_none(length.mean()),
            "length_correlation": rank_correlation(scores, length),
            **_score_over_length(length, scores),
        }
    return parts


def _histogram(margin: np.ndarray) -> dict:
    """Counts of margins in bins around zero, which is an edge: no bin holds pairs of both kinds."""
    half = MARGIN_BINS // 2
    edges = (float(np.abs(margin).max()) or 1.0) * np.arange(-half, half + 1) / half
    counts, _ = np.histogram(margin, edges)
    return {"edges": [number_or_none(edge) for edge in edges], "counts": counts.tolist()}


def _score_over_length(length: np.ndarray, scores: np.ndarray) -> dict:
    order = np.argsort(length, kind="stable")
    groups = [rows for rows in np.array_split(order, LENGTH_GROUPS) if len(rows)]
    shown = np.unique(np.linspace(0, len(scores) - 1, MAX_POINTS).astype(int))
    return {
        "length_groups": [
            [number_or_none(length[rows].mean()), number_or_none(scores[rows].mean())] for rows in groups
        ],
        "length_points": [[int(length[row]), round(float(scores[row]), 4)] for row in shown],
    }


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's correlation of two arrays; None where one of them does not vary."""
    if len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return None
    return number_or_none(spearmanr(first, second).statistic)
