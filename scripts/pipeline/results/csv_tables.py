"""Reading the tables that are written as CSV, and what any table or mapping must have."""

import argparse
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


def require(content: pd.DataFrame | dict, names: Sequence[str], where: str | Path, kind: str = "column") -> None:
    """Raise an InputError where a column of a table, or a key of a mapping, is missing."""
    for name in names:
        if name not in content:
            raise InputError(f"{where}: no {kind} {name!r}; it must have {', '.join(names)}")


def named_path(text: str) -> tuple[str, Path]:
    """An argument DATASET=FILE of a command line."""
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not DATASET=FILE")
    return name, Path(path)


def rows_of(frame: pd.DataFrame, group: tuple[str, ...]) -> pd.DataFrame:
    """The rows of one (dataset, model, decoding); of all decodings where it, or the table, names none."""
    for name, value in zip(("dataset", "model", "decoding"), group, strict=False):
        if name in frame.columns:
            frame = frame[frame[name] == value]
    return frame
