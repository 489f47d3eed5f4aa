"""Win rate against cost: at the top of the page the chart and the Pareto front in words, further down the numbers."""

from dataclasses import replace

import pandas as pd

from pipeline.figures.winrate_vs_cost import axis_figures
from pipeline.jobs.forecast import duration
from pipeline.report.charts import Charts
from pipeline.report.numbers import number
from pipeline.report.section import Section
from pipeline.report.whole_cost import thousands
from pipeline.results.cost_axes import (
    Axis,
    certainty_sentence,
    front_of,
    front_sentence,
    is_known,
    known_axes,
    unknown_sentence,
)
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import RunTable

MOST_ROWS = 12  # of the table, the front always among them
COLUMNS = (  # of the table, beside those that it always has
    ("sampling", "sampling"),
    ("reward_model", "reward model"),
    ("alone", "as the only one"),
    ("steps", "steps"),
    ("tokens", "tokens"),
    ("gpu_hours", "GPU hours"),
    ("dollars", "dollars"),
)


def with_costs(section: Section, table: RunTable, costs: pd.DataFrame | None, charts: Charts) -> Section:
    """The answer's section with the chart and the fronts; without them, where no run's cost is known.

    Args:
        costs: as `pipeline.results.winrate_vs_cost.read_winrate_vs_cost` gives it.
    """
    rows, axes = _rows(table, costs)
    if costs is None or not axes:
        return replace(section, values=section.values | {"fronts": {}, "by_cost": None})
    figures = [(axis, charts.place(figure)) for axis, figure in axis_figures(table, costs).items()]
    fronts = {title: front_sentence(own, axes[0]) for title, own in rows.items()}
    sentences = _once({title: certainty_sentence(own, axes[0]) for title, own in rows.items()})
    sentences += _once({title: unknown_sentence(own, axes[0]) for title, own in rows.items()})
    chart = {"figures": figures, "sentences": sentences}
    return replace(section, values=section.values | {"fronts": fronts, "by_cost": chart})


def _once(said: dict[str, str]) -> list[str]:
    """Sentences by the titles of what they are of, as one where they are all the same."""
    if len(set(said.values())) == 1:
        return [text for text in dict.fromkeys(said.values()) if text]
    return [f"{title}: {text[0].lower()}{text[1:]}" for title, text in said.items() if text]


def costs_section(table: RunTable, costs: pd.DataFrame | None) -> list[Section]:
    """The section with the chart's numbers; none where no run's cost is known."""
    rows, axes = _rows(table, costs)
    if not axes:
        return []
    boards = [_board(title, own, axes[0]) for title, own in rows.items()]
    values = {"boards": boards, "columns": COLUMNS, "axes": axes}
    return [Section("cost-of-one", "Cost of one training", "cost_of_one.jinja", values, "Cost of one")]


def _rows(table: RunTable, costs: pd.DataFrame | None) -> tuple[dict[str, list[dict]], list[Axis]]:
    """The rows of each (dataset, model, decoding) by its title, and the axes that are known."""
    if costs is None:
        return {}, []
    rows = {table.title_of(group): rows_of(costs, group).to_dict("records") for group in table.groups}
    return rows, known_axes([row for own in rows.values() for row in own])


def _board(title: str, rows: list[dict], default: Axis) -> dict:
    """The numbers of a group: rows of the front and the best runs, the cheapest first, and what is not in them."""
    known = sorted((row for row in rows if is_known(row, default)), key=lambda row: row[default.column])
    first = [row["run"] for row in front_of(rows, default)]
    first += [row["run"] for row in sorted(known, key=lambda row: -row["win_rate"])]
    kept = set(list(dict.fromkeys(first))[: max(MOST_ROWS, len(front_of(rows, default)))])
    views = [_view(row, default) for row in known if row["run"] in kept]
    names = [name for name in (views[0] if views else {}) if any(view.get(name, "–") != "–" for view in views)]
    return {
        "title": title,
        "rows": views,
        "shown": set(names),
        "left_out": len(known) - len(views),
        "unknown": unknown_sentence(rows, default),
    }


def _view(row: dict, default: Axis) -> dict:
    """A row for the template: text, and the win rate as it is."""
    share = row["front_share"]
    return {
        "run": row["run"],
        "is_front": default.column in row["front"].split(),
        "rates": row,
        "device": _time(row["device_seconds"]),
        "device_interval": _interval(row, "device_seconds"),
        "reward_model": _time(row["reward_model_seconds"]),
        "sampling": _time(row["sampling_seconds"]),
        "alone": _time(row["alone_seconds"]),
        "steps": number(row["steps"], 0),
        "tokens": thousands(None if row["tokens"] != row["tokens"] else row["tokens"]),
        "gpu_hours": number(row["gpu_hours"], 2) if row["gpu_hours"] > 0 else "–",
        "dollars": number(row["dollars"], 2),
        "share": "–" if share != share else f"{100 * share:.0f}%",
    }


def _time(seconds: float) -> str:
    return duration(seconds) if seconds > 0 else "–"


def _interval(row: dict, column: str) -> str:
    """Where a cost varies with the seeds: "1 min to 2 min"."""
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    return f"{duration(low)} to {duration(high)}" if low < high else ""
