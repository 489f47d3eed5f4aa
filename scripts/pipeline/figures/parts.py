"""What a run's gain over its opponents is made of: the parts of the verdicts."""

import altair as alt
import pandas as pd

from pipeline.figures.choice import LABEL, MAX_RUNS, cut_names, label_expression
from pipeline.figures.drawing import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PINK,
    SKY,
    VERMILION,
    Figure,
    Panel,
    reference_line,
    values,
)
from pipeline.results.csv_tables import titled_groups
from pipeline.results.parts_table import WHOLE

COLORS = (BLUE, VERMILION, ORANGE, SKY, PINK, GREEN)
BAR = 13


def parts_figure(parts: pd.DataFrame) -> Figure:
    """Differences by part with their intervals: a bar per part, below each other per run; a panel per opponent.

    Args:
        parts: as `pipeline.results.parts_table.read_parts_table` reads it.
    """
    rows, groups = [], titled_groups(parts)
    for name, own in groups:
        for opponent, judge in dict.fromkeys(zip(own["baseline"], own["judge"], strict=True)):
            shown = own[(own["baseline"] == opponent) & (own["judge"] == judge)]
            title = f"against {opponent}, by {judge}"
            shown, total = _best(shown), shown["run"].nunique()
            if total > MAX_RUNS:
                title += f"; the {MAX_RUNS} of {total} runs with the highest {WHOLE}"
            place = f"{name}; " if len(groups) > 1 else ""
            rows.append([Panel(place + title, _bars(shown))])
    return Figure(
        "parts",
        "What gains are made of",
        "Each part of the judge's verdict: the run's mean less its opponent's on the same prompts, with its 95% "
        "interval. An interval that crosses the dashed line shows no clear difference.",
        rows,
    )


def _best(shown: pd.DataFrame) -> pd.DataFrame:
    """The rows of the runs that are drawn: of more than MAX_RUNS, those that gain most in the whole score."""
    whole = shown[shown["part"] == WHOLE].sort_values("difference", ascending=False, kind="stable")
    return shown[shown["run"].isin(whole["run"].head(MAX_RUNS))] if shown["run"].nunique() > MAX_RUNS else shown


def _bars(shown: pd.DataFrame) -> alt.LayerChart:
    """The bars of all runs against one opponent."""
    names = list(dict.fromkeys(shown["part"]))
    colors = [MUTED if name == WHOLE else COLORS[number % len(COLORS)] for number, name in enumerate(names)]
    data = alt.Chart(values(shown.to_dict("records")))
    runs = list(dict.fromkeys(shown["run"]))
    looks = {
        "ticks": False,
        "domain": False,
        "grid": False,
        "labelLimit": LABEL,
        "labelPadding": 8,
        "labelOverlap": False,
    }
    axis = alt.Axis(**looks, **label_expression(cut_names(runs)))
    place = {
        "y": alt.Y("run:N", sort=runs, title=None, axis=axis, scale=alt.Scale(paddingInner=0.2)),
        "yOffset": alt.YOffset("part:N", sort=names),
    }
    color = alt.Color("part:N", sort=names, scale=alt.Scale(domain=names, range=colors))
    tips = [alt.Tooltip("run:N"), alt.Tooltip("part:N")]
    for name in ("mean", "baseline_mean", "difference", "difference_low", "difference_high"):
        tips.append(alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".3f"))
    x = alt.X("difference:Q", title="difference (95% interval)")
    layers = [
        data.mark_bar().encode(x=x, color=color, tooltip=tips, **place),
        data.mark_rule(strokeWidth=1.5, color=INK).encode(x=alt.X("difference_low:Q"), x2="difference_high:Q", **place),
        reference_line(0),
    ]
    return alt.layer(*layers).properties(height=BAR * len(names) * len(runs) * 1.2)
