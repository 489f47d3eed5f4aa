"""The learning curves: loss, implicit reward accuracy and margin over the training steps.

Methods differ in colour, and runs in their dashes, for print and for those who tell colours badly.
"""

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.drawing import Figure, Panel, values
from pipeline.figures.styles import method_color, method_shape
from pipeline.results.measurements import has_implicit_reward
from pipeline.results.run_table import Run, RunTable, read_metrics

CURVES = {
    "loss": "training loss",
    "rewards/accuracies": "implicit reward accuracy",
    "rewards/margins": "implicit reward margin",
}
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 2, 1, 2, 1, 2])
# Steps of a curve that are drawn, spread evenly over the logged ones.
MAX_STEPS = 200
# Up to so many steps each has its mark.
FEW_STEPS = 10
LEGEND = alt.Legend(symbolType="stroke", symbolSize=500, symbolStrokeWidth=2, symbolOpacity=1)


def learning_curves(table: RunTable, shown: dict[tuple[str, ...], list[Run]]) -> Figure:
    """Mean over seeds, in a band from the lowest to the highest seed; a row of panels per (dataset, model).

    Args:
        shown: the runs to draw of each (dataset, model).
    """
    rows = []
    for group, runs in shown.items():
        trained = [run for run in runs if run.seeds_with("metrics")]
        logs = {run.run: pd.concat([read_metrics(run, seed) for seed in run.seeds_with("metrics")]) for run in trained}
        panels = []
        for metric, name in CURVES.items():
            having = [run for run in trained if metric == "loss" or has_implicit_reward(run.method)]
            points = [point for run in having for point in curve_points(logs[run.run], metric, run)]
            if not points:
                continue
            title = f"{group[0]}, {group[1]}: {name}" if len(table.groups) > 1 else name
            panels.append(Panel(title, _panel(points, trained, legend=not panels)))
        rows.append(panels)
    return Figure(
        "learning_curves",
        "Learning curves",
        "Mean over seeds, in a band from the lowest to the highest seed. Losses of different methods are of different "
        "objectives: compare their course, not their height.",
        rows,
    )


def curve_points(log: pd.DataFrame, metric: str, run: Run) -> list[dict]:
    """The points of one curve: run, method, step, mean, low and high over seeds."""
    found = log[log["metric"] == metric].groupby("step")["value"].agg(["mean", "min", "max"])
    kept = np.unique(np.linspace(0, len(found) - 1, MAX_STEPS).astype(int)) if len(found) else []
    return [
        {"run": run.run, "method": run.method, "step": int(step), "mean": mean, "low": low, "high": high}
        for step, mean, low, high in found.iloc[kept].itertuples()
    ]


def _panel(points: list[dict], runs: list[Run], legend: bool) -> alt.LayerChart:
    data = alt.Chart(values(points))
    x = alt.X("step:Q", title="step", axis=alt.Axis(grid=False, tickCount=4))
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(zero=False))
    dashes = _dashes(runs)
    names = list(dashes)
    few = len({point["step"] for point in points}) <= FEW_STEPS
    single = len({run.method for run in runs}) == len(runs)
    # one run of each method: one legend has its colour and its dashes, or its mark
    of_dashes = alt.Legend(symbolOpacity=1) if single and few else LEGEND
    color = method_color(runs, of_dashes if legend and single else legend)
    field, domain = ("method", [run.method for run in runs]) if single else ("run", names)
    dash = alt.StrokeDash(
        f"{field}:N",
        scale=alt.Scale(domain=domain, range=list(dashes.values())),
        legend=of_dashes if legend and len(names) <= 12 else None,
    )
    ends = (alt.Tooltip(f"{end}:Q", format=".4g") for end in ("mean", "low", "high"))
    tips = [alt.Tooltip("run:N"), alt.Tooltip("step:Q"), *ends]
    band = data.mark_area(opacity=0.15).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=color, detail="run:N")
    line = data.mark_line(strokeWidth=1.6).encode(x=x, y=y, color=color, strokeDash=dash, tooltip=tips)
    layers = [band, line]
    if few:  # a line through one point is none
        mark = data.mark_point(filled=True, size=36, opacity=1)
        layers.append(mark.encode(x=x, y=y, color=color, shape=method_shape(runs, legend), tooltip=tips))
    return alt.layer(*layers).properties(height=220)


def _dashes(runs: list[Run]) -> dict[str, list[int]]:
    """A line style per run name: all different where they are few, else those of the first runs of one method."""
    if len(runs) <= len(DASHES):
        return {run.run: dash for run, dash in zip(runs, DASHES, strict=False)}
    names: dict[str, list[str]] = {}
    for run in runs:
        names.setdefault(run.method, []).append(run.run)
    return {name: DASHES[i % len(DASHES)] for of_method in names.values() for i, name in enumerate(of_method)}
