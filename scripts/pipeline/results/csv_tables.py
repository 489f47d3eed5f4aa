"""Reading the tables that are written as CSV, and what any table or mapping must have."""

import argparse
from collections.abc import Iterable, Sequence
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


def check_keys(content: object, required: tuple | list, allowed: tuple | list, where: str) -> None:
    """Raise an InputError where content is no mapping, lacks a required key, or has one that is not allowed."""
    check_type(content, dict, "a mapping", where)
    require(content, required, where, "key")
    for key in content:
        if key not in allowed:
            raise InputError(f"{where}: unknown key {key!r}; known are {', '.join(allowed)}")


def check_type(value: object, kind: type | tuple, expected: str, where: str) -> None:
    """Raise an InputError where a value is of another type than expected, which is said in words."""
    if not isinstance(value, kind):
        raise InputError(f"{where}: must be {expected}, not {value!r}")


def read_numbers(path: str | Path, columns: Iterable[str], numbers: Iterable[str]) -> pd.DataFrame:
    """A table as written: `numbers` of its columns are numbers, NaN where a field is empty, the rest is text.

    Args:
        columns: which it must have.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column, or has text for a number.
    """
    frame = read_csv(path, dtype=str)
    require(frame, columns, path)
    return to_numbers(frame, numbers, path)


def to_numbers(frame: pd.DataFrame, columns: Iterable[str], where: str | Path) -> pd.DataFrame:
    """A table of text with numbers in some columns, NaN where a field is empty.

    Raises:
        InputError: one of them holds other text.
    """
    for column in columns:
        try:
            frame[column] = pd.to_numeric(frame[column].replace("", None))
        except ValueError as error:
            raise InputError(f"{where}: column {column!r} must hold numbers ({error})") from error
    return frame


def titled_groups(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each (dataset, model, decoding) with what names it: the decoding where there are several."""
    told = 3 if frame["decoding"].nunique() > 1 else 2
    groups = frame.groupby(["dataset", "model", "decoding"], sort=False)
    return [(", ".join(name[:told]), rows) for name, rows in groups]


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
