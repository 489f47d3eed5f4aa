"""Mixing datasets: one dataset that is drawn from the prepared splits of others, by weights.

Each split of the mix has rows of the same split of its datasets, in the proportion of their weights: as many as the
weights allow without a row being drawn twice, and at most as many as the mix's entry says. What its datasets have in
common is left out first, as within one dataset: exact and near duplicates, and train rows whose prompt, or one near to
it, is held out by another.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.columns.pairs import LABEL_COLUMNS, PAIR_COLUMNS, SOURCE_COLUMN
from pipeline.data.adapters import pair_schema
from pipeline.data.columns import MESSAGES, TEXT
from pipeline.data.filters import SLICE, is_dialogue, pair_records
from pipeline.data.preparation import without_duplicates
from pipeline.data.prompt_ids import prompt_id
from pipeline.data.scratch import PairStore, write_batch
from pipeline.data.slice_columns import brought_along, brought_values
from pipeline.data.splitting import SPLITS, Records, first_rows, prompt_groups, refuse_empty, shuffled
from pipeline.data.tally import Tally
from pipeline.data.writing import described, scratch_for, write_splits
from pipeline.jobs.io import InputError

BATCH_ROWS = 5_000


def mix(spec: dict, folders: list[str], folder: str | Path) -> dict:
    """Mix prepared datasets: {split}.parquet for each split, and card.json, in a folder; all of them or none.

    Each split has a column `source` too, the name of the dataset that a row is from, and the further columns (`slices`)
    of any of them, without a value in the rows of the others; train has the columns of label noise where one of the
    datasets has. Where some have dialogues and others text, texts become dialogues of one turn.

    Args:
        spec: name, mix (a list of {dataset, weight}), limit and eval_size (most rows of train and eval, or None), seed,
            near_duplicates (Jaccard threshold or None).
        folders: the prepared splits of each dataset, in the order of the mix.
        folder: it is made where it is not there.

    Returns:
        The card, with `mix`: what was drawn of each dataset, and of how many rows.

    Raises:
        InputError: a split cannot be read, or train or eval is left empty.
    """
    dropped, threshold = Tally(), spec["near_duplicates"]
    with scratch_for(folder) as scratch:
        store, records, rows = _read(spec, folders, scratch)
        given = {name: np.bincount(records["part"][rows[name]], minlength=len(folders)) for name in SPLITS}
        rows_in = len(store)
        rows = {name: without_duplicates(records, rows[name], threshold, dropped) for name in SPLITS}
        records["group"] = prompt_groups(records, np.concatenate(list(rows.values())), threshold)
        splits: dict[str, np.ndarray] = {}
        for name, most in (("eval", spec["eval_size"]), ("selection", None), ("train", spec["limit"])):
            left = shuffled(rows[name], spec["seed"])
            for held in splits.values():
                left = _without_prompts(records, left, held, dropped)
            if name != "train":  # its first prompts, in an order that a few rows more in a dataset change little
                left = left[np.argsort(records["place"][left], kind="stable")]
                left = first_rows(records, left, records["prompt"][left], dropped)
            splits[name] = _drawn(spec, name, records["part"], left, most, dropped)
        splits = {name: splits[name] for name in SPLITS}
        names = np.array([part["dataset"] for part in spec["mix"]])
        added = {
            name: {SOURCE_COLUMN: names[records["part"][rows_]]}
            | {key.removeprefix(SLICE): records[key][rows_] for key in records if key.startswith(SLICE)}
            for name, rows_ in splits.items()
        }
        labels = {name: records[name][splits["train"]] for name in LABEL_COLUMNS if name in records}
        added["train"] |= labels
        card = described(spec, store, records, splits, rows_in, dropped, labels)
        card["mix"] = [
            part
            | {
                name: {"drawn": int((records["part"][splits[name]] == number).sum()), "of": int(given[name][number])}
                for name in SPLITS
            }
            for number, part in enumerate(spec["mix"])
        ]
        return write_splits(card, spec, store, splits, added, folder)


def allotted(available: np.ndarray, weights: np.ndarray, most: int | None) -> np.ndarray:
    """How many rows are drawn of each dataset, so that they are in the proportion of the weights.

    Args:
        available: rows of each dataset, shape (D,).
        weights: of each, > 0, shape (D,).
        most: rows in all, None for as many as there can be.

    Returns:
        int of shape (D,), none above what is available; what division leaves over goes to the largest remainders.
    """
    shares = weights / weights.sum()
    total = int(np.floor((available / shares).min() + 1e-9))
    exact = shares * (total if most is None else min(total, most))
    counts = np.floor(exact + 1e-9).astype(int)
    left_over = round(exact.sum()) - counts.sum()
    counts[np.argsort(counts - exact, kind="stable")[:left_over]] += 1
    return counts


def _read(spec: dict, folders: list[str], scratch: Path) -> tuple[PairStore, Records, dict[str, np.ndarray]]:
    """The splits of all datasets: their pairs, what is known of each (`part` is its dataset's number), and which rows
    are of which split."""
    files = {(name, number): Path(at, f"{name}.parquet") for name in SPLITS for number, at in enumerate(folders)}
    schemas = {key: _schema(file) for key, file in files.items()}
    dialogue = any(is_dialogue(schema) for schema in schemas.values())
    further = brought_along(schemas.values())
    labels = [name for name in LABEL_COLUMNS if any(name in schema.names for schema in schemas.values())]
    store, kept, rows = PairStore(scratch), [], {name: [] for name in SPLITS}
    for (split, part), file in files.items():
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(BATCH_ROWS):
                table = pa.Table.from_batches([batch])
                pairs = _pairs(table, dialogue)
                ids = pairs["prompt_id"].to_pylist()
                records = pair_records(spec, pairs, ids) | {"part": np.full(len(ids), part)}
                records |= {SLICE + name: brought_values(table, name, is_) for name, is_ in further.items()}
                for name in labels:
                    has = name in table.column_names
                    records[name] = table[name].to_numpy() if has else np.full(len(ids), LABEL_COLUMNS[name])
                path = scratch / f"{len(kept)}.arrow"
                write_batch(pairs, path)
                rows[split].append(np.arange(len(store), len(store) + len(ids)))
                store.add(path, len(ids), pairs.schema)
                kept.append(records)
    joined = {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
    return store, joined, {name: np.concatenate([np.arange(0), *parts]) for name, parts in rows.items()}


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file}: not a readable prepared split ({error})") from error


def _pairs(table: pa.Table, dialogue: bool) -> pa.Table:
    """prompt_id, prompt, chosen and rejected; text as messages where the mix has dialogues."""
    pairs = table.select(PAIR_COLUMNS)
    if dialogue and not is_dialogue(pairs.schema):
        roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
        turns = {name: [[{"role": roles[name], "content": text}] for text in pairs[name].to_pylist()] for name in roles}
        pairs = pa.table(turns, schema=pair_schema(MESSAGES))
    pairs = pairs.cast(pair_schema(MESSAGES if dialogue else TEXT)).combine_chunks()
    ids = [prompt_id(prompt) for prompt in pairs["prompt"].to_pylist()]
    return pairs.add_column(0, "prompt_id", pa.array(ids, pa.string()))


def _without_prompts(records: Records, rows: np.ndarray, held: np.ndarray, dropped: Counter) -> np.ndarray:
    """The rows whose prompts are not held out, nor near to one that is."""
    same = np.isin(records["prompt"][rows], records["prompt"][held])
    near = np.isin(records["group"][rows], records["group"][held]) & ~same
    dropped["prompt_in_eval"] += int(same.sum())
    dropped["near_prompt_in_eval"] += int(near.sum())
    return rows[~same & ~near]


def _drawn(
    spec: dict, split: str, parts: np.ndarray, rows: np.ndarray, most: int | None, dropped: Counter
) -> np.ndarray:
    """The first rows of each dataset, as many as its weight allots it, in their order."""
    weights = np.array([part["weight"] for part in spec["mix"]], float)
    available = np.bincount(parts[rows], minlength=len(weights))
    counts = allotted(available, weights, most)
    if not counts.sum() and split != "selection":
        left = ", ".join(f"{part['dataset']} {count}" for part, count in zip(spec["mix"], available, strict=True))
        refuse_empty(spec, split, dropped, f"the weights allow no row; rows left: {left}")
    taken = [np.flatnonzero(parts[rows] == number)[:count] for number, count in enumerate(counts)]
    chosen = rows[np.sort(np.concatenate(taken))]
    dropped["not_sampled"] += len(rows) - len(chosen)
    return chosen
