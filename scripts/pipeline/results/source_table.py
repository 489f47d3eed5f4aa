"""Win rates by source: the dataset that a judged prompt of a mix is from, or a kind of prompt that a dataset knows."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.columns.pairs import SOURCE_COLUMN
from pipeline.jobs.io import InputError, read_parquet
from pipeline.metrics import bootstrap
from pipeline.metrics.comparison import REFITS, compare
from pipeline.results.csv_tables import read_numbers
from pipeline.results.measurements import verdict_counts
from pipeline.results.run_table import RunTable
from pipeline.results.sweep_comparison import group_verdicts

NAMES = ["dataset", "model", "decoding", "run", "method", "baseline", SOURCE_COLUMN, "seeds"]
COUNTS = ["prompts", "n", "unparsed", "refused", "failed", "ties"]
RATES = [name + end for name in ("win_rate", "difference", "lc_win_rate") for end in ("", "_low", "_high")]


def source_table(
    table: RunTable,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
    refits: int = REFITS,
    column: str = SOURCE_COLUMN,
) -> pd.DataFrame:
    """One row per (dataset, model, decoding, run, baseline, source) of datasets that know it, in the run table's order.

    Args:
        column: of the runs' `sources` that tells prompts apart; it is a column of the table too.

    Each source is compared by itself, as `pipeline.metrics.comparison.compare` does; counts are those of the win-rate
    table.

    Raises:
        InputError: no dataset knows sources, or a judged prompt is not in the split of its dataset.
    """
    rows = []
    for group in table.groups:
        runs = {run.run: run for run in table.runs_of(group) if run.sources}
        if not runs:
            continue
        path = next(iter(runs.values())).sources
        known = read_parquet(path, ["prompt_id", column]).set_index("prompt_id")[column]
        verdicts = group_verdicts(table, group)
        sources = verdicts["prompt_id"].map(known)
        if sources.isna().any():
            missing = verdicts["prompt_id"][sources.isna()].iloc[0]
            raise InputError(f"{path}: prompt {missing} was judged, but is not in it")
        frames = []
        for source, own in verdicts.groupby(sources, sort=True):
            reference = table.baseline if table.baseline in set(own["run"]) else None
            compared = compare(own, None, reference, resamples, min(refits, resamples), seed)
            counted = [verdict_counts(part) for _, part in own.groupby(["run", "baseline"], sort=True)]
            frames.append(compared.assign(**{column: source}, **pd.DataFrame(counted)))
        found = pd.concat(frames).groupby(["run", "baseline"], sort=False)
        for name, run in runs.items():
            names = {name: getattr(run, name) for name in ("dataset", "model", "decoding", "method")}
            for baseline in run.baselines:
                rows += [row | names for row in found.get_group((name, baseline)).to_dict("records")]
    if not rows:
        raise InputError(f"{table.path}: no dataset of these runs knows sources, so they have no win rates by source")
    named = [column if name == SOURCE_COLUMN else name for name in NAMES]
    frame = pd.DataFrame(rows).reindex(columns=[*named, *COUNTS, *RATES])
    frame[RATES] = frame[RATES].astype(float).map(bootstrap.rounded)
    return frame


def read_source_table(path: str | Path, names: Sequence[str] = NAMES) -> pd.DataFrame:
    """The table as written: names are text, counts and rates numbers, NaN where there is none.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column, or has text for a number.
    """
    return read_numbers(path, [*names, *COUNTS, *RATES], COUNTS + RATES)
