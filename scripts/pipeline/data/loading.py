"""Reading a dataset's source in batches: the embedded world, a local file or folder, or the Hugging Face Hub.

A local folder has the files of its splits named as the hub names them: `train.jsonl.gz`, `data/train-00000-of-00002.
parquet`, `harmless-base/train.jsonl.gz` or `train/part.parquet`; all files of a split are read, in the order of their
paths. A folder whose files name no split is one split, `train`. A folder saved by `datasets.save_to_disk` works too.
"""

import gzip
import json
import re
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.hub_errors import why_not_loaded
from pipeline.data.world import preference_rows
from pipeline.jobs.io import InputError

BATCH_ROWS = 5_000
SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")
SPLIT_NAMES = {"train", "validation", "valid", "val", "dev", "test", "eval"}
ONE_SPLIT = "it holds one split: set splits.eval to null and give eval_share or eval_size"


@dataclass(frozen=True)
class Batch:
    """Some rows of a source.

    Attributes:
        table: the asked columns.
        location: the file, or the hub id and split, for error messages.
        first_row: number of the batch's first row in it, counted from 0.
    """

    table: pa.Table
    location: str
    first_row: int


def read_batches(spec: dict, split: str, columns: list[str]) -> Iterator[Batch]:
    """The rows of one of the source's splits.

    Args:
        spec: a resolved dataset entry (source, path, config_name, revision, splits; size, seed and noise for world).
        split: the split's name in the source.
        columns: the columns that are wanted.

    Raises:
        InputError: the source is not there, cannot be read, or lacks the split or a column.
    """
    if spec["source"] == "world":
        yield from _read_world(spec)
        return
    path = Path(spec["path"]).expanduser()
    if path.is_file():
        _refuse_second_split(spec)
        yield from _read_file(path, columns)
    elif path.is_dir():
        configured = path / str(spec.get("config_name"))
        folder = configured if configured.is_dir() else path
        if is_saved(folder):
            yield from _read_saved(spec, folder, split, columns)
        else:
            for file in split_files(folder, split):
                yield from _read_file(file, columns)
    elif is_hub_id(spec["path"]):
        loaded = load_hub(spec["path"], spec.get("config_name"), spec.get("revision"), split)
        yield from _read_dataset(loaded, f"{spec['path']}, split {split}", columns)
    else:
        raise InputError(f"{path}: there is no such file or folder, and it is no hub id (owner/name)")


def _read_world(spec: dict) -> Iterator[Batch]:
    try:
        rows = preference_rows(spec["size"], spec.get("seed", 42), spec["noise"])
    except ValueError as error:
        raise InputError(f"dataset {spec['name']}: {error}") from error
    yield Batch(pa.Table.from_pylist(rows), "the embedded world", 0)


def _refuse_second_split(spec: dict) -> None:
    if (spec.get("splits") or {}).get("eval"):
        raise InputError(f"{spec['path']}: {ONE_SPLIT}")


def require_columns(location: str, columns: list[str], present: list[str]) -> None:
    """Raise an InputError where one of the columns is not present."""
    missing = [column for column in columns if column not in present]
    if missing:
        wanted, has = ", ".join(columns), ", ".join(present) or "none"
        raise InputError(f"{location}: no column {missing[0]!r}; it must have {wanted}; it has {has}")


def split_files(folder: Path, split: str) -> list[Path]:
    """The data files of a split below a folder, sorted.

    Raises:
        InputError: there are none; the message lists the splits that there are.
    """
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.name.endswith(SUFFIXES)]
    files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    if not files:
        raise InputError(f"{folder}: there is no data file in this folder; it must hold {', '.join(SUFFIXES)} files")
    names = {file: split_name(file) for file in files}
    chosen = [file for file in files if names[file] == split or split in file.parent.parts]
    if not chosen and split == "train" and not SPLIT_NAMES & set(names.values()):
        chosen = files
    if not chosen:
        present = ", ".join(sorted(set(names.values())))
        raise InputError(f"{folder}: there is no split {split!r}; the files in it name {present}")
    return [folder / file for file in chosen]


def split_name(file: Path) -> str:
    """The split that a relative path names: a folder called like a split, else the file without suffix and shard."""
    folders = [part for part in file.parent.parts if part in SPLIT_NAMES]
    suffix = next(suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if file.name.endswith(suffix))
    return folders[-1] if folders else re.sub(r"-\d+-of-\d+$", "", file.name.removesuffix(suffix))


def _read_file(file: Path, columns: list[str]) -> Iterator[Batch]:
    if file.name.endswith(".parquet"):
        yield from _read_parquet(file, columns)
    elif file.name.endswith(SUFFIXES):
        yield from _read_json_lines(file, columns)
    else:
        raise InputError(f"{file}: not a data file by its name; it must end in one of {', '.join(SUFFIXES)}")


