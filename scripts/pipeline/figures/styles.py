"""How each method is drawn: a colour and a marker of its own."""

import altair as alt

from pipeline.figures import drawing
from pipeline.jobs.parts import all_parts
from pipeline.results.run_table import Run

METHODS = all_parts("methods", "description")
STYLES = {name: (getattr(drawing, method.COLOR.upper()), method.MARKER) for name, method in METHODS.items()}
SAME = {"start": "sft"}  # what has that style where there is no SFT
OTHER_STYLE = (drawing.SKY, "triangle-right")


def method_color(runs: list[Run], legend: bool | alt.Legend = True) -> alt.Color:
    """The colour of the field `method`; legends of one field that differ make Vega-Lite complain."""
    return alt.Color("method:N", scale=_scale(runs, 0), legend=_legend(legend))


def method_shape(runs: list[Run], legend: bool | alt.Legend = True) -> alt.Shape:
    """The marker of the field `method`."""
    return alt.Shape("method:N", scale=_scale(runs, 1), legend=_legend(legend))


def _legend(wanted: bool | alt.Legend) -> alt.Legend | None:
    return wanted if isinstance(wanted, alt.Legend) else alt.Legend(symbolOpacity=1) if wanted else None


def _scale(runs: list[Run], part: int) -> alt.Scale:
    domain = list(dict.fromkeys(run.method for run in runs))
    return alt.Scale(
        domain=domain, range=[STYLES.get(SAME.get(method, method), OTHER_STYLE)[part] for method in domain]
    )
