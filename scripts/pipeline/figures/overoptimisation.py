"""Overoptimisation: what the labelling reward model and the judge give, against √KL and over the share g."""

import altair as alt
import pandas as pd

from pipeline.figures.drawing import Figure, Panel, values
from pipeline.figures.styles import method_color, method_shape
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import Run, RunTable

SCORES = {"labelling_score": "labelling reward model", "judge_score": "judge"}
HEIGHT = 240


def overoptimisation_figure(table: RunTable, measured: pd.DataFrame) -> Figure:
    """Both scores side by side: for each (dataset, model) a row of panels against √KL, and one over g in a sweep.

    Args:
        measured: as `pipeline.results.overoptimisation.overoptimisation_table` makes it.
    """
    rows, table = [], table.first
    for group in table.groups:
        runs, frame = table.runs_of(group), rows_of(measured, group)
        place = f"{group[0]}, {group[1]}: " if len(table.groups) > 1 else ""
        shown = [name for name in SCORES if frame[name].notna().any()]
        rows.append([Panel(f"{place}{SCORES[name]}", _course(frame, name, runs)) for name in shown])
        final = frame[frame["last"] & ((frame["g"] > 0) | (frame["method"] == "dpo"))]
        if final["g"].nunique() > 2:
            rows.append([Panel(f"{place}{SCORES[name]}, over g", _over_share(final, name, runs)) for name in shown])
    return Figure(
        "overoptimisation",
        "Reward against KL",
        "Mean score of plain samples with 95% interval, by the reward model that labels pairs and by the judge, "
        "against √KL(policy ‖ reference); the points of a line are a run's checkpoints in the order of its training. "
        "Where the left score rises on while the right one falls, the policy has learned the labels' errors. Each "
        "score has a scale of its own.",
        [row for row in rows if row],
    )


def _course(frame: pd.DataFrame, name: str, runs: list[Run]) -> alt.LayerChart:
    x = alt.X("sqrt_kl:Q", title="√KL, √nats", scale=alt.Scale(zero=True))
    return _drawn(frame, name, runs, x, alt.Order("step:Q"))


def _over_share(frame: pd.DataFrame, name: str, runs: list[Run]) -> alt.LayerChart:
    x = alt.X("g:Q", title="share g of rows that the reward model labels")
    return _drawn(frame, name, runs, x, alt.Order("g:Q"), line=False)


def _drawn(frame: pd.DataFrame, name: str, runs: list[Run], x: alt.X, order: alt.Order, line: bool = True):
    columns = ["run", "method", "g", "step", "sqrt_kl", "kl", name, f"{name}_low", f"{name}_high"]
    data = alt.Chart(values(frame[columns].astype({"step": int, "g": float}).to_dict("records")))
    y = alt.Y(f"{name}:Q", title="mean score", scale=alt.Scale(zero=False))
    color = method_color(runs)
    tips = [alt.Tooltip("run:N"), alt.Tooltip("step:Q"), *(alt.Tooltip(f"{of}:Q", format=".4g") for of in (name, "kl"))]
    bars = data.mark_rule(opacity=0.5).encode(x=x, y=alt.Y(f"{name}_low:Q"), y2=f"{name}_high:Q", color=color)
    marks = data.mark_point(filled=True, size=45, opacity=1)
    layers = [bars, marks.encode(x=x, y=y, color=color, shape=method_shape(runs), tooltip=tips)]
    if line:
        layers.insert(0, data.mark_line(strokeWidth=1.6).encode(x=x, y=y, color=color, detail="run:N", order=order))
    return alt.layer(*layers).properties(height=HEIGHT)
