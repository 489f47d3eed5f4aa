"""Win rates on sets of prompts in the report: runs by sets, and by category where a set has some."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipeline.columns.prompts import CHECK, REFERENCE
from pipeline.figures.choice import FEW_RUNS
from pipeline.jobs.io import read_json
from pipeline.report.section import Section
from pipeline.results.csv_tables import rows_of, titled_groups
from pipeline.results.opponents import rate_title
from pipeline.results.outcomes import BETTER, WORSE, difference_outcome, direct_outcome
from pipeline.results.run_table import CHOSEN, RunTable
from pipeline.results.set_table import ALL
from pipeline.results.source_table import NAMES, read_source_table
from pipeline.results.tables import SET

CATEGORY = "category"
CATEGORY_NAMES = [*NAMES[:3], SET, *NAMES[3:-2], CATEGORY, NAMES[-1]]
GROUP = ["dataset", "model", "decoding"]


def sets_sections(table: RunTable, rates: pd.DataFrame | None, by_category: pd.DataFrame | None) -> list[Section]:
    """The section, from the win-rate table with the rows of the sets; none where there are no sets.

    Args:
        rates: as `pipeline.results.tables.read_set_rates` gives them.
        by_category: as `read_categories` gives it, where a set has categories.
    """
    if rates is None or SET not in rates.columns:
        return []
    boards = []
    for title, rows in titled_groups(rates):
        names = list(dict.fromkeys(rows[SET]))
        if len(names) > 1:
            matrices = list(_matrices(rows, table, SET, names))
            kinds = [] if by_category is None else rows_of(by_category, tuple(rows.iloc[0][GROUP]))
            boards.append({"title": title, "matrices": matrices, "kinds": list(_kinds(kinds, table))})
    values = {"boards": boards, "split": table.split, "all": ALL, "few": FEW_RUNS}
    return [Section("sets", "On which prompts", "prompt_sets.jinja", values, "By set")] if boards else []


def read_categories(path: str | Path) -> pd.DataFrame:
    """The table of win rates on sets by category."""
    return read_source_table(path, CATEGORY_NAMES)


def with_contamination(card: dict, files: dict[str, Path]) -> dict:
    """A data card with what its train split shares with sets of prompts.

    Args:
        files: {dataset: what `pipeline.data.set_contamination` found}.
    """
    path = files.get(card.get("dataset", "")) if isinstance(card, dict) else None
    return card | {"contamination_of_sets": read_json(path)} if path else card


def _matrices(rows: pd.DataFrame, table: RunTable, column: str, names: list[str]) -> Iterable[dict]:
    """For each kind of opponent the runs by the sets, or categories, that have it, the best run first.

    Args:
        rows: of one group.
        column: that tells the columns of a matrix apart, whose names are `names`.
    """
    for opponent in (table.baseline, CHECK, REFERENCE, CHOSEN):
        found = rows[rows["baseline"] == opponent]
        sets = [name for name in names if name in set(found[column])]
        if not sets or (opponent == CHOSEN and len(sets) == 1):  # which other sections have
            continue
        title, by_set = rate_title(opponent), found.groupby(column)
        lines = [_line(run, own, sets, column, table.baseline) for run, own in found.groupby("run", sort=False)]
        unparsed = by_set["unparsed"].sum()
        prompts = by_set["prompts"].max() if "prompts" in found else {}
        yield {
            "title": f"{title[0].upper()}{title[1:]}, %",
            "sets": sets,
            "prompts": {name: int(prompts[name]) for name in sets if name in prompts},
            "counted": any(line["counts"] for line in lines),
            "rows": sorted(lines, key=lambda line: -line["overall"]),
            "unparsed": {name: int(unparsed[name]) for name in sets if unparsed[name] and name != ALL},
        }


def _line(run: str, rows: pd.DataFrame, names: list[str], column: str, baseline: str) -> dict:
    """A run's rows of the table by column, each with what it says of the run, and on how many sets that is clear."""
    found = {row[column]: row for row in rows.to_dict("records")}
    said = {name: _said(row, baseline) for name, row in found.items() if run != baseline}
    own = [mark for name, mark in said.items() if name != ALL]
    rates = [row["win_rate"] for row in found.values() if not math.isnan(row["win_rate"])]
    mean = sum(rates) / len(rates) if rates else -math.inf
    return {
        "run": run,
        "cells": [(found.get(name), said.get(name, "") if said.get(name) in (BETTER, WORSE) else "") for name in names],
        "overall": found[ALL]["win_rate"] if ALL in found else mean,
        "counts": {"better": own.count(BETTER), "worse": own.count(WORSE)} if len(own) > 1 else None,
    }


def _said(row: dict, baseline: str) -> str:
    """Whether a row says that its run is better than the baseline run, or worse.

    Where there is no test, as of categories, an interval without width says nothing: few prompts went all one way.
    """
    if "p_value_holm" not in row and row["win_rate_low"] == row["win_rate_high"]:
        return ""
    return direct_outcome(row) if row["baseline"] == baseline else difference_outcome(row)


def _kinds(rates: pd.DataFrame, table: RunTable) -> Iterable[dict]:
    """For each set that has categories the runs by these."""
    if len(rates):
        for name, rows in rates.groupby(SET, sort=False):
            found = list(_matrices(rows, table, CATEGORY, list(dict.fromkeys(rows[CATEGORY]))))
            yield {"name": name, "matrices": found}
