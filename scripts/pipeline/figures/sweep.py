"""Sweeps: how the runs of each method spread, and their win rates over the hyperparameters that vary."""

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.drawing import Figure, Panel, reference_line, values
from pipeline.figures.styles import method_color, method_shape
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_names import kind_of
from pipeline.results.run_table import CHOSEN, Run, RunTable

ROW, HEIGHT = 34, 200
MAX_FACETS = 6  # values of the second hyperparameter that get a panel each
MAX_VALUES = 6  # values of the third that get a line each
LINES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 2, 1, 2, 1, 2]]


@dataclass(frozen=True)
class Sweep:
    """The runs of one method in one (dataset, model, decoding).

    Attributes:
        kind: the method, or the named loss.
        varied: hyperparameters with several values and these values in their order, the one with the most values first.
    """

    kind: str
    runs: list[Run]
    varied: dict[str, list]


def sweeps_of(table: RunTable, group: tuple[str, ...]) -> list[Sweep]:
    """The methods of a group in the config's order; a method with one run is one too, in which nothing varies."""
    kinds: dict[str, list[Run]] = {}
    for run in table.runs_of(group):
        kinds.setdefault(kind_of(run), []).append(run)
    return [Sweep(kind, runs, _varied(runs)) for kind, runs in kinds.items()]


def spread_figure(
    table: RunTable, winrate: pd.DataFrame, best: set | None, order: dict[tuple[str, ...], list[str]]
) -> Figure:
    """A row of marks per method: a tick for each run, the chosen one filled, with its interval.

    Args:
        best: (dataset, model, run) of each method's best run, None where it was not chosen.
        order: the methods of each group from top to bottom.
    """
    rows = []
    for group in table.groups:
        sweeps = sweeps_of(table, group)
        if all(len(sweep.runs) == 1 for sweep in sweeps):
            continue
        points = [point for sweep in sweeps for point in _points(sweep, rows_of(winrate, group), best)]
        runs = [run for sweep in sweeps for run in sweep.runs]
        kinds = order[group]
        y = alt.Y("kind:N", sort=kinds, title=None, axis=alt.Axis(ticks=False, domain=False, grid=False))
        x = alt.X(
            "win_rate:Q", title="win rate against the chosen responses, %", scale=alt.Scale(zero=False, padding=12)
        )
        color, tips = method_color(runs, legend=False), _tips(points)
        data = alt.Chart(values(points))
        layers = [
            reference_line(50),
            data.mark_tick(thickness=2, height=ROW * 0.6).encode(x=x, y=y, color=color, tooltip=tips),
        ]
        if any(point["best"] for point in points):
            chosen = alt.Chart(values(point for point in points if point["best"]))
            ends = {"x": alt.X("win_rate_low:Q"), "x2": "win_rate_high:Q"}
            mark = {"shape": method_shape(runs, legend=False), "tooltip": tips}
            layers += [
                chosen.mark_rule(strokeWidth=2).encode(**ends, y=y, color=color),
                chosen.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=color, **mark),
            ]
        title = table.title_of(group) if len(table.groups) > 1 else ""
        rows.append([Panel(title, alt.layer(*layers).properties(height=ROW * len(kinds)))])
    caption = "Each tick is a run. " + (
        "The filled mark is the method's best run on the selection split, with its 95% interval here."
        if best is not None
        else "No run is marked as the best, since none was chosen on a selection split."
    )
    return Figure("spread", "How the runs of each method spread", caption, rows)


def facets_figure(table: RunTable, winrate: pd.DataFrame) -> Figure:
    """Win rate over what varies in a method: the first along x, a panel for each of the second, a line of the third."""
    rows = []
    for group in table.groups:
        found, panels = rows_of(winrate, group), []
        for sweep in sweeps_of(table, group):
            if sweep.varied:
                panels += _facets(
                    sweep, _points(sweep, found, None), table.title_of(group) if len(table.groups) > 1 else ""
                )
        rows += [panels] if panels else []
    return Figure(
        "facets",
        "Over the hyperparameters",
        "Win rate against the chosen responses, with its 95% interval, over the hyperparameters that vary within a "
        "method; all panels of a method share their axes.",
        rows,
    )


def _varied(runs: list[Run]) -> dict[str, list]:
    found: dict[str, list] = {}
    for run in runs:
        for name, value in run.hyperparameters.items():
            found.setdefault(name, []).append(value)
    several = {name: _ordered(given) for name, given in found.items() if len(set(map(str, given))) > 1}
    return dict(sorted(several.items(), key=lambda item: -len(item[1])))


