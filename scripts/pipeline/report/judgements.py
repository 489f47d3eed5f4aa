"""A judge's own words, by the key of the request that they answer."""

from pathlib import Path

import pandas as pd

from pipeline.io import InputError, read_parquet

COLUMNS = ["request_key", "reply"]


def read_judgements(path: str | Path) -> pd.Series:
    """A table (parquet) of raw replies: request_key, as the verdicts name it, and reply, the text that came back.

    Of several replies to one request the last counts: it is the one that was used.

    Raises:
        InputError: the file is missing, is no parquet or lacks a column, or a reply is no text.
    """
    frame = read_parquet(path, COLUMNS, allow_empty=True).dropna(subset=["reply"])
    for row, value in enumerate(frame["reply"]):
        if not isinstance(value, str):
            raise InputError(f"{path}: row {row}: reply is {value!r}; it must be text")
    return frame.drop_duplicates("request_key", keep="last").set_index("request_key")["reply"]
