"""Reading the tables that are written as CSV."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.jobs.io import InputError


def read_csv(path: str | Path, **options) -> pd.DataFrame:
    """A CSV file as a frame; options are those of pandas.

    Raises:
        InputError: the file is missing or is no CSV.
    """
    try:
        return pd.read_csv(path, keep_default_na=False, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from error


def require_columns(frame: pd.DataFrame, columns: Sequence[str], path: str | Path) -> None:
    """Raise an InputError where a column is missing."""
    for column in columns:
        if column not in frame.columns:
            raise InputError(f"{path}: no column {column!r}; it must have {', '.join(columns)}")


def rows_of(frame: pd.DataFrame, group: tuple[str, str]) -> pd.DataFrame:
    """The rows of one (dataset, model)."""
    return frame[(frame["dataset"] == group[0]) & (frame["model"] == group[1])]
