"""Tables of preference pairs with all their columns, for scoring: read, checked, added to and written as arrow tables.

Nothing but the added columns differs from the source: neither types nor the order of rows and columns.

A dataset is a local file or folder as `pipeline.data.loading` describes them, or a dataset's hub id (owner/name). A
file is one split: the one that it is named after, else `train`.
"""

from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.columns.pair_scores import SCORING_COLUMNS
from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.data.adapters import Adapter
from pipeline.data.detection import adapter_of
from pipeline.data.json_lines import json_column, json_rows
from pipeline.data.loading import is_hub_id, is_saved, load_hub, load_saved, require_columns, require_utf8
from pipeline.data.shapes import read_pairs, roles_of
from pipeline.data.split_files import SUFFIXES, fits, folder_splits, local_kind, names_split, split_files, split_name
from pipeline.data.splitting import dropped_rows
from pipeline.data.tally import MALFORMED, Tally, in_words
from pipeline.jobs.io import InputError

DEFAULT = "default"
MESSAGE_KEYS = (("role", "content"), ("from", "value"))


def split_names(dataset: str, config_name: str | None = None, revision: str | None = None) -> list[str]:
    """The names of all splits of a dataset.

    Args:
        dataset: local file or folder, or hub id.
        config_name, revision: on the hub.

    Raises:
        InputError: the dataset is not there, or there is no data in it.
    """
    path = Path(dataset).expanduser()
    kind = local_kind(path)
    if kind == "file":
        return [_file_split(path)]
    if kind != "folder" or is_saved(path):
        return list(_library_splits(dataset, config_name, revision))
    return folder_splits(path)


def read_split(dataset: str, split: str, config_name: str | None = None, revision: str | None = None) -> pa.Table:
    """One split of a dataset, all its columns; the arguments are those of `split_names`.

    Raises:
        InputError: the dataset is not there or cannot be read, or lacks the split; the message lists those it has.
    """
    path = Path(dataset).expanduser()
    kind = local_kind(path)
    if kind == "folder" and not is_saved(path):
        return _concatenated(split_files(path, split))
    if kind == "file":
        if not fits(_file_split(path), split) and split != split_name(Path(path.name)):
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


def refuse_columns(table: pa.Table, location: str, new_columns: list[str]) -> None:
    """Raise an InputError where a table has one of the columns that are to be added."""
    for column in new_columns:
        if column in table.column_names:
            raise InputError(
                f"{location}: there is a column {column!r} already; give another --suffix, or a table without it"
            )


def pairs_of(table: pa.Table, location: str, columns: dict[str, str] | None = None) -> tuple[pd.DataFrame, Tally]:
    """The pairs of a table of any shape and source that datasets are prepared from.

    Args:
        table: the pairs.
        location: of the table, for messages.
        columns: of other names, by role (prompt, chosen, rejected, system).

    Returns:
        (prompt, chosen and rejected, text or lists of messages, by the number of their row; what rows without a pair
        are counted by).

    Raises:
        InputError: a column is missing, or has a row that is neither text nor a list of messages {role, content}; or no
            row has a pair.
    """
    tally = Tally()
    try:
        spec, adapter = adapter_of(table.column_names, columns)
        adapter = adapter.of(table.column_names)
        require_columns("", adapter.columns, table.column_names)
        for column in adapter.contents:
            _check_cells(table, column, spec["source"] == "plain")
        if spec["source"] == "plain":
            pairs = read_pairs(table, roles_of(table.column_names, columns), tally)
        else:
            pairs = _by_row(table.select(adapter.columns), adapter, tally)
    except InputError as error:
        raise InputError(f"{location}: {str(error).removeprefix(': ')}") from error
    if not any(pairs):
        counts = in_words(dropped_rows(tally), tally.of(MALFORMED))
        raise InputError(f"{location}: no row has a pair to score; rows without one: {counts}")
    found = {row: pair for row, pair in enumerate(pairs) if pair}
    return pd.DataFrame.from_dict(found, orient="index", columns=PAIR_COLUMNS), tally


def _by_row(table: pa.Table, adapter: Adapter, tally: Tally) -> list[tuple | None]:
    """The pair of each row, None where it has none; by halves, as adapters do not say which rows they leave out."""
    counted = Tally()
    pairs = adapter.convert(table, counted).select(PAIR_COLUMNS).to_pylist()
    if len(pairs) == len(table) or len(table) == 1:
        tally.take(counted, counted.notes)
        return [tuple(pair.values()) for pair in pairs] or [None]
    middle = len(table) // 2
    return [*_by_row(table.slice(0, middle), adapter, tally), *_by_row(table.slice(middle), adapter, tally)]


def _check_cells(table: pa.Table, column: str, of_texts: bool) -> None:
    """Raise an InputError on a null and, where a column has texts, on what is neither text nor messages."""
    for row, value in enumerate(table[column].to_pylist()):
        if value is None or (of_texts and not _is_text(value)):
            what = "text or a list of messages {role, content}" if of_texts else "there in every row"
            raise InputError(f"column {column!r}: row {row} (the first is 0) is {value!r}; it must be {what}")


def score_columns(suffix: str | None = None) -> list[str]:
    """Names of the three columns that scoring adds; a suffix tells reward models apart."""
    return [f"{name}_{suffix}" if suffix else name for name in SCORING_COLUMNS]


def with_scores(table: pa.Table, scores: pd.DataFrame, suffix: str | None = None) -> pa.Table:
    """The table with chosen_score, rejected_score and bt_prob (float64) as its last columns.

    Args:
        table: the pairs.
        scores: those three columns, by the number of the table's row; rows that it lacks have null.
        suffix: added to their names after an underscore.
    """
    rows = pd.RangeIndex(len(table))
    unscored = ~rows.isin(scores.index)
    for name, new in zip(SCORING_COLUMNS, score_columns(suffix), strict=True):
        values = scores[name].reindex(rows).to_numpy("float64")
        table = table.append_column(new, pa.array(values, mask=unscored))
    return table


def _file_split(file: Path) -> str:
    name = split_name(Path(file.name)) if file.name.endswith(SUFFIXES) else "train"
    return name if names_split(name) else "train"


def _is_text(value) -> bool:
    if isinstance(value, str):
        return True
    value = [value] if isinstance(value, dict) else value
    return isinstance(value, list) and bool(value) and all(map(_is_message, value))


def _is_message(value) -> bool:
    """Whether a value has the keys of a message; a content may be null where a tool is called."""
    return isinstance(value, dict) and any({role, text} <= set(value) for role, text in MESSAGE_KEYS)


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
                table = parquet.read()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file}: not a readable parquet file ({error})") from error
        require_utf8(table, str(file))
        return table
    if not file.name.endswith(SUFFIXES):
        raise InputError(f"{file}: not a data file by its name; it must end in one of {', '.join(SUFFIXES)}")
    rows = list(json_rows(file))
    arrays = {}
    for column in dict.fromkeys(name for row in rows for name in row):
        try:
            arrays[column] = json_column([row.get(column) for row in rows])
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
