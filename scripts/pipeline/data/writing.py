"""Writing a dataset's splits and its card: the texts piece by piece, all of the files or none.

Used for datasets that are prepared from a source and for those that are mixed from prepared ones.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.columns.pairs import PAIR_COLUMNS, UNLABELLED
from pipeline.data.card import data_card, sample_rows
from pipeline.data.columns import joined_texts
from pipeline.data.contamination import Contamination
from pipeline.data.filters import is_dialogue
from pipeline.data.scratch import PairStore
from pipeline.data.tally import FURTHER, Tally
from pipeline.jobs.io import scratch_folder, write_json
from pipeline.jobs.state import PREPARATION

PIECE_ROWS = 25_000


def scratch_for(folder: str | Path) -> AbstractContextManager[Path]:
    """A folder for the time of a preparation, in the nearest one above that is there: its files are moved from it."""
    folder = Path(folder)
    existing = next(parent for parent in folder.absolute().parents if parent.is_dir())
    return scratch_folder(existing, f"{PREPARATION}{folder.name}-")


def described(
    spec: dict,
    store: PairStore,
    records: dict[str, np.ndarray],
    splits: dict[str, np.ndarray],
    rows_in: int,
    dropped: Tally,
    labels: dict[str, np.ndarray],
) -> dict:
    """The data card, but for what needs the texts; the arguments are those of `data_card`."""
    groups = [pd.unique(records["group"][rows]) for rows in splits.values()]
    assert sum(map(len, groups)) == len(pd.unique(np.concatenate(groups))), "a prompt is in two splits"
    pairs = rows_in + sum(dropped.of(FURTHER).values())
    assert pairs == sum(map(len, splits.values())) + dropped.total(), "a row is neither in a split nor counted"
    return data_card(spec, records, splits, rows_in, dropped, is_dialogue(store.schema), labels)


def write_splits(
    card: dict,
    spec: dict,
    store: PairStore,
    splits: dict[str, np.ndarray],
    added: dict[str, dict[str, np.ndarray]],
    folder: str | Path,
    swap: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict:
    """Write {split}.parquet for each split and the card, completed by what needs the texts: contamination, samples.

    Args:
        card: the data card.
        added: {split: {column: its values}} of columns beside those of the store.
        swap: {split: whether chosen and rejected of each row change places}; none do in a split that is not in it.

    Returns:
        The whole card.
    """
    contamination = Contamination()
    seen = {"eval": contamination.add_eval} | dict.fromkeys(("train", UNLABELLED), contamination.see_train)
    for name in reversed(splits):  # eval comes before train
        path = store.folder / f"{name}.parquet"
        write_split(store, splits[name], added.get(name, {}), path, seen.get(name), swap.get(name))
    positions = sample_rows(spec, splits["train"])
    own = {name: values[positions] for name, values in added.get("train", {}).items()}
    flips = swap["train"][positions] if "train" in swap else None
    samples = _completed(store.gather(splits["train"][positions]), own, flips)
    card |= {"contamination": contamination.summary(), "samples": [_known(row) for row in samples.to_pylist()]}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in splits:
        os.replace(store.folder / f"{name}.parquet", folder / f"{name}.parquet")
    write_json(card, folder / "card.json")
    return card


def _known(row: dict) -> dict:
    """A row as JSON can hold it: null where there is no number."""
    return {name: None if value != value else value for name, value in row.items()}


def write_split(
    store: PairStore, rows: np.ndarray, added: dict[str, np.ndarray], path: Path, see=None, swap=None
) -> None:
    """Write rows of the store in their order as parquet, piece by piece.

    Args:
        added: columns to add, such as those of `noisy_labels`.
        see: called with the prompts of each piece, as text.
        swap: bool of shape (rows,), whether chosen and rejected change places; None where none do.
    """
    parts = [slice(start, start + PIECE_ROWS) for start in range(0, max(len(rows), 1), PIECE_ROWS)]
    schema = _schema(store.schema, added)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer, ThreadPoolExecutor(2) as aside:
        ahead = aside.submit(store.gather, rows[parts[0]])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            piece = ahead.result()
            # While this one is written, it is looked at and the following one is read.
            seen = aside.submit(see, joined_texts(piece, "prompt")) if see else None
            if following:
                ahead = aside.submit(store.gather, rows[following])
            own = {name: values[part] for name, values in added.items()}
            writer.write_table(_completed(piece, own, None if swap is None else swap[part]).cast(schema))
            if seen:
                seen.result()


def _completed(pairs: pa.Table, added: dict[str, np.ndarray], swap: np.ndarray | None) -> pa.Table:
    """The pairs with chosen and rejected swapped where that is wanted, and with the added columns."""
    if swap is not None:
        where, chosen, rejected = pa.array(swap), pairs["chosen"], pairs["rejected"]
        pairs = pairs.set_column(2, "chosen", pc.if_else(where, rejected, chosen))
        pairs = pairs.set_column(3, "rejected", pc.if_else(where, chosen, rejected))
    for name, values in added.items():
        pairs = pairs.append_column(name, pa.array(values))
    return pairs


def _schema(pairs: pa.Schema, added: dict[str, np.ndarray]) -> pa.Schema:
    """That of a split's file: with the common string type, of which a piece holds at most 2 GiB."""
    text = pa.string()
    content = pa.list_(pa.struct([("role", text), ("content", text)])) if is_dialogue(pairs) else text
    types = {"prompt_id": text} | dict.fromkeys(PAIR_COLUMNS, content)
    return pa.schema(types | {name: pa.array(values[:0]).type for name, values in added.items()})
