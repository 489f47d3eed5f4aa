"""A row per method: its best run, chosen on the selection split, and how its runs spread."""

import pandas as pd

from pipeline.figures.sweep import Sweep, facets_figure, spread_figure, sweeps_of
from pipeline.report.charts import Charts
from pipeline.report.section import Section
from pipeline.report.selection import Selection
from pipeline.results.csv_tables import rows_of
from pipeline.results.outcomes import BETTER, WORSE, outcome
from pipeline.results.run_table import CHOSEN, RunTable

MEASURED = ("win_rate", "win_rate_low", "win_rate_high", "rating", "rating_low", "rating_high")
DIFFERENCE = ("difference", "difference_low", "difference_high")


def methods_section(table: RunTable, winrate: pd.DataFrame, selection: Selection, charts: Charts) -> list[Section]:
    """The section; none where each method has one run."""
    boards, order = [], {}
    for group in table.groups:
        sweeps = sweeps_of(table, group)
        if any(len(sweep.runs) > 1 for sweep in sweeps):
            rows = method_rows(table, winrate, group, selection.best)
            order[group] = [row["kind"] for row in rows]
            boards.append({"title": table.title_of(group), "rows": rows, "varied": _varied(sweeps)})
    if not boards:
        return []
    figures = [spread_figure(table, winrate, selection.best, order), facets_figure(table, winrate)]
    shown = {"boards": boards, "figures": [charts.place(figure) for figure in figures if any(figure.rows)]}
    shown |= {"note": selection.note, "selected": selection.best is not None}
    return [Section("methods", "Methods and their sweeps", "methods.jinja", shown, "Methods")]


def method_rows(table: RunTable, winrate: pd.DataFrame, group: tuple[str, ...], best: set | None) -> list[dict]:
    """A row per method of a group: runs, its best one with its measurements, spread over all, better and worse ones.

    Highest rating of the best runs first; where none was chosen, highest median win rate.

    Args:
        best: (dataset, model, run) of each method's best run; None where it was not chosen.
    """
    found = rows_of(winrate, group)
    by_run = {name: part.set_index("baseline").to_dict("index") for name, part in found.groupby("run", sort=False)}
    chosen = found[found["baseline"] == CHOSEN].drop_duplicates("run").set_index("run")
    rows = []
    for sweep in sweeps_of(table, group):
        names = [run.run for run in sweep.runs]
        rates = chosen["win_rate"].reindex(names).dropna()
        spread = {"lowest": rates.min(), "median": rates.median(), "highest": rates.max()}
        said = [outcome(by_run.get(name, {}), table.baseline) for name in names if name != table.baseline]
        row = {"kind": sweep.kind, "runs": len(names), "best": "", "compared": len(said), **spread}
        row |= {"better": said.count(BETTER), "worse": said.count(WORSE)} | dict.fromkeys((*MEASURED, *DIFFERENCE))
        for run in sweep.runs:
            if run.place in (best or ()) and run.run in chosen.index:
                row |= {"best": run.run} | chosen.loc[run.run, [*MEASURED, *DIFFERENCE]].to_dict()
        rows.append(row)
    by = "median" if best is None else "rating"
    return sorted(rows, key=lambda row: -row[by] if row[by] is not None and row[by] == row[by] else float("inf"))


def _varied(sweeps: list[Sweep]) -> list[str]:
    """What varies in each method, in words."""
    return [f"{sweep.kind}: {', '.join(sweep.varied)}" for sweep in sweeps if sweep.varied]
