"""Reading files of JSON lines."""

import gzip
import json
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.data.messages import one_typed
from pipeline.jobs.io import InputError

UTF_8 = "utf-8-sig"  # which a byte-order mark may precede


class _Repeating(dict):
    """An object of JSON that has a key more than once."""


def _object(items: list[tuple[str, Any]]) -> dict:
    found = dict(items)
    return found if len(found) == len(items) else _Repeating(found)


def json_rows(file: Path) -> Iterator[dict]:
    """The objects of a file of JSON lines, compressed or not, with a byte-order mark or without.

    Raises:
        InputError: the file cannot be read, or a line is no JSON object, or one that has a key twice.
    """
    number = 0
    try:
        with gzip.open(file, "rt", encoding=UTF_8) if file.suffix == ".gz" else file.open(encoding=UTF_8) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                row = json.loads(line, object_pairs_hook=_object)
                if not isinstance(row, dict):
                    raise InputError(f"{file}: line {number} is no JSON object but {type(row).__name__}")
                if isinstance(row, _Repeating):
                    raise InputError(f"{file}: line {number} has a key more than once; its keys are {', '.join(row)}")
                yield row
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: line {number} is not JSON ({error})") from error
    except RecursionError as error:
        raise InputError(f"{file}: line {number} is nested too deeply to be read") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read after line {number} ({error})") from error


def json_column(values: list) -> pa.Array:
    """Values of JSON as an arrow array; of messages, fields that nothing reads may be of several types.

    Raises:
        pa.ArrowException, OverflowError, UnicodeEncodeError: they make no array.
    """
    try:
        return pa.array(values)
    except pa.ArrowException:
        return pa.array(one_typed(values))


def first_odd(values: list) -> int:
    """Position of the first value that makes no arrow array with those before it, found by bisection."""

    def fits(count: int) -> bool:
        try:
            json_column(values[:count])
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            return False
        return True

    return bisect_left(range(len(values)), True, key=lambda position: not fits(position + 1))
