"""What all figures share: colours, panels, and SVG files that have the same bytes for the same numbers.

A figure is drawn once, with Vega-Altair. Its panels stand in the report, where they are interactive, and side by side
in an SVG file. All text and axes have the colour `INK`, `MUTED` or `LINE`, so that a page can put its own colours in
their place.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import altair as alt
import vl_convert

from pipeline.jobs.io import atomic_path

INK = "#1f2429"
PAPER = "#fefefe"
MUTED = "#6b7380"
LINE = "#d9dde1"
# After Okabe and Ito's palette, safe for colour-blind readers; darker where a line on paper was fainter than 3:1.
BLUE, ORANGE, GREEN, VERMILION, PINK, SKY = "#0072b2", "#c07f00", "#009e73", "#d55e00", "#c46d9e", "#3795d2"
WIDTH = 760
PADDING = {"left": 34, "right": 10, "top": 10, "bottom": 10}  # long names need more room in other fonts
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SETTINGS = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor"), INK),
        **dict.fromkeys(("domainColor", "tickColor"), MUTED),
        "gridColor": LINE,
        **{"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 8, "tickSize": 4},
        **{"labelOverlap": "greedy", "tickCount": 6},
    },
    "legend": {
        **{"labelColor": INK, "titleColor": INK, "labelFontSize": 11, "labelLimit": 260, "symbolSize": 70},
        **{"orient": "bottom", "columns": 3, "title": None},
    },
    "title": {"color": INK, "fontSize": 12, "fontWeight": 600, "anchor": "start", "offset": 10},
    "text": {"color": INK, "fontSize": 11},
}


@dataclass(frozen=True)
class Panel:
    """One chart of a figure.

    Attributes:
        title: what it shows, "" where the figure's title says it.
        chart: without a width of its own.
        choices: runs of which a reader may choose those that are drawn, and what they are called; the chart's parameter
            `chosen` lists those that are from the start.
    """

    title: str
    chart: alt.Chart | alt.LayerChart
    choices: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A figure: rows of panels.

    Attributes:
        name: of its file and of its place in the page.
        title: in words.
        caption: how to read it.
        rows: panels side by side.
    """

    name: str
    title: str
    caption: str
    rows: list[list[Panel]] = field(default_factory=list)


def values(rows: Iterable[dict]) -> alt.Data:
    """Rows as the data of a chart; what is not finite is left out of its row."""
    clean = [
        {key: value for key, value in row.items() if not isinstance(value, float) or math.isfinite(value)}
        for row in rows
    ]
    return alt.Data(values=clean)


def reference_line(position: float, vertical: bool = True) -> alt.Chart:
    """A dashed line at a number on the x axis, or on the y axis."""
    mark = alt.Chart(alt.Data(values=[{"at": position}])).mark_rule(color=MUTED, strokeDash=[4, 3])
    return mark.encode(x="at:Q") if vertical else mark.encode(y="at:Q")


def panel_specification(panel: Panel) -> dict:
    """A panel as a Vega-Lite specification as wide as the place where it stands."""
    chart = panel.chart.properties(width="container", autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    return chart.configure(**SETTINGS).to_dict()


def figure_specification(figure: Figure) -> dict:
    """The whole figure as one Vega-Lite specification."""
    rows = []
    for row in (row for row in figure.rows if row):
        width = (WIDTH - 90 * len(row)) / len(row)
        charts = [panel.chart.properties(width=width, title=panel.title) for panel in row]
        rows.append(alt.hconcat(*charts, spacing=24) if len(charts) > 1 else charts[0])
    if not rows:
        rows = [alt.Chart(values([{"text": "nothing was measured"}])).mark_text().encode(text="text:N")]
    chart = rows[0] if len(rows) == 1 else alt.vconcat(*rows, spacing=28)
    return chart.configure(**SETTINGS | {"background": PAPER}).properties(padding=PADDING).to_dict()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as SVG or, where the path says so, as PNG; the same figure has the same bytes."""
    specification = json.dumps(figure_specification(figure))
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    with atomic_path(path) as temporary:
        if path.suffix == ".png":
            temporary.write_bytes(vl_convert.vegalite_to_png(specification, vl_version=version, scale=1.2))
        else:
            temporary.write_text(vl_convert.vegalite_to_svg(specification, vl_version=version), encoding="utf-8")
