"""What runs give on each set of prompts: a run table and win rates, as there are of the split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.results.run_table import Run, RunTable
from pipeline.results.set_table import ALL
from pipeline.results.tables import SET


@dataclass(frozen=True)
class SetResults:
    """The results on a set of prompts, or over all sets.

    Attributes:
        name: the set's, or ALL.
        table: its run table; over all sets runs have no files, and as opponents those that they meet on every set.
        winrate: its rows of the win-rate table, without the column `set`.
    """

    name: str
    table: RunTable
    winrate: pd.DataFrame

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean over the sets, which has no responses of its own."""
        return self.name == ALL


def set_results(rates: pd.DataFrame, tables: Iterable[RunTable]) -> list[SetResults]:
    """The results of each set that has win rates, in the order of the win-rate table.

    Args:
        rates: as `pipeline.results.tables.read_set_rates` gives them.
        tables: run tables of the sets, whose split is the set's name.
    """
    known = {table.split: table for table in tables}
    if not known or SET not in rates.columns:
        return []
    found = []
    for name in list(dict.fromkeys(rates[SET])):
        rows = rates[rates[SET] == name].drop(columns=SET)
        if name in known:
            found.append(SetResults(name, known[name], rows))
        elif name == ALL:
            found.append(SetResults(name, _over_all(next(iter(known.values())), rows), rows))
    return found


def _over_all(table: RunTable, rows: pd.DataFrame) -> RunTable:
    """A run table for rows of ALL, with the runs of one of the sets."""
    met: dict[tuple[str, ...], list[str]] = {}
    for row in rows[["dataset", "model", "decoding", "run", "baseline"]].itertuples(index=False):
        met.setdefault(tuple(row[:4]), []).append(row.baseline)
    named = {(*place[:3], name) for place in met for name in (place[3], *met[place])}
    runs = [replace(run, baselines=met.get(_place(run), [])) for run in table.runs if _place(run) in named]
    return replace(table, split=ALL, runs=runs)


def _place(run: Run) -> tuple[str, str, str, str]:
    return run.dataset, run.model, run.decoding, run.run


def all_runs(table: RunTable, tables: Sequence[RunTable]) -> RunTable:
    """The run table of a split with the entries of the sets behind its own, for what counts all of a run's files."""
    return replace(table, runs=[run for one in (table, *tables) for run in one.runs])
