"""A judge's own words, by the key of the request that they answer."""

import contextlib
import sqlite3
from pathlib import Path

import pandas as pd

from pipeline.jobs.io import InputError, read_parquet

COLUMNS = ["request_key", "reply"]
# The text of a reply; where the endpoint gave none its refusal, else all that came back.
QUERY = "select key, coalesce(content, refusal, body) from replies order by key, attempt"


def read_judgements(path: str | Path) -> dict[str, str]:
    """Raw replies by request key, as the verdicts name it; of several to one request the last, which was used.

    Args:
        path: a judge's store (SQLite, table replies: key, attempt, content, refusal, body), a folder of such stores,
            which need not exist, or a table (parquet: request_key, reply).

    Raises:
        InputError: a file is missing or of another kind, lacks a column, or a reply is no text.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return _from_table(path)
    stores = [path] if path.suffix == ".sqlite" else sorted(path.glob("*.sqlite"))
    return {key: reply for store in stores for key, reply in _from_store(store)}


def _from_table(path: Path) -> dict[str, str]:
    frame: pd.DataFrame = read_parquet(path, COLUMNS, allow_empty=True).dropna(subset=["reply"])
    for row, value in enumerate(frame["reply"]):
        if not isinstance(value, str):
            raise InputError(f"{path}: row {row}: reply is {value!r}; it must be text")
    return dict(zip(frame["request_key"], frame["reply"], strict=True))


def _from_store(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(QUERY).fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{path}: not a store of a judge's replies ({error})") from error