def _read_parquet(file: Path, columns: list[str]) -> Iterator[Batch]:
    first = 0
    try:
        # Without pre_buffer and with a buffer of its own, the reader does not hold on to the columns of the whole file.
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet:
            require_columns(str(file), columns, parquet.schema_arrow.names)
            for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
                yield Batch(pa.Table.from_batches([batch]).select(columns), str(file), first)
                first += len(batch)
    except (pa.ArrowException, OSError) as error:
        at = f"{_unreadable_column(file, columns)}after row {first}"
        raise InputError(f"{file}: not a readable parquet file, {at} ({error})") from error


def _unreadable_column(file: Path, columns: list[str]) -> str:
    """Which column of a broken parquet file cannot be read, as part of a message; "" where none can be named."""
    for column in columns:
        opened = False
        try:
            with pq.ParquetFile(file) as parquet:
                opened = True
                for _ in parquet.iter_batches(BATCH_ROWS, columns=[column]):
                    pass
        except (pa.ArrowException, OSError):
            return f"column {column!r}, " if opened else ""
    return ""


def _read_json_lines(file: Path, columns: list[str]) -> Iterator[Batch]:
    first = 0
    lines = json_rows(file)
    while rows := list(islice(lines, BATCH_ROWS)):
        if first == 0:
            require_columns(str(file), columns, list(rows[0]))
        arrays = {}
        for column in columns:
            try:
                arrays[column] = pa.array([row.get(column) for row in rows])
            except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
                row = first + _first_odd([row.get(column) for row in rows])
                raise InputError(
                    f"{file}: column {column!r}: row {row} (the first is 0) is of another type than those before it, "
                    f"or no text that UTF-8 can hold ({error})"
                ) from error
        yield Batch(pa.table(arrays), str(file), first)
        first += len(rows)


def _first_odd(values: list) -> int:
    """Position of the first value that makes no arrow array with those before it, found by bisection."""

    def fits(count: int) -> bool:
        try:
            pa.array(values[:count])
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            return False
        return True

    return bisect_left(range(len(values)), True, key=lambda position: not fits(position + 1))


def json_rows(file: Path) -> Iterator[dict]:
    """The objects of a file of JSON lines, compressed or not.

    Raises:
        InputError: the file cannot be read, or a line is no JSON object.
    """
    number = 0
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise InputError(f"{file}: line {number} is no JSON object but {type(row).__name__}")
                yield row
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: line {number} is not JSON ({error})") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read after line {number} ({error})") from error


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `datasets.save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def load_saved(folder: Path):
    """The Dataset or DatasetDict that a folder was saved from.

    Raises:
        InputError: it cannot be read.
    """
    import datasets  # slow to import, and most sources need it not

    try:
        return datasets.load_from_disk(folder)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{folder}: not a readable saved dataset ({error})") from error


def is_hub_id(path: str) -> bool:
    """Whether a path can be a dataset of the hub (owner/name)."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", path) is not None and not path.endswith(SUFFIXES)


def _read_saved(spec: dict, folder: Path, split: str, columns: list[str]) -> Iterator[Batch]:
    import datasets  # slow to import, and most sources need it not

    saved = load_saved(folder)
    if isinstance(saved, datasets.DatasetDict):
        if split not in saved:
            raise InputError(f"{folder}: there is no split {split!r}; it has {', '.join(saved)}")
        saved = saved[split]
    else:
        _refuse_second_split(spec)
    yield from _read_dataset(saved, f"{folder}, split {split}", columns)


def load_hub(path: str, config_name: str | None = None, revision: str | None = None, split: str | None = None):
    """A dataset of the hub: one split, or a DatasetDict of all.

    Raises:
        InputError: it cannot be loaded.
    """
    import datasets  # slow to import, and most sources need it not

    load = datasets.load_dataset
    try:
        try:
            return load(path, config_name, split=split, revision=revision)
        except RuntimeError as error:
            if revision or "scripts are no longer supported" not in str(error):
                raise
            # The hub keeps a parquet copy of datasets that are published as a loading script.
            return load(path, config_name, split=split, revision="refs/convert/parquet")
    except Exception as error:  # the library and its clients raise dozens of kinds
        raise InputError(why_not_loaded(path, config_name, split, error)) from error


def _read_dataset(dataset, location: str, columns: list[str]) -> Iterator[Batch]:
    require_columns(location, columns, dataset.column_names)
    rows = dataset.select_columns(columns).with_format("arrow")
    for number, table in enumerate(rows.iter(BATCH_ROWS)):
        yield Batch(table, location, number * BATCH_ROWS)
