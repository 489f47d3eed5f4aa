"""Reading a dataset's source in batches: the embedded world, a local file or folder, or the Hugging Face Hub.

A local folder has the files of its splits named as the hub names them (see `pipeline.data.split_files`):
`train.jsonl.gz`, `data/train_prefs-00000-of-00002.parquet`, `harmless-base/train.jsonl.gz` or `train/part.parquet`; all
files of a split are read, in the order of their paths. A folder whose files name no split is one split, `train`. A
folder saved by `datasets.save_to_disk` works too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data import fair_world, world
from pipeline.data.columns import Columns
from pipeline.data.hub_errors import why_not_loaded
from pipeline.data.json_lines import first_odd, json_column, json_rows
from pipeline.data.split_files import SUFFIXES, local_kind, split_files
from pipeline.jobs.io import InputError

BATCH_ROWS = 5_000
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


def read_batches(spec: dict, split: str, columns: Columns) -> Iterator[Batch]:
    """The rows of one of the source's splits.

    Args:
        spec: a resolved dataset entry (source, path, config_name, revision, splits; for world size, seed, noise,
            edition and eval_size).
        split: the split's name in the source.
        columns: the columns that are wanted, or what chooses them among all of a file.

    Raises:
        InputError: the source is not there, cannot be read, lacks the split or a column, or has text that is no UTF-8.
    """
    for batch in _batches(spec, split, columns):
        require_utf8(batch.table, batch.location, batch.first_row)
        yield batch


def _batches(spec: dict, split: str, columns: Columns) -> Iterator[Batch]:
    if spec["source"] == "world":
        yield from _read_world(spec, split)
        return
    path = Path(spec["path"]).expanduser()
    kind = local_kind(path)
    if kind == "file":
        _refuse_second_split(spec)
        yield from _read_file(path, columns)
    elif kind == "folder":
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


def source_splits(spec: dict) -> dict[str, str]:
    """The source's splits that train and, where it has one of its own, eval are made from."""
    if spec.get("edition") == 2:
        return {"train": "train", "eval": "eval"}
    return spec.get("splits") or {"train": "train"}


def _read_world(spec: dict, split: str) -> Iterator[Batch]:
    size, seed, noise = spec["size"], spec.get("seed", 42), spec["noise"]
    try:
        if spec.get("edition") == 2:
            rows = fair_world.preference_rows(size, spec["eval_size"], seed, noise)[split]
        else:
            rows = world.preference_rows(size, seed, noise)
    except ValueError as error:
        raise InputError(f"dataset {spec['name']}: {error}") from error
    yield Batch(pa.Table.from_pylist(rows), "the embedded world", 0)


def _refuse_second_split(spec: dict) -> None:
    if (spec.get("splits") or {}).get("eval"):
        raise InputError(f"{spec['path']}: {ONE_SPLIT}")


def chosen_columns(location: str, columns: Columns, present: list[str]) -> list[str]:
    """The wanted columns of a file.

    Raises:
        InputError: one is not present, or stands there twice; or none can be chosen.
    """
    if callable(columns):
        try:
            columns = columns(present)
        except InputError as error:
            raise InputError(f"{location}: {error}") from error
        try:
            require_columns(location, columns, present)
        except InputError as error:
            named = "columns: {prompt: …, chosen: …, rejected: …}"
            raise InputError(f"{error}. Columns of other names are given by {named} in the dataset's entry") from error
    require_columns(location, columns, present)
    return columns


def require_columns(location: str, columns: list[str], present: list[str]) -> None:
    """Raise an InputError where one of the columns is not present, or is there more than once."""
    if twice := [column for column in columns if present.count(column) > 1]:
        raise InputError(
            f"{location}: column {twice[0]!r} stands there {present.count(twice[0])} times; keep one of them"
        )
    missing = [column for column in columns if column not in present]
    if missing:
        wanted, has = ", ".join(columns), ", ".join(present) or "none"
        raise InputError(f"{location}: no column {missing[0]!r}; it must have {wanted}; it has {has}")


def require_utf8(table: pa.Table, location: str, first_row: int = 0) -> None:
    """Raise an InputError where a column has text that is no UTF-8, as parquet files can have it unnoticed."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        for name, column in zip(table.column_names, table.columns, strict=True):
            for row in range(len(column)):
                try:
                    column.take(pa.array([row])).validate(full=True)
                except pa.ArrowInvalid:
                    text = f"row {first_row + row} (the first is 0) is no valid UTF-8"
                    raise InputError(f"{location}: column {name!r}: {text} ({error})") from error
        raise InputError(f"{location}: not readable ({error})") from error


def _read_file(file: Path, columns: Columns) -> Iterator[Batch]:
    if file.name.endswith(".parquet"):
        yield from _read_parquet(file, columns)
    elif file.name.endswith(SUFFIXES):
        yield from _read_json_lines(file, columns)
    else:
        raise InputError(f"{file}: not a data file by its name; it must end in one of {', '.join(SUFFIXES)}")


def _read_parquet(file: Path, columns: Columns) -> Iterator[Batch]:
    first, names = 0, []
    try:
        # Without pre_buffer and with a buffer of its own, the reader does not hold on to the columns of the whole file.
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet:
            names = chosen_columns(str(file), columns, parquet.schema_arrow.names)
            for batch in parquet.iter_batches(BATCH_ROWS, columns=names):
                yield Batch(pa.Table.from_batches([batch]).select(names), str(file), first)
                first += len(batch)
    except (pa.ArrowException, OSError) as error:
        at = f"{_unreadable_column(file, names)}after row {first}"
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


def _read_json_lines(file: Path, columns: Columns) -> Iterator[Batch]:
    first, names = 0, []
    lines = json_rows(file)
    while rows := list(islice(lines, BATCH_ROWS)):
        if first == 0:
            present = list(dict.fromkeys(name for row in rows for name in row)) if callable(columns) else list(rows[0])
            names = chosen_columns(str(file), columns, present)
        arrays = {}
        for column in names:
            try:
                arrays[column] = json_column([row.get(column) for row in rows])
            except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
                row = first + first_odd([row.get(column) for row in rows])
                raise InputError(
                    f"{file}: column {column!r}: row {row} (the first is 0) is of another type than those before it, "
                    f"or no text that UTF-8 can hold ({error})"
                ) from error
        yield Batch(pa.table(arrays), str(file), first)
        first += len(rows)


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


def _read_saved(spec: dict, folder: Path, split: str, columns: Columns) -> Iterator[Batch]:
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


def _read_dataset(dataset, location: str, columns: Columns) -> Iterator[Batch]:
    names = chosen_columns(location, columns, dataset.column_names)
    rows = dataset.select_columns(names).with_format("arrow")
    for number, table in enumerate(rows.iter(BATCH_ROWS)):
        yield Batch(table, location, number * BATCH_ROWS)
