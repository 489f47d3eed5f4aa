"""Preparing a preference dataset: filter with a count per reason, split by prompt, sample, describe in a card.

The order is: read, adapt, filter, remove exact and near duplicates, sample `limit` pairs, split, add label noise to the
train split where it is asked for. No prompt is in two splits, nor are near duplicates of it.

Batches are filtered in several processes and laid on disk; what a split is decided by are small arrays, and the texts
are read again piece by piece as they are written. So memory grows with the number of rows, not with their length, and
the number of processes changes nothing in the result.
"""

import dataclasses
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.columns.pairs import LABEL_COLUMNS, PAIR_COLUMNS
from pipeline.data.adapters import adapter_for
from pipeline.data.card import data_card, sample_rows
from pipeline.data.columns import joined_texts
from pipeline.data.contamination import Contamination
from pipeline.data.duplicates import near_duplicates, repeated
from pipeline.data.filters import Filtered, RowFilter, is_dialogue
from pipeline.data.lengths import LengthRule
from pipeline.data.loading import Batch, read_batches
from pipeline.data.noise import is_noisy, noisy_labels
from pipeline.data.scratch import PairStore, write_batch
from pipeline.data.splitting import SPLITS, prompt_groups, sampled, shuffled, split, split_with_own_eval
from pipeline.jobs.io import InputError, scratch_folder, write_json
from pipeline.jobs.ownership import end_with
from pipeline.jobs.state import PREPARATION

PROGRESS_ROWS = 100_000
PIECE_ROWS = 25_000
BATCHES_HERE = 3  # so many are filtered in this process, as others take a second to start


