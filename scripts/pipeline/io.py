"""Reading and writing the files between stages: atomic writes, errors that name the file, key or row at fault."""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline.console import prepare_console, redact


class InputError(ValueError):
    """Something that the user gave is wrong. The message names the file, key or row and says what would be right."""


def run(main: Callable[[], None]) -> None:
    """Call an entry script's main; an `InputError` becomes one line on stderr and exit code 1.

    Secrets are read from .env first (see `pipeline.console`), and are in nothing that is printed.
    """
    prepare_console()
    try:
        main()
    except InputError as error:
        sys.exit(redact(f"error: {error}"))


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of `path` that takes its place when the block ends without an error.

    A killed or failed writer leaves the old file, or none, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    try:
        yield temporary
        temporary.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_parquet(path: str | Path, columns: list[str] | None = None, allow_empty: bool = False) -> pd.DataFrame:
    """A parquet file as a frame; with `columns`, just those, in that order.

    Raises:
        InputError: the file is missing, is not parquet, lacks a column, or (unless `allow_empty`) has no rows.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error})") from error
    missing = [column for column in columns or [] if column not in names]
    if missing:
        wanted, present = ", ".join(columns), ", ".join(names)
        raise InputError(f"{path}: no column {missing[0]!r}; it must have {wanted}; it has {present}")
    try:
        frame = pd.read_parquet(path, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error})") from error
    if frame.empty and not allow_empty:
        raise InputError(f"{path}: there are no rows in it; at least one is needed")
    return frame


def write_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame as parquet, without its index. The same frame gives the same bytes."""
    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write an arrow table as parquet. The same table gives the same bytes."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def write_csv(frame: pd.DataFrame, path: str | Path, digits: int = 6) -> None:
    """Write a frame as CSV, without its index; floats keep so many significant digits."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format=f"%.{digits}g", lineterminator="\n")


def write_text(text: str, path: str | Path) -> None:
    """Write text as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_yaml(path: str | Path) -> dict:
    """A YAML mapping.

    Raises:
        InputError: the file is missing, is not YAML, or is no mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping of keys to values, not {type(content).__name__}")
    return content


def write_yaml(content: dict, path: str | Path) -> None:
    """Write a mapping as YAML, keys in their given order."""
    write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), path)


def read_json(path: str | Path) -> dict:
    """A JSON object.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error


def write_json(content: dict, path: str | Path) -> None:
    """Write a mapping as indented JSON."""
    write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)
