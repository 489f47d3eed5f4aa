"""Reading files that other projects wrote: rows of JSON, JSON lines, CSV or parquet, each with its place for errors."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.data.json_lines import UTF_8, json_rows
from pipeline.jobs.io import InputError, read_parquet

LINES = (".jsonl", ".jsonl.gz", ".ndjson")
SUFFIXES = (".json", *LINES, ".csv", ".parquet")


@dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes:
        where: the file and the row, counted from 0, for messages.
        content: its values by key; of CSV all are texts.
    """

    where: str
    content: dict[str, Any]

    def first(self, *keys: str) -> Any:
        """The value of the first of these keys that the row has and that is not null; None where it has none."""
        return next((self.content[key] for key in keys if self.content.get(key) is not None), None)


def read_rows(path: str | Path) -> list[Row]:
    """All rows of a file: a list of objects (.json), JSON lines, CSV with a head, or parquet.

    Raises:
        InputError: the file is missing, of another kind or not readable, a row is no object, or there are no rows.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.name.endswith(LINES):
        found = list(json_rows(path))
    elif path.suffix in (".json", ".csv", ".parquet"):
        found = {".json": _json, ".csv": _csv, ".parquet": _parquet}[path.suffix](path)
    else:
        raise InputError(f"{path}: what kind of file it is is told by its ending, one of {', '.join(SUFFIXES)}")
    if not found:
        raise InputError(f"{path}: there are no rows in it; at least one is needed")
    return [Row(f"{path}: row {number}", content) for number, content in enumerate(found)]


def _json(path: Path) -> list[dict]:
    try:
        content = json.loads(path.read_text(encoding=UTF_8))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(content, list):
        raise InputError(f"{path}: it must be a list of objects, not {type(content).__name__}")
    for number, row in enumerate(content):
        if not isinstance(row, dict):
            raise InputError(f"{path}: row {number} is no JSON object but {type(row).__name__}")
    return content


def _csv(path: Path) -> list[dict]:
    csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding=UTF_8, newline="") as lines:
            rows = list(csv.DictReader(lines, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from error
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise InputError(f"{path}: row {number} has another number of fields than the head")
    return [{key: value if value != "" else None for key, value in row.items()} for row in rows]


def _parquet(path: Path) -> list[dict]:
    read_parquet(path, [], allow_empty=True)  # raises where it is none
    return pq.read_table(path).to_pylist()
