"""How often a dataset's judge agrees with people on held-out pairs, beside every win rate that rests on it."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipeline.jobs.io import read_json
from pipeline.metrics.bootstrap import rounded
from pipeline.results.csv_tables import require

AGREEMENT_COLUMNS = ["judge_agreement", "judge_agreement_low", "judge_agreement_high"]


def with_agreement(winrate: pd.DataFrame, measured: Iterable[str | Path]) -> pd.DataFrame:
    """The win-rate table with the judge's agreement with the labels of its dataset, per cent, and its interval.

    Args:
        winrate: with AGREEMENT_COLUMNS, which stay as they are for datasets whose judge is not measured.
        measured: files of the judges' measured quality.

    Raises:
        InputError: a file is missing or unreadable, or lacks a key.
    """
    table = winrate.copy()
    for path in measured:
        found = read_json(path)
        require(found, ("dataset", "agreement"), path, "key")
        if found["agreement"] is None:
            continue
        require(found["agreement"], ("value", "low", "high"), f"{path}: agreement", "key")
        for column, key in zip(AGREEMENT_COLUMNS, ("value", "low", "high"), strict=True):
            share = found["agreement"][key]
            table.loc[table["dataset"] == found["dataset"], column] = None if share is None else rounded(100 * share)
    return table
