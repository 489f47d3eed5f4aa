"""Win rates on sets of prompts in the report: runs by sets, and each set by itself, by category where it has some."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipeline.columns.prompts import CHECK, REFERENCE
from pipeline.jobs.io import read_json
from pipeline.report.section import Section
from pipeline.results.csv_tables import titled_groups
from pipeline.results.run_table import CHOSEN, RunTable
from pipeline.results.set_table import ALL
from pipeline.results.source_table import NAMES, read_source_table
from pipeline.results.tables import SET

CATEGORY_NAMES = [*NAMES[:3], SET, *NAMES[3:-2], "category", NAMES[-1]]
AGAINST = {
    CHECK: "Right answers, %",
    REFERENCE: "Win rate against the reference answers, %",
    CHOSEN: "Win rate against the chosen responses, %",
}


def sets_sections(table: RunTable, rates: pd.DataFrame, by_category: str | Path | None) -> list[Section]:
    """The section, from the win-rate table with the rows of the sets; none where there are no sets.

    Args:
        rates: as `pipeline.results.tables.read_set_rates` gives them.
        by_category: the table of win rates by category, where a set has some.
    """
    if SET not in rates.columns:
        return []
    kinds = read_source_table(by_category, CATEGORY_NAMES) if by_category else None
    boards = []
    for title, rows in titled_groups(rates):
        names = list(dict.fromkeys(rows[SET]))
        named = dict(zip(("dataset", "model", "decoding"), rows.iloc[0][["dataset", "model", "decoding"]], strict=True))
        own = kinds if kinds is None else kinds[(kinds[list(named)] == pd.Series(named)).all(axis=1)]
        if len(names) > 1:
            runs = list(dict.fromkeys(rows["run"]))
            boards.append({"title": title, "matrices": list(_matrices(rows, table, names, runs)), "kinds": _kinds(own)})
    names = [name for name in dict.fromkeys(rates[SET]) if name != ALL]
    values = {"boards": boards, "names": names, "split": table.split, "all": ALL}
    return [Section("sets", "Other prompts", "prompt_sets.jinja", values)] if boards else []


def with_contamination(card: dict, files: dict[str, Path]) -> dict:
    """A data card with what its train split shares with sets of prompts.

    Args:
        files: {dataset: what `pipeline.data.set_contamination` found}.
    """
    path = files.get(card.get("dataset", "")) if isinstance(card, dict) else None
    return card | {"contamination_of_sets": read_json(path)} if path else card


def _matrices(rows: pd.DataFrame, table: RunTable, names: list[str], runs: list[str]) -> Iterable[dict]:
    """For each kind of opponent the runs by the sets that have it: in a cell a row of the win-rate table, or None."""
    titles = {table.baseline: f"Win rate against {table.baseline}, %"} | AGAINST
    for opponent, title in titles.items():
        found = rows[rows["baseline"] == opponent]
        sets = [name for name in names if name in set(found[SET])]
        if not sets or (opponent == CHOSEN and len(sets) == 1):  # which other sections have
            continue
        cells = {(row["run"], row[SET]): row for row in found.to_dict("records")}
        lines = [(run, [(name, cells.get((run, name))) for name in sets]) for run in runs]
        counts = found.groupby(SET)["unparsed"].sum()
        yield {
            "title": title,
            "sets": sets,
            "rows": [line for line in lines if any(row for _, row in line[1])],
            "unparsed": {name: int(counts[name]) for name in sets if counts[name] and name != ALL},
        }


def _kinds(rates: pd.DataFrame | None) -> list[dict]:
    """For each set that has categories its rows of the table by category."""
    if rates is None or rates.empty:
        return []
    return [{"name": name, "rows": rows.to_dict("records")} for name, rows in rates.groupby(SET, sort=False)]
