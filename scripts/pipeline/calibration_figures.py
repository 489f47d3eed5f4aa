"""The figures of a scored split: reliability, margins, scores against length."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.calibration import BINS, response_lengths
from pipeline.drawing import BLUE, INK, MUTED, VERMILION, WIDTH, figure_settings, save_figure

FIGURES = ("reliability", "margins", "lengths")
HEIGHT = 3.2
MARGIN_BINS = 40
# More points than this only make the file large; they are spread evenly over the rows of the split.
MAX_POINTS = 400
LENGTH_GROUPS = 10


def write_calibration_figures(scored: pd.DataFrame, measured: dict, folder: str | Path) -> None:
    """Draw reliability.svg, margins.svg and lengths.svg of a scored split.

    Args:
        scored: as `pipeline.calibration.read_scored` gives it.
        measured: as `pipeline.calibration.calibration` gives it for these rows.
        folder: where to write them.
    """
    folder = Path(folder)
    with figure_settings():
        save_figure(reliability_figure(measured), folder / "reliability.svg")
        save_figure(margins_figure(scored), folder / "margins.svg")
        save_figure(lengths_figure(scored, measured), folder / "lengths.svg")


def reliability_figure(measured: dict) -> Figure:
    """Accuracy over confidence by bin, with intervals, beside the number of pairs in each bin."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    curve, histogram = figure.subplots(1, 2)
    used = [row for row in measured["bins"] if row["pairs"]]
    curve.plot([0.5, 1], [0.5, 1], color=MUTED, linewidth=1, linestyle="--", zorder=1)
    for row in used:
        low, high = row["accuracy_low"], row["accuracy_high"]
        if low is not None:
            curve.plot([row["confidence"]] * 2, [low, high], color=BLUE, linewidth=1.5, zorder=2)
    curve.plot([row["confidence"] for row in used], [row["accuracy"] for row in used], "o-", color=BLUE, zorder=3)
    curve.set_xlim(0.49, 1.01)
    curve.set_ylim(-0.02, 1.02)
    curve.set_xlabel("confidence: the larger of bt_prob and 1 − bt_prob")
    curve.set_ylabel("pair accuracy (95% interval)")
    curve.set_title(f"expected calibration error {measured['ece']:.3f}; dashed: calibrated", loc="left")
    edges = np.linspace(0.5, 1, BINS + 1)
    histogram.bar(edges[:-1], [row["pairs"] for row in measured["bins"]], np.diff(edges), align="edge", color=BLUE)
    histogram.set_xlim(0.49, 1.01)
    histogram.set_xlabel("confidence")
    histogram.set_ylabel("pairs")
    histogram.set_title(f"{measured['pairs']} pairs of {measured['prompts']} prompts", loc="left")
    return figure


def margins_figure(scored: pd.DataFrame) -> Figure:
    """Histogram of the margins: pairs right of zero are those that the reward model orders as the dataset does."""
    figure = Figure(figsize=(WIDTH, HEIGHT - 0.4))
    axis = figure.subplots()
    margins = (scored["chosen_score"] - scored["rejected_score"]).to_numpy()
    # An edge at zero: no bar holds pairs of both kinds.
    half = MARGIN_BINS // 2
    edges = (float(np.abs(margins).max()) or 1.0) * np.arange(-half, half + 1) / half
    counts, _ = np.histogram(margins, edges)
    colors = [VERMILION] * half + [BLUE] * half
    axis.bar(edges[:-1], counts, np.diff(edges), align="edge", color=colors)
    axis.axvline(0, color=INK, linewidth=1, linestyle="--")
    axis.axvline(margins.mean(), color=INK, linewidth=1)
    axis.set_xlabel("margin: chosen score − rejected score")
    axis.set_ylabel("pairs")
    axis.set_title(f"mean {margins.mean():.3g} (solid line)", loc="left")
    return figure


def lengths_figure(scored: pd.DataFrame, measured: dict) -> Figure:
    """Scores over the length of the response, chosen and rejected, with the mean score of groups of like length."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, name, color in zip(panels, ("chosen", "rejected"), (BLUE, VERMILION), strict=True):
        lengths, scores = response_lengths(scored[name]), scored[f"{name}_score"].to_numpy()
        _score_over_length(axis, lengths, scores, color)
        correlation = measured[name]["length_correlation"]
        shown = "–" if correlation is None else f"{correlation:.2f}".replace("-", "−")
        axis.set_title(f"{name}: rank correlation {shown}", loc="left")
        axis.set_xlabel("characters of the response")
    panels[0].set_ylabel("reward-model score")
    return figure


def _score_over_length(axis: Axes, lengths: np.ndarray, scores: np.ndarray, color: str) -> None:
    shown = np.unique(np.linspace(0, len(scores) - 1, MAX_POINTS).astype(int))
    axis.plot(lengths[shown], scores[shown], ".", color=color, alpha=0.35, markersize=4, markeredgewidth=0, zorder=2)
    order = np.argsort(lengths, kind="stable")
    groups = [rows for rows in np.array_split(order, LENGTH_GROUPS) if len(rows)]
    axis.plot(
        [lengths[rows].mean() for rows in groups], [scores[rows].mean() for rows in groups], color=color, linewidth=1.5
    )
