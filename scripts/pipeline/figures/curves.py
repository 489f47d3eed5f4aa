"""The learning curves: loss, implicit reward accuracy and margin over the training steps.

Methods differ in colour, and runs in their dashes, for print and for those who tell colours badly.
"""

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.choice import CHOICE, label_expression, short_names
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
# Steps of a curve that are drawn, spread evenly over the logged ones; fewer where there are very many curves.
MAX_STEPS, MIN_STEPS, MAX_POINTS = 200, 20, 8000
# Up to so many steps each has its mark.
FEW_STEPS = 10
LEGEND = alt.Legend(symbolType="stroke", symbolSize=500, symbolStrokeWidth=2, symbolOpacity=1)


def learning_curves(table: RunTable, shown: dict[tuple[str, ...], list[Run]]) -> Figure:
    """Mean over seeds, in a band from the lowest to the highest seed; a row of panels per (dataset, model).

    Args:
        shown: the runs to draw of each (dataset, model); in the page, readers choose others of its runs.
    """
    rows: list[list[Panel]] = []
    cut: set[str] = set()
    for group, runs in shown.items():
        trained = [run for run in table.runs_of(group) if run.seeds_with("metrics")]
        drawn = [run.run for run in runs if run in trained]
        logs = {run.run: pd.concat([read_metrics(run, seed) for seed in run.seeds_with("metrics")]) for run in trained}
        steps = max(MIN_STEPS, min(MAX_STEPS, MAX_POINTS // max(1, len(trained))))
        panels = []
        for metric, name in CURVES.items():
            having = [run for run in trained if metric == "loss" or has_implicit_reward(run.method)]
            points = [point for run in having for point in curve_points(logs[run.run], metric, run, steps)]
            if not points:
                continue
            title = f"{group[0]}, {group[1]}: {name}" if len(table.groups) > 1 else name
            chart = _panel(points, trained, drawn, legend=not panels)
            choices = {} if len(drawn) == len(trained) else _called(trained)
            panels.append(Panel(title, chart, choices))
        rows.append(panels)
        cut |= {f"{len(drawn)} of {len(trained)}"} if len(drawn) < len(trained) else set()
    few = f" Drawn are {', '.join(sorted(cut))} runs: {CHOICE}; in the page others can be chosen." if cut else ""
    return Figure(
        "learning_curves",
        "Learning curves",
        "Mean over seeds, in a band from the lowest to the highest seed. Losses of different methods are of different "
        f"objectives: compare their course, not their height.{few}",
        rows,
    )


def curve_points(log: pd.DataFrame, metric: str, run: Run, steps: int = MAX_STEPS) -> list[dict]:
    """The points of one curve, at most so many: run, method, step, mean, low and high over seeds."""
    found = log[log["metric"] == metric].groupby("step")["value"].agg(["mean", "min", "max"])
    kept = np.unique(np.linspace(0, len(found) - 1, steps).astype(int)) if len(found) else []
    return [
        {"run": run.run, "method": run.method, "step": int(step), "mean": mean, "low": low, "high": high}
        for step, mean, low, high in found.iloc[kept].itertuples()
    ]


def _called(runs: list[Run]) -> dict[str, str]:
    return {run.run: run.run for run in runs} | short_names(runs)


def _panel(points: list[dict], runs: list[Run], drawn: list[str], legend: bool) -> alt.LayerChart:
    data = alt.Chart(values(points))
    if len(drawn) < len(runs):
        data = data.transform_filter("indexof(chosen, datum.run) >= 0")
    x = alt.X("step:Q", title="step", axis=alt.Axis(grid=False, tickCount=4))
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(zero=False))
    few = len({point["step"] for point in points}) <= FEW_STEPS
    single = len({run.method for run in runs}) == len(runs)
    # one run of each method: one legend has its colour and its dashes, or its mark
    of_dashes = alt.Legend(symbolOpacity=1) if single and few else LEGEND
    of_methods = legend and (alt.Legend(symbolOpacity=1, columns=1) if len(drawn) < len(runs) else True)
    color = method_color(runs, of_dashes if legend and single else of_methods)
    dash = _dash(runs, drawn, single, of_dashes if legend else None)
    ends = (alt.Tooltip(f"{end}:Q", format=".4g") for end in ("mean", "low", "high"))
    tips = [alt.Tooltip("run:N"), alt.Tooltip("step:Q"), *ends]
    band = data.mark_area(opacity=0.15).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=color, detail="run:N")
    line = data.mark_line(strokeWidth=1.6).encode(x=x, y=y, color=color, strokeDash=dash, tooltip=tips)
    layers = [band, line]
    if few:  # a line through one point is none
        mark = data.mark_point(filled=True, size=36, opacity=1)
        layers.append(mark.encode(x=x, y=y, color=color, shape=method_shape(runs, of_methods), tooltip=tips))
    chart = alt.layer(*layers).properties(height=220)
    return chart.add_params(alt.param(name="chosen", value=drawn)) if len(drawn) < len(runs) else chart


def _dash(runs: list[Run], drawn: list[str], single: bool, legend: alt.Legend | None) -> alt.StrokeDash:
    """The line style of each run; where readers choose runs, the first ones of the chosen."""
    if single:
        scale = alt.Scale(domain=[run.method for run in runs], range=list(_dashes(runs).values()))
        return alt.StrokeDash("method:N", scale=scale, legend=legend)
    if len(drawn) < len(runs):
        scale = alt.Scale(range=list(DASHES))
    else:
        scale = alt.Scale(domain=drawn, range=list(_dashes(runs).values()))
    if legend is not None and len(drawn) < len(runs):
        legend = alt.Legend(**legend.to_dict() | {"columns": 1})
    if legend is not None and (called := label_expression(short_names(runs))):
        legend = alt.Legend(**legend.to_dict() | called)
    return alt.StrokeDash("run:N", scale=scale, legend=legend)


def _dashes(runs: list[Run]) -> dict[str, list[int]]:
    """A line style per run name: all different where they are few, else those of the first runs of one method."""
    if len(runs) <= len(DASHES):
        return {run.run: dash for run, dash in zip(runs, DASHES, strict=False)}
    names: dict[str, list[str]] = {}
    for run in runs:
        names.setdefault(run.method, []).append(run.run)
    return {name: DASHES[i % len(DASHES)] for of_method in names.values() for i, name in enumerate(of_method)}