def prepare(spec: dict, folder: str | Path, processes: int | None = None) -> dict:
    """Prepare a dataset: {split}.parquet for each split, and card.json, in a folder; all of them or none.

    Each split has the columns prompt_id, prompt, chosen and rejected, its rows in a seeded order; eval and selection
    have one pair per prompt, train may have several. With label noise train has the columns of
    `pipeline.data.noise.noisy_labels` too.

    Args:
        spec: a resolved dataset entry: name, source, path, config_name, revision, splits {train, eval}, limit (pairs
            of the train source), eval_share or eval_size (prompts), selection_share or selection_size (prompts of
            what is left), seed, preference (pku), near_duplicates (Jaccard threshold or None), relabel,
            bt_noise_gauss, label_switching and label_seed, size and noise (world); tokenizers and max_length of the
            policies, see `pipeline.data.lengths.LengthRule`.
        folder: it is made where it is not there.
        processes: that filter side by side; as many as there are CPUs when None.

    Returns:
        The card.

    Raises:
        InputError: the source cannot be read, or a split is left empty.
    """
    folder = Path(folder)
    if spec.get("tokenizers"):
        for note in LengthRule(spec["tokenizers"], spec["max_length"]).notes():
            print(note, flush=True)
    sources, seed, dropped = spec.get("splits") or {"train": "train"}, spec.get("seed", 42), Counter()
    threshold = spec.get("near_duplicates")
    # The nearest folder above that is there: where its files can be made before they are moved into it.
    existing = next(parent for parent in folder.absolute().parents if parent.is_dir())
    with scratch_folder(existing, f"{PREPARATION}{folder.name}-") as scratch:
        store, kept = PairStore(scratch), []
        train, rows_in = collect(spec, sources["train"], store, kept, dropped, processes)
        own_eval = None
        if sources.get("eval"):
            own_eval, more = collect(spec, sources["eval"], store, kept, dropped, processes)
            rows_in += more
        # Array by array, for which `kept` is emptied, so that few are there twice.
        records = {name: np.concatenate([part.pop(name) for part in kept]) for name in list(kept[0])}
        train = without_duplicates(records, train, threshold, dropped)
        own_eval = own_eval if own_eval is None else without_duplicates(records, own_eval, threshold, dropped)
        counted = train if own_eval is None else np.concatenate([train, own_eval])
        records["group"] = prompt_groups(records, counted, threshold)
        train = shuffled(train, seed)
        if own_eval is None:
            splits = split(spec, records, sampled(train, spec.get("limit"), dropped), dropped)
        else:
            splits = split_with_own_eval(spec, records, train, shuffled(own_eval, seed), dropped)
        groups = [pd.unique(records["group"][rows]) for rows in splits.values()]
        assert sum(map(len, groups)) == len(pd.unique(np.concatenate(groups))), "a prompt is in two splits"
        assert rows_in == sum(map(len, splits.values())) + dropped.total(), "a row is neither in a split nor counted"
        labels = _labels(spec, records, splits["train"])
        card = data_card(spec, records, splits, rows_in, dropped, is_dialogue(store.schema), labels)
        card |= _write(spec, store, splits, labels, scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in SPLITS:
            os.replace(scratch / f"{name}.parquet", folder / f"{name}.parquet")
    write_json(card, folder / "card.json")
    return card


def cpu_count() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def collect(
    spec: dict, split: str, store: PairStore, kept: list[dict], dropped: Counter, processes: int | None
) -> tuple[np.ndarray, int]:
    """Read, adapt and filter one split of the source.

    Args:
        store: that the pairs are put into.
        kept: the records of each batch in the store, which this adds to.
        dropped: counter of dropped rows, which this adds to.

    Returns:
        (numbers of its pairs in the store, rows read).
    """
    first, rows_in = len(store), 0
    for filtered, path in _filtered(spec, read_batches(spec, split, adapter_for(spec).columns), store, processes):
        if store.schema is not None and filtered.pairs.schema != store.schema:
            raise InputError(
                f"{filtered.location}: some prompts are text and some are messages; they must be of one kind"
            )
        store.add(path, len(filtered.records["prompt"]), filtered.pairs.schema)
        kept.append(filtered.records)
        dropped.update(filtered.dropped)
        if rows_in // PROGRESS_ROWS < (rows_in + filtered.rows_in) // PROGRESS_ROWS:
            print(f"{filtered.location}: {rows_in + filtered.rows_in:,} rows read", flush=True)
        rows_in += filtered.rows_in
    if not rows_in:
        raise InputError(f"dataset {spec['name']}: the source's split {split!r} has no rows")
    return np.arange(first, len(store)), rows_in


def without_duplicates(
    records: dict[str, np.ndarray], rows: np.ndarray, threshold: float | None, dropped: Counter
) -> np.ndarray:
    """Of rows that are equal, or near duplicates where there is a threshold, the first alone."""
    again = repeated(records["digest"][rows])
    dropped["duplicate"] += int(again.sum())
    rows = rows[~again]
    if threshold:
        likenesses = [records[name][rows] for name in ("prompt_sketch", "response_sketch")]
        groups = near_duplicates(records["response_bands"][rows], likenesses, threshold)
        near = groups != np.arange(len(rows))
        dropped["near_duplicate"] += int(near.sum())
        rows = rows[~near]
    return rows


def _filtered(
    spec: dict, batches: Iterator[Batch], store: PairStore, processes: int | None
) -> Iterator[tuple[Filtered, Path]]:
    """The batches filtered, in their order, the pairs of each in a file."""
    processes = processes or cpu_count()
    paths = (store.folder / f"{number}.arrow" for number in range(len(list(store.folder.iterdir())), 10**9))
    head, row_filter = list(islice(batches, BATCHES_HERE + 1)), RowFilter(spec)
    if processes == 1 or len(head) <= BATCHES_HERE:
        for batch, path in zip(chain(head, batches), paths, strict=False):
            filtered = row_filter(batch)
            write_batch(filtered.pairs, path)
            yield filtered, path
        return
    context = multiprocessing.get_context("spawn")  # arrow and tokenizers have threads, which a fork would not carry
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker, initargs=(spec,)) as pool:
        waiting: deque = deque()
        try:
            for batch, path in zip(chain(head, batches), paths, strict=False):
                waiting.append((pool.submit(_work, batch, path), path))
                if len(waiting) > 2 * processes:
                    future, done = waiting.popleft()
                    yield future.result(), done
            for future, done in waiting:
                yield future.result(), done
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_row_filter: RowFilter | None = None


