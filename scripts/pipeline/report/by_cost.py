"""Win rate against cost at the top of the page: the chart with its choice of axis, and the Pareto front in words."""

from dataclasses import replace

import pandas as pd

from pipeline.figures.winrate_vs_cost import axis_figures
from pipeline.jobs.forecast import duration
from pipeline.report.charts import Charts
from pipeline.report.numbers import number
from pipeline.report.section import Section
from pipeline.report.whole_cost import thousands
from pipeline.results.cost_axes import Axis, front_of, front_sentence, is_known, known_axes, unknown_sentence
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import RunTable

MOST_ROWS = 12  # of the table below the chart, the front always among them
COLUMNS = (  # of that table, beside those that it always has
    ("sampling", "sampling"),
    ("reward_model", "reward model"),
    ("alone", "as the only one"),
    ("steps", "steps"),
    ("tokens", "tokens"),
    ("gpu_hours", "GPU hours"),
    ("dollars", "dollars"),
)


def with_costs(section: Section, table: RunTable, costs: pd.DataFrame | None, charts: Charts) -> Section:
    """The answer's section with what win rates cost; as it is, where no run's cost is known.

    Args:
        costs: as `pipeline.results.winrate_vs_cost.read_winrate_vs_cost` gives it.
    """
    axes = known_axes(costs.to_dict("records")) if costs is not None else []
    if costs is None or not axes:
        return replace(section, values=section.values | {"fronts": {}, "by_cost": None})
    found = {group: rows_of(costs, group).to_dict("records") for group in table.groups}
    figures = [(axis, charts.place(figure)) for axis, figure in axis_figures(table, costs).items()]
    boards = [_board(table.title_of(group), rows, axes) for group, rows in found.items()]
    values = {
        "fronts": {table.title_of(group): front_sentence(found[group], axes[0]) for group in table.first.groups},
        "by_cost": {"figures": figures, "boards": boards, "columns": COLUMNS},
    }
    return replace(section, values=section.values | values)


def _board(title: str, rows: list[dict], axes: list[Axis]) -> dict:
    """The numbers of a group: rows of its cheapest runs first, and what is not in them."""
    default = axes[0]
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
