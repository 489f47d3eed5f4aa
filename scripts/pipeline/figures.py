"""The figures of the report, as SVG with the same bytes for the same numbers.

Methods differ in colour and in marker.
"""

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline import statistics
from pipeline.drawing import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    PAPER,
    PINK,
    SKY,
    VERMILION,
    WIDTH,
    figure_settings,
    save_figure,
)
from pipeline.io import InputError
from pipeline.run_table import CHOSEN, Run, RunTable, read_evaluation, read_metrics, read_verdicts

STYLES = {
    "sft": (MUTED, "D"),
    "dpo": (BLUE, "o"),
    "ddp": (ORANGE, "s"),
    "dpp": (GREEN, "^"),
    "dpr": (VERMILION, "v"),
    "mix": (PINK, "P"),
}
OTHER_STYLE = (SKY, "X")
DASHES = ("-", "--", ":", "-.")
CURVES = {
    "loss": "training loss",
    "rewards/accuracies": "implicit reward accuracy",
    "rewards/margins": "implicit reward margin",
}
FIGURES = ("winrate", "winrate_vs_kl", "learning_curves", "reward")
# More rows than this cannot be read in one picture; the tables hold all runs.
MAX_RUNS = 60
MAX_LEGEND = 24
NUMBER_BOX = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5}


def write_figures(table: RunTable, winrate: pd.DataFrame, folder: str | Path) -> None:
    """Draw all figures: winrate.svg, winrate_vs_kl.svg, learning_curves.svg, reward.svg and winrate.png.

    Args:
        table: the run table.
        winrate: the win-rate table of these runs, as `pipeline.tables.read_table` gives it.
        folder: where to write them.

    Raises:
        InputError: a run of the table has no row in `winrate`.
    """
    rows = set(zip(winrate["dataset"], winrate["model"], winrate["run"], strict=True))
    for run in table.runs:
        if (*run.group, run.run) not in rows:
            raise InputError(f"{table.path}: run {run.run!r} has no row in the win-rate table; make that table anew")
    folder = Path(folder)
    with figure_settings():
        figure = winrate_figure(table, winrate)
        save_figure(figure, folder / "winrate.svg")
        save_figure(figure, folder / "winrate.png")
        save_figure(kl_figure(table, winrate), folder / "winrate_vs_kl.svg")
        save_figure(curves_figure(table), folder / "learning_curves.svg")
        save_figure(reward_figure(table, winrate), folder / "reward.svg")


def winrate_figure(table: RunTable, winrate: pd.DataFrame) -> Figure:
    """Win rate with its interval per run, a panel per opponent, a row of panels per (dataset, model)."""
    opponents = sorted(dict.fromkeys(winrate["baseline"]), key=lambda name: name != CHOSEN)
    figure, panels = _panels(table, len(opponents), _list_height)
    rates = winrate[["win_rate", "win_rate_low", "win_rate_high"]]
    limits = max(-2, min(rates.min().min() - 4, 45)), min(102, max(rates.max().max() + 4, 55))
    for group, axes in zip(table.groups, panels, strict=True):
        runs = _shown(table, group)
        for axis, opponent in zip(axes, opponents, strict=True):
            rows = _rows(winrate, group, opponent)
            axis.axvline(50, color=MUTED, linewidth=1, linestyle="--", zorder=1)
            _interval_list(axis, runs, rows, "win_rate", labels=axis is axes[0], digits=1)
            if table.baseline == opponent and opponent in [run.run for run in runs]:
                place = [run.run for run in runs].index(opponent)
                axis.text(50, place, "the baseline", color=MUTED, ha="center", va="center", backgroundcolor=PAPER)
            axis.set_xlim(limits)
            name = f"against {'the chosen responses' if opponent == CHOSEN else opponent}"
            axis.set_title(_title(table, group, name) if axis is axes[0] else _wrapped(name), loc="left")
            axis.set_xlabel("win rate, % (95% interval)")
    return figure


