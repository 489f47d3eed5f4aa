"""Win rate against cost, with the Pareto front: a figure for each axis."""

import altair as alt
import numpy as np
import pandas as pd

from pipeline.columns.prompts import CHECK
from pipeline.figures.choice import MAX_RUNS
from pipeline.figures.drawing import INK, Figure, Panel, reference_line, values
from pipeline.figures.names import BESIDE_CIRCLES, sides_within, text_layers
from pipeline.figures.styles import method_color, method_shape
from pipeline.results.cost_axes import Axis, front_of, is_known, known_axes
from pipeline.results.csv_tables import rows_of
from pipeline.results.opponents import rate_title
from pipeline.results.run_table import CHOSEN, Run, RunTable

NAME = "winrate_vs_cost"
HEIGHT = 320
NARROW, RADIUS = 300, 10  # pixels of a chart's width in a narrow window, and of a point with its circle
PADDING = 20  # pixels between the axes' ends and the outermost points
LONGEST = 190  # pixels that a name is cut at
MOST_NAMES = 12  # beside the points of the front
WIDE = 20  # times the lowest cost; beyond it the axis is logarithmic
TIMES = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
CAPTION = (
    "{} over what one training costs, the mean of its seeds, with 95% "
    "intervals; that of the cost only where seeds differ. Up and to the left is better. Circled and joined by steps: "
    "the Pareto front. No other run is both as cheap and as good as one of these, and better in one of the two."
)


def axis_figures(table: RunTable, costs: pd.DataFrame, opponent: str = CHOSEN) -> dict[Axis, Figure]:
    """A figure for each axis that is known of any run, the default first; a panel per (dataset, model, decoding).

    Args:
        costs: as `pipeline.results.winrate_vs_cost.read_winrate_vs_cost` gives it.
        opponent: what its win rates are against.
    """
    figures = {}
    for axis in known_axes(costs.to_dict("records")):
        rows = [[panel] for group in table.groups if (panel := _panel(table, costs, group, axis, opponent))]
        figures[axis] = Figure(
            f"{NAME}_{axis.column}", f"Win rate against {axis.name}", f"{_caption(table, opponent)} {axis.counts}", rows
        )
    return figures


def whole_figure(table: RunTable, costs: pd.DataFrame) -> Figure:
    """All axes below each other, the default first."""
    rows = [row for figure in axis_figures(table, costs).values() for row in figure.rows]
    return Figure(NAME, "Win rate against cost", _caption(table, CHOSEN), rows)


def _caption(table: RunTable, opponent: str) -> str:
    rate = "win rate against the dataset's chosen responses" if opponent == CHOSEN else rate_title(opponent)
    text = CAPTION.format(rate[0].upper() + rate[1:])
    return f"{text} {opponent} itself stands at 50%." if opponent == table.baseline else text


def _panel(table: RunTable, costs: pd.DataFrame, group: tuple[str, ...], axis: Axis, opponent: str) -> Panel | None:
    """One axis of one group; None where nothing is known."""
    own = {row["run"]: row for row in rows_of(costs, group).to_dict("records") if is_known(row, axis)}
    front = front_of(own.values(), axis)
    first = [*(row["run"] for row in front), *([table.baseline] if table.baseline in own else [])]
    first += sorted(own, key=lambda name: -own[name]["win_rate"])
    shown = set(list(dict.fromkeys(first))[:MAX_RUNS])
    runs = [run for run in table.runs_of(group) if run.run in shown]
    if not runs:
        return None
    title = table.title_of(group) if len(table.groups) > 1 else ""
    if len(runs) < len(own):
        cut = f"the front, {table.baseline} and the best of {len(own)} runs by win rate, {MAX_RUNS} in all"
        title = f"{title}; {cut}" if title else cut
    return Panel(title, _chart(runs, own, front, axis, opponent))


