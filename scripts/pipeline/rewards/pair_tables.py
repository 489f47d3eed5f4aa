"""Tables of preference pairs with all their columns, for scoring: read, checked, added to and written as arrow tables.

Nothing but the added columns differs from the source: neither types nor the order of rows and columns.

A dataset is a local file or folder as `pipeline.data.loading` describes them, or a dataset's hub id (owner/name). A
file is one split: the one that it is named after, else `train`.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.columns.pair_scores import SCORING_COLUMNS
from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.data.loading import (
    SPLIT_NAMES,
    SUFFIXES,
    is_hub_id,
    is_saved,
    json_rows,
    load_hub,
    load_saved,
    require_columns,
    split_files,
    split_name,
)
from pipeline.jobs.io import InputError

DEFAULT = "default"
NAMED_SPLITS = SPLIT_NAMES | {"selection"}


def split_names(dataset: str, config_name: str | None = None, revision: str | None = None) -> list[str]:
    """The names of all splits of a dataset.

    Args:
        dataset: local file or folder, or hub id.
        config_name, revision: on the hub.

    Raises:
        InputError: the dataset is not there, or there is no data in it.
    """
    path = Path(dataset).expanduser()
    if path.is_file():
        return [_file_split(path)]
    if not path.is_dir() or is_saved(path):
        return list(_library_splits(dataset, config_name, revision))
    files = [file.relative_to(path) for file in sorted(path.rglob("*")) if file.name.endswith(SUFFIXES)]
    names = {split_name(file) for file in files if not any(part.startswith(".") for part in file.parts)}
    return sorted(names) if names & NAMED_SPLITS else ["train"]


def read_split(dataset: str, split: str, config_name: str | None = None, revision: str | None = None) -> pa.Table:
    """One split of a dataset, all its columns; the arguments are those of `split_names`.

    Raises:
        InputError: the dataset is not there or cannot be read, or lacks the split; the message lists those it has.
    """
    path = Path(dataset).expanduser()
    if path.is_dir() and not is_saved(path):
        return _concatenated(split_files(path, split))
    if path.is_file():
        if split not in (_file_split(path), split_name(Path(path.name))):
            raise InputError(f"{dataset}: there is no split {split!r}; there is {_file_split(path)}")
        return _read_file(path)
    splits = _library_splits(dataset, config_name, revision)
    if split not in splits:
        raise InputError(f"{dataset}: there is no split {split!r}; there are {', '.join(splits)}")
    return splits[split].with_format("arrow")[:]


def read_splits(
    dataset: str | dict[str, pa.Table], split: str | None, config_name: str | None = None, revision: str | None = None
) -> dict[str, pa.Table]:
    """The splits that are asked for, by name.

    Args:
        dataset: as of `split_names`; or the tables of its splits.
        split: its name; `default` for the only one of a dataset that has none of that name; None for all.
        config_name, revision: on the hub.

    Raises:
        InputError: as `read_split`; or there are several splits where the only one is asked for.
    """
    source = {"config_name": config_name, "revision": revision}
    names = list(dataset) if isinstance(dataset, dict) else None
    if names is None and split in (None, DEFAULT):
        names = split_names(dataset, **source)
    if split == DEFAULT and DEFAULT not in names:
        if len(names) > 1:
            raise InputError(
                f"{dataset}: it has several splits, {', '.join(names)}; name one with --split, or all with "
                "--process_all_splits"
            )
        [split] = names
    if isinstance(dataset, dict):
        if split not in (None, *dataset):
            raise InputError(f"there is no split {split!r}; there are {', '.join(dataset)}")
        return dataset if split is None else {split: dataset[split]}
    return {name: read_split(dataset, name, **source) for name in (names if split is None else [split])}


def check_pairs(table: pa.Table, location: str, new_columns: list[str]) -> None:
    """Check that a table can be scored.

    Args:
        table: the pairs.
        location: of the table, for messages.
        new_columns: names of the columns that are to be added.

    Raises:
        InputError: prompt, chosen or rejected is missing, or has a row that is neither text nor a list of messages
            {role, content}; or one of the new columns is there.
    """
    require_columns(location, PAIR_COLUMNS, table.column_names)
    for column in new_columns:
        if column in table.column_names:
            raise InputError(
                f"{location}: there is a column {column!r} already; give another --suffix, or a table without it"
            )
    for column in PAIR_COLUMNS:
        for row, value in enumerate(table[column].to_pylist()):
            if not _is_text(value):
                found = f"{location}: column {column!r}: row {row} (the first is 0) is {value!r}"
                raise InputError(f"{found}; it must be text or a list of messages {{role, content}}")


def score_columns(suffix: str | None = None) -> list[str]:
    """Names of the three columns that scoring adds; a suffix tells reward models apart."""
    return [f"{name}_{suffix}" if suffix else name for name in SCORING_COLUMNS]


def with_scores(table: pa.Table, scores: pd.DataFrame, suffix: str | None = None) -> pa.Table:
    """The table with chosen_score, rejected_score and bt_prob (float64) as its last columns.

    Args:
        table: the pairs.
        scores: those three columns, a row for each of the table's.
        suffix: added to their names after an underscore.
    """
    for name, new in zip(SCORING_COLUMNS, score_columns(suffix), strict=True):
        table = table.append_column(new, pa.array(np.asarray(scores[name], dtype="float64")))
    return table


def _file_split(file: Path) -> str:
    name = split_name(Path(file.name)) if file.name.endswith(SUFFIXES) else "train"
    return name if name in NAMED_SPLITS else "train"


def _is_text(value) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and bool(value) and all(map(_is_message, value))


def _is_message(value) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("role", "content"))


def _concatenated(files: list[Path]) -> pa.Table:
    try:
        return pa.concat_tables([_read_file(file) for file in files], promote_options="permissive")
    except pa.ArrowException as error:
        names = ", ".join(map(str, files))
        raise InputError(f"the columns of these files are not of one type: {names} ({error})") from error


def _read_file(file: Path) -> pa.Table:
    if file.name.endswith(".parquet"):
        try:
            with pq.ParquetFile(file) as parquet:
                return parquet.read()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file}: not a readable parquet file ({error})") from error
    if not file.name.endswith(SUFFIXES):
        raise InputError(f"{file}: not a data file by its name; it must end in one of {', '.join(SUFFIXES)}")
    rows = list(json_rows(file))
    arrays = {}
    for column in dict.fromkeys(name for row in rows for name in row):
        try:
            arrays[column] = pa.array([row.get(column) for row in rows])
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise InputError(f"{file}: column {column!r}: the values are not of one type ({error})") from error
    return pa.table(arrays)


def _library_splits(dataset: str, config_name: str | None, revision: str | None):
    """{split: dataset of the datasets library} of a saved folder or of the hub."""
    import datasets  # slow to import, and most sources need it not

    path = Path(dataset).expanduser()
    if path.is_dir():
        loaded = load_saved(path)
        return loaded if isinstance(loaded, datasets.DatasetDict) else {str(loaded.split or "train"): loaded}
    if not is_hub_id(dataset):
        raise InputError(f"{dataset}: there is no such file or folder, and it is no hub id (owner/name)")
    return _hub_splits(dataset, config_name, revision)


@lru_cache(maxsize=1)  # asked for its names and then for each split
def _hub_splits(dataset: str, config_name: str | None, revision: str | None):
    return load_hub(dataset, config_name, revision)