def reward_figure(table: RunTable, winrate: pd.DataFrame) -> Figure:
    """Mean reward-model score of the responses with its interval per run, a panel per (dataset, model)."""
    figure, panels = _panels(table, 1, _list_height)
    for group, axes in zip(table.groups, panels, strict=True):
        rows = _rows(winrate, group)
        if table.baseline in rows.index:
            axes[0].axvline(rows.loc[table.baseline, "mean_reward"], color=MUTED, linewidth=1, linestyle="--", zorder=1)
        _interval_list(axes[0], _shown(table, group), rows, "mean_reward", labels=True, digits=2)
        axes[0].set_title(_title(table, group, f"dashed: {table.baseline}"), loc="left")
        axes[0].set_xlabel("mean reward-model score (95% interval)")
    return figure


def kl_figure(table: RunTable, winrate: pd.DataFrame) -> Figure:
    """Win rate against the chosen responses over the divergence from the reference: each seed, and the run's mean."""
    figure, panels = _panels(table, 1, lambda runs: 3.6)
    for group, axes in zip(table.groups, panels, strict=True):
        axis, runs, rows = axes[0], _shown(table, group), _rows(winrate, group, CHOSEN)
        axis.axhline(50, color=MUTED, linewidth=1, linestyle="--", zorder=1)
        for run in (run for run in runs if run.run in rows.index and pd.notna(rows.loc[run.run, "kl"])):
            color, marker = _style(run.method)
            points = np.array([(_kl(run, seed), _seed_rate(run, seed)) for seed in run.seeds_with("evaluation")])
            axis.plot(*points.T, marker, color=color, markerfacecolor="none", markersize=4, alpha=0.8, zorder=2)
            row = rows.loc[run.run]
            bars = [[row["win_rate"] - row["win_rate_low"]], [row["win_rate_high"] - row["win_rate"]]]
            axis.errorbar(row["kl"], row["win_rate"], bars, fmt=marker, color=color, markersize=8, capsize=3, zorder=3)
        axis.set_xlabel("KL to the reference, nats per response")
        axis.set_ylabel("win rate against chosen, %")
        axis.set_title(_title(table, group, "filled: mean with 95% interval; hollow: each seed"), loc="left")
        _legend(axis, runs, lines=False)
    return figure


def curves_figure(table: RunTable) -> Figure:
    """Loss, implicit reward accuracy and margin over training steps: mean over seeds, band from minimum to maximum."""
    figure, panels = _panels(table, len(CURVES), lambda runs: 3.0 + 0.16 * min(len(runs), MAX_LEGEND) / 2)
    dashes = _dashes([run for group in table.groups for run in _trained(table, group)])
    for group, axes in zip(table.groups, panels, strict=True):
        runs = _trained(table, group)
        logs = [pd.concat([read_metrics(run, seed) for seed in run.seeds_with("metrics")]) for run in runs]
        for axis, (metric, name) in zip(axes, CURVES.items(), strict=True):
            for run, log in zip(runs, logs, strict=True):
                values = log[log["metric"] == metric].groupby("step")["value"]
                curve = values.agg(["mean", "min", "max"])
                color, _ = _style(run.method)
                axis.plot(curve.index, curve["mean"], color=color, linestyle=dashes[run.run], linewidth=1.5)
                axis.fill_between(curve.index, curve["min"], curve["max"], color=color, alpha=0.15, linewidth=0)
            axis.set_xlabel("step")
            axis.set_title(_title(table, group, name) if axis is axes[0] else name, loc="left")
    _legend(panels[0, 0], [run for group in table.groups for run in _trained(table, group)], lines=True)
    return figure