def _start_worker(spec: dict) -> None:
    global _row_filter
    end_with(os.getppid())  # a killed parent cannot end its workers
    _row_filter = RowFilter(spec)


def _work(batch: Batch, path: Path) -> Filtered:
    """Filter a batch in a worker: the pairs stay in the file, only what is small goes back."""
    filtered = _row_filter(batch)
    write_batch(filtered.pairs, path)
    return dataclasses.replace(filtered, pairs=filtered.pairs.schema.empty_table())


def _labels(spec: dict, records: dict[str, np.ndarray], train: np.ndarray) -> dict[str, np.ndarray]:
    if not is_noisy(spec):
        return {}
    return noisy_labels(spec, records["digest"][train], records["bt_prob"][train] if spec.get("relabel") else None)


def _write(
    spec: dict, store: PairStore, splits: dict[str, np.ndarray], labels: dict[str, np.ndarray], folder: Path
) -> dict:
    """Write {split}.parquet for each split; what of the card needs the texts: contamination, samples."""
    contamination = Contamination()
    seen = {"eval": contamination.add_eval, "train": contamination.see_train}
    for name in reversed(SPLITS):  # eval comes before train
        write_split(store, splits[name], labels if name == "train" else {}, folder / f"{name}.parquet", seen.get(name))
    positions = sample_rows(spec, splits["train"])
    samples = _swapped(store.gather(splits["train"][positions]), {key: labels[key][positions] for key in labels})
    return {"contamination": contamination.summary(), "samples": samples.to_pylist()}


def write_split(store: PairStore, rows: np.ndarray, labels: dict[str, np.ndarray], path: Path, see=None) -> None:
    """Write rows of the store in their order as parquet, piece by piece.

    Args:
        labels: of `noisy_labels`, columns to add and whether to swap; empty where there is no noise.
        see: called with the prompts of each piece, as text.
    """
    parts = [slice(start, start + PIECE_ROWS) for start in range(0, max(len(rows), 1), PIECE_ROWS)]
    with (
        pq.ParquetWriter(path, _schema(store.schema, labels), compression="zstd") as writer,
        ThreadPoolExecutor(2) as aside,
    ):
        ahead = aside.submit(store.gather, rows[parts[0]])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            piece = ahead.result()
            # While this one is written, it is looked at and the following one is read.
            seen = aside.submit(see, joined_texts(piece, "prompt")) if see else None
            if following:
                ahead = aside.submit(store.gather, rows[following])
            piece = _swapped(piece, {name: values[part] for name, values in labels.items()})
            writer.write_table(piece.cast(_schema(store.schema, labels)))
            if seen:
                seen.result()


def _swapped(pairs: pa.Table, labels: dict[str, np.ndarray]) -> pa.Table:
    """The pairs with chosen and rejected swapped where `flipped`, and with the labels as columns."""
    if not labels:
        return pairs
    swap, chosen, rejected = pa.array(labels["flipped"]), pairs["chosen"], pairs["rejected"]
    pairs = pairs.set_column(2, "chosen", pc.if_else(swap, rejected, chosen))
    pairs = pairs.set_column(3, "rejected", pc.if_else(swap, chosen, rejected))
    for name, values in labels.items():
        pairs = pairs.append_column(name, pa.array(values))
    return pairs


def _schema(pairs: pa.Schema, labels: dict[str, np.ndarray]) -> pa.Schema:
    """That of a split's file: with the common string type, of which a piece holds at most 2 GiB."""
    text = pa.string()
    content = pa.list_(pa.struct([("role", text), ("content", text)])) if is_dialogue(pairs) else text
    types = {"prompt_id": text} | dict.fromkeys(PAIR_COLUMNS, content)
    types |= {name: pa.from_numpy_dtype(LABEL_COLUMNS[name]) for name in labels}
    return pa.schema(types)