def _ordered(given: list) -> list:
    distinct = list({str(value): value for value in given if value is not None}.values())
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct)
    return sorted(distinct) if numbers else sorted(distinct, key=str)


def _points(sweep: Sweep, found: pd.DataFrame, best: set | None) -> list[dict]:
    """A row per run that was compared with the chosen responses: its win rate and its hyperparameters as text."""
    rates = found[found["baseline"] == CHOSEN].drop_duplicates("run").set_index("run")
    points = []
    for run in sweep.runs:
        if run.run not in rates.index or np.isnan(rates.loc[run.run, "win_rate"]):
            continue
        measured = {name: float(rates.loc[run.run, name]) for name in ("win_rate", "win_rate_low", "win_rate_high")}
        settings = {name: _text(run.hyperparameters.get(name)) for name in sweep.varied}
        names = {"run": run.run, "method": run.method, "kind": sweep.kind, "best": run.place in (best or ())}
        points.append(names | measured | {"setting": _setting(settings)} | {f"of {k}": v for k, v in settings.items()})
    return points


def _text(value: object) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _setting(settings: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _facets(sweep: Sweep, points: list[dict], place: str) -> list[Panel]:
    """The panels of a method."""
    first, *others = sweep.varied
    facets, lines = others[0] if others else None, others[1] if len(others) > 1 else None
    shown = [None] if facets is None else [_text(value) for value in sweep.varied[facets][:MAX_FACETS]]
    rates = [point[name] for point in points for name in ("win_rate_low", "win_rate", "win_rate_high")]
    limits = [np.nanmin([*rates, 48]) - 2, np.nanmax([*rates, 52]) + 2] if points else [0, 100]
    panels = []
    for value in shown:
        own = [point for point in points if value is None or point[f"of {facets}"] == value]
        if own:
            words = [place, sweep.kind, "" if value is None else f"{facets} {value}"]
            chart = _panel(sweep, own, first, lines, limits, joined=len(others) < 3)
            panels.append(Panel(", ".join(filter(None, words)), chart))
    if panels and facets and len(sweep.varied[facets]) > MAX_FACETS:
        panels[-1] = Panel(f"{panels[-1].title} (further values are in the table)", panels[-1].chart)
    return panels


def _panel(
    sweep: Sweep, points: list[dict], first: str, lines: str | None, limits: list[float], joined: bool
) -> alt.LayerChart:
    order = [_text(value) for value in sweep.varied[first]]
    data = alt.Chart(values(point | {"at": point[f"of {first}"], "line": point.get(f"of {lines}")} for point in points))
    x = alt.X("at:O", sort=order, title=first, scale=alt.Scale(domain=order), axis=alt.Axis(labelAngle=0, grid=False))
    scale = alt.Scale(domain=limits, zero=False, nice=False)
    y = alt.Y("win_rate:Q", title="win rate, %", scale=scale)
    color, tips = method_color(sweep.runs, legend=False), _tips(points)
    layers = [
        reference_line(50, vertical=False),
        data.mark_rule(opacity=0.6).encode(x=x, y=alt.Y("win_rate_low:Q"), y2="win_rate_high:Q", color=color),
        data.mark_point(filled=True, size=55, opacity=1).encode(x=x, y=y, color=color, tooltip=tips),
    ]
    few = lines is not None and len(sweep.varied[lines]) <= MAX_VALUES
    if joined and (lines is None or few):
        line = data.mark_line(strokeWidth=1.6).encode(x=x, y=y, color=color, detail="line:N")
        if few:
            names = [_text(value) for value in sweep.varied[lines]]
            dashes = alt.Scale(domain=names, range=LINES[: len(names)])
            legend = alt.Legend(title=lines, symbolType="stroke", symbolSize=400, symbolStrokeWidth=2)
            line = line.encode(strokeDash=alt.StrokeDash("line:N", sort=names, scale=dashes, legend=legend))
        layers.insert(2, line)
    return alt.layer(*layers).properties(height=HEIGHT)


def _tips(points: list[dict]) -> list[alt.Tooltip]:
    ends = (
        alt.Tooltip(f"win_rate{end}:Q", title=f"win rate{end}".replace("_", " "), format=".1f")
        for end in ("", "_low", "_high")
    )
    return [alt.Tooltip("run:N"), alt.Tooltip("setting:N"), *ends]