def _panels(table: RunTable, columns: int, height: Callable[[list[Run]], float]) -> tuple[Figure, np.ndarray]:
    heights = [height(_shown(table, group)) for group in table.groups]
    figure = Figure(figsize=(WIDTH, sum(heights)))
    axes = figure.subplots(len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    return figure, axes


def _list_height(runs: list[Run]) -> float:
    return 0.9 + 0.3 * len(runs)


def _interval_list(axis: Axes, runs: list[Run], rows: pd.DataFrame, column: str, labels: bool, digits: int) -> None:
    """Runs from top to bottom, each a point with its interval and its number."""
    for place, run in enumerate(runs):
        if run.run not in rows.index or pd.isna(rows.loc[run.run, column]):
            continue
        value, low, high = (rows.loc[run.run, name] for name in (column, f"{column}_low", f"{column}_high"))
        color, marker = _style(run.method)
        bars = [[value - low], [high - value]] if pd.notna(low) else None
        axis.errorbar(value, place, xerr=bars, fmt=marker, color=color, markersize=6, capsize=3, linewidth=1.5)
        place_above = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "bbox": NUMBER_BOX}
        axis.annotate(f"{value:.{digits}f}", (value, place), **place_above, fontsize=7.5)
    axis.set_ylim(len(runs) - 0.4, -0.7)
    axis.set_yticks(range(len(runs)), [run.run for run in runs] if labels else [""] * len(runs))
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color=MUTED, alpha=0.25, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.margins(x=0.08)


def _legend(axis: Axes, runs: list[Run], lines: bool) -> None:
    """Names beside or below the panels: each run, or only the methods where there are many runs."""
    dashes = _dashes(runs)
    entries = {run.run: (run.method, dashes[run.run]) for run in runs}
    if len(entries) > MAX_LEGEND:
        entries = {run.method: (run.method, "-") for run in runs}
    handles = []
    for label, (method, dash) in entries.items():
        color, marker = _style(method)
        look = {"linestyle": dash} if lines else {"linestyle": "", "marker": marker}
        handles.append(Line2D([], [], color=color, label=label, **look))
    if handles and lines:
        axis.figure.legend(handles=handles, loc="outside lower center", ncols=2)
    elif handles:
        axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _dashes(runs: list[Run]) -> dict[str, str]:
    """A line style per run name, different for the first runs of one method."""
    names: dict[str, list[str]] = {}
    for run in runs:
        of_method = names.setdefault(run.method, [])
        if run.run not in of_method:
            of_method.append(run.run)
    return {name: DASHES[i % len(DASHES)] for of_method in names.values() for i, name in enumerate(of_method)}


def _style(method: str) -> tuple[str, str]:
    return STYLES.get(method, OTHER_STYLE)


def _shown(table: RunTable, group: tuple[str, str]) -> list[Run]:
    return table.runs_of(group)[:MAX_RUNS]


def _trained(table: RunTable, group: tuple[str, str]) -> list[Run]:
    return [run for run in _shown(table, group) if run.seeds_with("metrics")]


def _title(table: RunTable, group: tuple[str, str], text: str) -> str:
    total = len(table.runs_of(group))
    cut = f" (first {MAX_RUNS} of {total} runs)" if total > MAX_RUNS else ""
    lines = [f"{group[0]}, {group[1]}"] if len(table.groups) > 1 else []
    return "\n".join([*lines, _wrapped(text + cut)])


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 44))


def _rows(winrate: pd.DataFrame, group: tuple[str, str], opponent: str | None = None) -> pd.DataFrame:
    """The rows of a group against one opponent (or each run's first row), indexed by run."""
    rows = winrate[(winrate["dataset"] == group[0]) & (winrate["model"] == group[1])]
    if opponent is not None:
        rows = rows[rows["baseline"] == opponent]
    return rows.drop_duplicates("run").set_index("run")


def _kl(run: Run, seed: int) -> float:
    frame = read_evaluation(run, seed)
    return statistics.cell_mean(frame["response_logps"] - frame["ref_response_logps"])


def _seed_rate(run: Run, seed: int) -> float:
    return 100 * statistics.cell_mean(statistics.order_means(read_verdicts(run, seed, CHOSEN)))
