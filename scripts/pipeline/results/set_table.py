"""Win rates on sets of prompts: rows of the win-rate table for each set, and over all of them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.metrics import bootstrap
from pipeline.metrics.comparison import REFITS, holm, two_sided_p_value
from pipeline.metrics.over_sets import mean_over_sets
from pipeline.results import caveats
from pipeline.results.limits import disagreeing
from pipeline.results.measurements import verdict_counts
from pipeline.results.run_table import Run, RunTable, read_verdicts
from pipeline.results.source_table import source_table
from pipeline.results.tables import COUNTS, SET, TEXT_COLUMNS, WINRATE_RIGHT, winrate_columns, winrate_table

ALL = "all"
PLACE = 3  # of that column, behind dataset, model and decoding


def with_sets(winrate: pd.DataFrame, split: str, tables: Sequence[RunTable], *counts: int) -> pd.DataFrame:
    """The win-rate table of a split, followed by the rows of each set, and of all sets where there are several.

    Args:
        winrate: of the split, as `winrate_table` gives it.
        tables: the sets' tables of runs, whose split is the set's name.
        counts: resamples, seed and refits, as `winrate_table` takes them.
    """
    frames = [_of(winrate, split)]
    frames += [_of(winrate_table(table, *counts), table.split) for table in tables if has_opponents(table)]
    if len(tables) > 1:
        over_all = overall_table(tables, *counts[:2])
        frames.append(_of(over_all.assign(caveats=_caveats(over_all, frames[1:], tables[0].baseline)), ALL))
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def has_opponents(table: RunTable) -> bool:
    """Whether any run is judged against anything: not where there is one run, no reference and no check."""
    return any(run.baselines for run in table.runs)


def overall_table(tables: Sequence[RunTable], resamples: int = bootstrap.RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """A row for each run and each other run that it is judged against on every set, each set having the same weight.

    The columns are those of the win-rate table; what is not of several sets is empty. Against references and checks,
    which not all sets have, there are none.
    """
    first, rows = tables[0], []
    for run in first.runs:
        places = [{(*one.place, one.decoding): one for one in table.runs} for table in tables]
        same = [of_table[place] for of_table in places if (place := (*run.place, run.decoding)) in of_table]
        if len(same) < len(tables):  # made elsewhere, for some of the sets
            continue
        for opponent in run.baselines:
            if opponent in {one.run for one in first.runs} and all(opponent in one.baselines for one in same):
                rows.append(_row(run, same, opponent, resamples, seed))
    frame = pd.DataFrame(rows, columns=winrate_columns(first), dtype=object)
    measured = {name: COUNTS.get(name, float) for name in WINRATE_RIGHT if name not in TEXT_COLUMNS}
    frame = frame.astype({name: "Int64" if kind is int else kind for name, kind in measured.items()})
    groups = frame.groupby(["dataset", "model", "decoding", "baseline"], sort=False)["p_value"]
    return frame.assign(p_value_holm=groups.transform(holm)) if len(frame) else frame


def category_table(tables: Sequence[RunTable], resamples: int, seed: int, refits: int = REFITS) -> pd.DataFrame:
    """The win rates of each set by category, of the sets that have some: `source_table` with a column for the set."""
    frames = []
    for table in tables:
        if any(run.sources for run in table.runs) and has_opponents(table):
            frame = source_table(table, resamples, seed, refits, "category")
            frame.insert(PLACE, SET, table.split)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _of(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    frame = frame.copy()
    frame.insert(PLACE, SET, name)
    return frame


def _caveats(over_all: pd.DataFrame, of_sets: Sequence[pd.DataFrame], baseline: str) -> list[str]:
    """What each mean over sets rests on: what the row of any set does; its prompts and decodings are its own."""
    names, own = ["dataset", "model", "decoding", "run", "baseline"], ("few-prompts", "decodings-disagree")
    found: dict[tuple, set[str]] = {}
    for frame in of_sets:
        for *place, cell in frame[[*names, "caveats"]].itertuples(index=False, name=None):
            found.setdefault(tuple(place), set()).update(caveat.name for caveat in caveats.read(cell))
    disagreed, cells = disagreeing(over_all, baseline), []
    for *place, cell in over_all[[*names, "caveats"]].itertuples(index=False, name=None):
        dataset, model, _, run, _ = place
        known = {caveat.name for caveat in caveats.read(cell)} | found[tuple(place)].difference(own)
        cells.append(caveats.written(known | ({"decodings-disagree"} if (dataset, model, run) in disagreed else set())))
    return cells


def _row(run: Run, same: Sequence[Run], opponent: str, resamples: int, seed: int) -> dict:
    """The row of a run against another over all sets."""
    sets, counts = [], Counter()
    for one in same:
        verdicts = {number: read_verdicts(one, number, opponent) for number in run.seeds}
        values = {number: 100 * bootstrap.order_means(frame) for number, frame in verdicts.items()}
        sets.append(bootstrap.cell_matrix(values, run.seeds, bootstrap.all_prompts(values)))
        for frame in verdicts.values():
            counts.update(verdict_counts(frame))
    prompts, (mean, drawn) = sum(cells.shape[1] for cells in sets), mean_over_sets(sets, resamples, seed)
    known = bool(np.isfinite(mean)) and all(cells.shape[1] > 1 for cells in sets)
    low, high = bootstrap.percentile_intervals(drawn[:, None], np.array([known]))[0]
    several = known and len(run.seeds) > 1  # with one seed a test would be about that training
    row = {name: getattr(run, name) for name in ("dataset", "model", "decoding", "run", "method")} | run.hyperparameters
    row |= {"baseline": opponent, "seeds": " ".join(map(str, run.seeds)), **counts}
    row["caveats"] = caveats.written(["few-prompts"] if prompts < caveats.FEW_PROMPTS else [])
    rates = {"win_rate": mean, "win_rate_low": low, "win_rate_high": high}
    rates["p_value"] = two_sided_p_value(drawn - 50, prompts) if several else np.nan
    return row | {name: bootstrap.rounded(value) for name, value in rates.items()}