def _chart(runs: list[Run], own: dict[str, dict], front: list[dict], axis: Axis, opponent: str) -> alt.LayerChart:
    one, unit = _unit(axis, max(own[run.run][axis.column] for run in runs))
    points = [_point(own[run.run], axis, one) for run in runs]
    joined = [_point(row, axis, one) for row in front]
    lowest, highest = (of(point["cost"] for point in points) for of in (min, max))
    logarithmic = 0 < lowest < highest / WIDE
    from_zero = not logarithmic and lowest < highest / 2
    if logarithmic:
        scale = alt.Scale(type="log", padding=24)
    elif from_zero:
        scale = alt.Scale(domain=[0, 1.06 * max(point.get("cost_high", point["cost"]) for point in points)])
    else:
        scale = alt.Scale(zero=False, padding=24)
    title = axis.title + (f", {unit}" if unit else "")
    x = alt.X("cost:Q", title=title, scale=scale, axis=alt.Axis(format="~s" if axis.unit == "tokens" else ",~r"))
    rate = "win rate against chosen" if opponent == CHOSEN else rate_title(opponent)
    y = alt.Y("win_rate:Q", title=f"{rate}, %", scale=alt.Scale(zero=False, padding=16))
    color, shape = method_color(runs), method_shape(runs)
    data, marked = alt.Chart(values(points)), alt.Chart(values(joined))
    tips = [alt.Tooltip("run:N"), *_interval_tips("cost", unit or axis.name), *_interval_tips("win_rate", "%")]
    spread = alt.Chart(values(point for point in points if "cost_low" in point))
    wide = spread.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x="cost_low:Q", x2="cost_high:Q", y=y, color=color)
    layers = [
        *([] if opponent == CHECK else [reference_line(50, vertical=False)]),
        marked.mark_line(interpolate="step-after", color=INK, strokeWidth=1, opacity=0.6).encode(
            x=x, y=y, order="cost:Q"
        ),
        *_names(points, joined, logarithmic, from_zero, x, y),
        data.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x=x, y="win_rate_low:Q", y2="win_rate_high:Q", color=color),
        *([wide] if any("cost_low" in point for point in points) else []),
        data.mark_point(filled=True, size=80, opacity=1).encode(x=x, y=y, color=color, shape=shape, tooltip=tips),
        marked.mark_point(filled=False, shape="circle", size=240, color=INK, strokeWidth=1.2).encode(x=x, y=y),
    ]
    return alt.layer(*layers).properties(height=HEIGHT)


def _unit(axis: Axis, highest: float) -> tuple[float, str]:
    """How much one unit of the axis is in that of the table, and its name; "" where the axis names it."""
    if axis.unit != "seconds":
        return 1, ""
    name, size = next(((name, size) for name, size in TIMES if highest >= 2 * size), TIMES[-1])
    return size, name


def _point(row: dict, axis: Axis, one: float) -> dict:
    """What is drawn of a run; a cost without a spread has no interval."""
    names = ("run", "method", "name", "win_rate", "win_rate_low", "win_rate_high")
    cost = {f"cost{end}": row[f"{axis.column}{end}"] / one for end in ("", "_low", "_high")}
    if not cost["cost_low"] < cost["cost_high"]:
        cost = {"cost": cost["cost"]}
    return {name: row[name] for name in names} | cost


def _interval_tips(column: str, unit: str) -> list[alt.Tooltip]:
    titles = {"": column.replace("_", " "), "_low": "from", "_high": "to"}
    form = ".1f" if column == "win_rate" else ",.4~r"
    return [
        alt.Tooltip(f"{column}{end}:Q", title=f"{title}, {unit}" if not end else title, format=form)
        for end, title in titles.items()
    ]


def _names(points: list[dict], front: list[dict], logarithmic: bool, from_zero: bool, x: alt.X, y: alt.Y) -> list:
    """Names of the front's points, each on a side of its point where there is room, in a narrow window too."""
    named = front[:MOST_NAMES]
    costs = np.array([point["cost"] for point in points])
    rates = np.array([[point[f"win_rate{end}"] for end in ("", "_low", "_high")] for point in points], dtype=float)
    rates = np.where(np.isnan(rates), rates[:, :1], rates)
    across = _pixels(np.log(costs) if logarithmic else costs, NARROW, from_zero)
    down = HEIGHT - _pixels(rates, HEIGHT)
    boxes = []
    for at, (middle, bottom, top) in zip(across, down, strict=True):
        boxes += [(at - RADIUS, middle - RADIUS, at + RADIUS, middle + RADIUS), (at - 2, top, at + 2, bottom)]
    place = {point["run"]: (at, middle) for point, at, middle in zip(points, across, down[:, 0], strict=True)}
    names, places = [point["name"] for point in named], [place[point["run"]] for point in named]
    sides = sides_within(names, places, boxes, (NARROW, HEIGHT), LONGEST)
    return text_layers(named, sides, BESIDE_CIRCLES, x, y, LONGEST)


def _pixels(numbers: np.ndarray, size: float, from_zero: bool = False) -> np.ndarray:
    """About where numbers are on an axis of `size` pixels."""
    lowest, highest = 0.0 if from_zero else numbers.min(), numbers.max()
    return PADDING + (size - 2 * PADDING) * (numbers - lowest) / ((highest - lowest) or 1.0)
