"""The best run of each method's sweep, chosen on the selection split and never on the reported one."""

from dataclasses import dataclass

import pandas as pd

from pipeline.results.run_names import kind_of
from pipeline.results.run_table import CHOSEN, RunTable

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Selection:
    """How runs represent their methods.

    Attributes:
        best: (dataset, model, run) of each method's best run; None where it was not chosen.
        note: how it was chosen, or why not; "" where no method has several runs.
    """

    best: set[Key] | None
    note: str


def selection_of(table: RunTable, winrate: pd.DataFrame, selection: pd.DataFrame | None) -> Selection:
    """The choice of runs.

    Args:
        winrate: the reported win-rate table; it decides only where it is itself of the selection split.
        selection: the win-rate table of the same runs on the selection split, None where there is none.
    """
    if len({(*run.group, kind_of(run)) for run in table.runs}) == len(table.runs):
        return Selection(None, "Each method has one run, so there is no sweep to choose from.")
    if table.split == "selection":
        return Selection(
            best_of_sweeps(table, winrate),
            "Some methods have several runs. This is the selection split: the best of each sweep is chosen here, so "
            "its numbers here flatter it; what is chosen is to be reported with other prompts.",
        )
    if selection is None:
        return Selection(
            None,
            "Some methods have several runs, and there are no results of the selection split to choose the best by; "
            f"choosing on the reported split ({table.split}) would flatter the winner, so none is chosen.",
        )
    best = best_of_sweeps(table, selection)
    return Selection(best, "The best of each sweep has the highest win rate against chosen on the selection split.")


def best_of_sweeps(table: RunTable, selection: pd.DataFrame) -> set[Key]:
    """(dataset, model, run) of each method's run with the highest win rate against chosen, under the first decoding."""
    rows = selection[(selection["baseline"] == CHOSEN) & (selection["decoding"] == table.runs[0].decoding)]
    rows = rows.dropna(subset=["win_rate"], ignore_index=True)
    kinds = {run.place: kind_of(run) for run in table.runs}
    places = zip(rows["dataset"], rows["model"], rows["run"], strict=True)
    rows = rows.assign(kind=[kinds.get(place) for place in places])  # rows of other runs are of no kind
    highest = rows.loc[rows.groupby(["dataset", "model", "kind"])["win_rate"].idxmax()]
    return set(zip(highest["dataset"], highest["model"], highest["run"], strict=True))
