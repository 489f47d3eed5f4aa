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
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice
from pathlib import Path

import numpy as np

from pipeline.columns.pairs import SOURCE_COLUMN, UNLABELLED
from pipeline.data.duplicates import near_duplicates, repeated
from pipeline.data.filters import SLICE, Filtered, RowFilter
from pipeline.data.loading import Batch, read_batches, source_splits
from pipeline.data.noise import drawn_order, is_noisy, noisy_labels
from pipeline.data.scratch import PairStore, write_batch
from pipeline.data.splitting import prompt_groups, sampled, set_aside, shuffled, split, split_with_own_eval
from pipeline.data.tally import Tally
from pipeline.data.writing import described, scratch_for, write_splits
from pipeline.jobs.io import InputError
from pipeline.jobs.ownership import end_with

PROGRESS_ROWS = 100_000
BATCHES_HERE = 3  # so many are filtered in this process, as others take a second to start


def prepare(spec: dict, folder: str | Path, processes: int | None = None) -> dict:
    """Prepare a dataset: {split}.parquet for each split, and card.json, in a folder; all of them or none.

    Each split has the columns prompt_id, prompt, chosen and rejected, its rows in a seeded order; eval and selection
    have one pair per prompt, train may have several. With label noise train has the columns of
    `pipeline.data.noise.noisy_labels` too; all splits have `source`, where the source tells kinds of prompts apart, and
    the columns of `slices`. With `unlabelled` there is unlabelled.parquet too: train rows whose two responses are in a
    drawn order.

    Args:
        spec: a resolved dataset entry: name, source, path, config_name, revision, splits {train, eval}, limit (pairs
            of the train source), eval_share or eval_size (prompts), selection_share or selection_size (prompts of
            what is left), seed, preference (pku), near_duplicates (Jaccard threshold or None), slices (names of
            columns), relabel, bt_noise_gauss, label_switching and label_seed, unlabelled (rows, or a share of train),
            size, noise and edition (world); tokenizers and max_length of the policies, see
            `pipeline.data.lengths.LengthRule`.
        folder: it is made where it is not there.
        processes: that filter side by side; as many as there are CPUs when None.

    Returns:
        The card.

    Raises:
        InputError: the source cannot be read, or a split is left empty.
    """
    row_filter = RowFilter(spec)
    for note in row_filter.length_rule.notes() if row_filter.length_rule else ():
        print(note, flush=True)
    sources, seed, dropped = source_splits(spec), spec.get("seed", 42), Tally()
    threshold = spec.get("near_duplicates")
    with scratch_for(folder) as scratch:
        store, kept = PairStore(scratch), []
        train, rows_in = collect(row_filter, sources["train"], store, kept, dropped, processes)
        own_eval = None
        if sources.get("eval"):
            own_eval, more = collect(row_filter, sources["eval"], store, kept, dropped, processes)
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
        swap = {}
        if spec.get("unlabelled"):
            splits = set_aside(spec, records, splits, dropped)
            swap[UNLABELLED] = drawn_order(spec, records["digest"][splits[UNLABELLED]])
        labels = _labels(spec, records, splits["train"])
        if labels:
            swap["train"] = labels["flipped"]
        card = described(spec, store, records, splits, rows_in, dropped, labels)
        kinds = {name: records[name] for name in (SOURCE_COLUMN,) if name in records}
        kinds |= {name: records[SLICE + name] for name in row_filter.slices}
        added = {name: {kind: values[rows] for kind, values in kinds.items()} for name, rows in splits.items()}
        added["train"] |= labels
        return write_splits(card, spec, store, splits, added, folder, swap)


def cpu_count() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def collect(
    row_filter: RowFilter, split: str, store: PairStore, kept: list[dict], dropped: Tally, processes: int | None
) -> tuple[np.ndarray, int]:
    """Read, adapt and filter one split of the source.

    Args:
        row_filter: of the data spec.
        store: that the pairs are put into.
        kept: the records of each batch in the store, which this adds to.
        dropped: counter of dropped rows, which this adds to.

    Returns:
        (numbers of its pairs in the store, rows read).
    """
    spec, first, rows_in = row_filter.spec, len(store), 0
    batches = read_batches(spec, split, row_filter.columns)
    for filtered, path in _filtered(row_filter, batches, store, processes):
        if store.schema is not None and filtered.pairs.schema != store.schema:
            raise InputError(
                f"{filtered.location}: some prompts are text and some are messages; they must be of one kind"
            )
        store.add(path, len(filtered.records["prompt"]), filtered.pairs.schema)
        kept.append(filtered.records)
        dropped.take(filtered.dropped, filtered.notes)
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
    row_filter: RowFilter, batches: Iterator[Batch], store: PairStore, processes: int | None
) -> Iterator[tuple[Filtered, Path]]:
    """The batches filtered, in their order, the pairs of each in a file."""
    processes = processes or cpu_count()
    paths = (store.folder / f"{number}.arrow" for number in range(len(list(store.folder.iterdir())), 10**9))
    head = list(islice(batches, BATCHES_HERE + 1))
    if processes == 1 or len(head) <= BATCHES_HERE:
        for batch, path in zip(chain(head, batches), paths, strict=False):
            filtered = row_filter(batch)
            write_batch(filtered.pairs, path)
            yield filtered, path
        return
    context = multiprocessing.get_context("spawn")  # arrow and tokenizers have threads, which a fork would not carry
    worker = {"initializer": _start_worker, "initargs": (row_filter.spec,)}
    with ProcessPoolExecutor(processes, mp_context=context, **worker) as pool:
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
