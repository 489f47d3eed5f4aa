"""What the sections that follow the choice of prompts show of each set, beside what they show of the split."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from pipeline.figures.winrates import rating_figure, winrate_figure
from pipeline.report.by_cost import with_costs
from pipeline.report.by_set import set_sentences
from pipeline.report.charts import Charts
from pipeline.report.findings import answer_section
from pipeline.report.leaderboard import leaderboard_section
from pipeline.report.power import with_power
from pipeline.report.section import Section
from pipeline.report.selection import Selection
from pipeline.results.run_table import Run, RunTable
from pipeline.results.set_results import SetResults
from pipeline.results.winrate_vs_cost import with_rates

Read = Callable[[Run, int, str], pd.DataFrame]


def answer_on_sets(
    section: Section,
    table: RunTable,
    winrate: pd.DataFrame,
    sets: Sequence[SetResults],
    selection: Selection,
    front: pd.DataFrame | None,
    charts: Charts,
    read: Read,
) -> tuple[Section, Section]:
    """The answer's section with that of each set, and in the first paragraph where these differ; then what is said of
    each run, in a section of its own, so that the runs by sets stand between the two.

    Args:
        front: win rates of the split against costs, None where there are none.
        read: gives the verdicts of a run, seed and opponent.
    """
    found = {
        table.title_of(group): set_sentences(table, winrate, group, sets, read, selection)
        for group in table.first.groups
    }
    views = {}
    for one in sets:
        drawn = charts.place(winrate_figure(one.table, one.winrate), f"{one.name}-")
        own = answer_section(one.table, one.winrate, pd.DataFrame({"halved": [], "run": []}), drawn, selection)
        own = with_power(own, one.table, read) if not one.is_mean else replace(own, values=own.values | {"power": []})
        costs = None if front is None else with_rates(front, one.table, one.winrate)
        views[one.name] = with_costs(own, one.table, costs, charts, f"{one.name}-").values | {"on": one.name}
    views = _complete({name: values | {"apart": True} for name, values in views.items()}, sets)
    values = section.values | {"on_sets": found, "apart": True}
    runs = Section("findings", "Run by run", "findings.jinja", values, "Runs", views)
    return replace(section, values=values, of_sets=views), runs


def leaderboard_on_sets(section: Section, sets: Sequence[SetResults], charts: Charts) -> Section:
    """The leaderboard with that of each set."""
    views = {
        one.name: leaderboard_section(
            one.table, one.winrate, charts.place(rating_figure(one.table, one.winrate), f"{one.name}-")
        ).values
        for one in sets
    }
    return replace(section, of_sets=_complete(views, sets))


def _complete(views: dict[str, dict], sets: Sequence[SetResults]) -> dict[str, dict]:
    """With the run table of each, which all templates read."""
    shared = {one.name: {"table": one.table, "groups": one.table.groups} for one in sets}
    return {name: shared[name] | values for name, values in views.items()}
