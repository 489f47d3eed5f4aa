"""Sampling and splitting by prompt, on small arrays: which rows are in which split, in which order.

A prompt is in one split alone, and with it its near duplicates. Its place follows from the hash of its id, so that a
few rows more in the source move few prompts.
"""

import hashlib
import math
from collections import Counter

import numpy as np
import pandas as pd

from pipeline.columns.pairs import UNLABELLED
from pipeline.data.duplicates import near_duplicates
from pipeline.data.tally import MALFORMED, Tally, in_words
from pipeline.jobs.io import InputError

SPLITS = ("train", "selection", "eval")

# Why a row of the source is in no split, in the order in which rows are dropped. The last four are the splitting's: the
# prompt, or one near to it, is in the source's own eval split; an eval or selection prompt has its one pair already;
# not drawn for `limit` or `eval_size`.
REASONS = (
    "no_preference",
    "prompts_differ",
    "malformed",
    "empty",
    "equal_responses",
    "too_long",
    "duplicate",
    "near_duplicate",
    "prompt_in_eval",
    "near_prompt_in_eval",
    "repeated_prompt",
    "not_sampled",
)

# Of some sources and models alone, so that other cards do not have them.
FURTHER_REASONS = ("several_turns", "refused_by_template")

Records = dict[str, np.ndarray]


def prompt_place(prompt_id: str, seed: int) -> bytes:
    """Where a prompt stands among others, as 8 bytes: those that come first are held out."""
    return hashlib.sha256(f"{seed}:{prompt_id}".encode()).digest()[:8]


def shuffled(rows: np.ndarray, seed: int) -> np.ndarray:
    """The rows in a seeded order."""
    return rows[np.random.default_rng(seed).permutation(len(rows))]


def sampled(rows: np.ndarray, limit: int | None, dropped: Counter) -> np.ndarray:
    """The first `limit` of shuffled rows."""
    dropped["not_sampled"] += len(rows) - len(rows[:limit])
    return rows[:limit]


def prompt_groups(records: Records, rows: np.ndarray, threshold: float | None) -> np.ndarray:
    """For every row that there is a number that near duplicates of its prompt share: the id of one of them.

    Args:
        records: prompt; and with a threshold prompt_bands and prompt_sketch.
        rows: numbers of the rows that count.
        threshold: see `near_duplicates`; None keeps every prompt to itself.
    """
    groups = records["prompt"].copy()
    if threshold:
        ids, first, inverse = np.unique(records["prompt"][rows], return_index=True, return_inverse=True)
        bands, sketch = (records[name][rows[first]] for name in ("prompt_bands", "prompt_sketch"))
        groups[rows] = ids[near_duplicates(bands, [sketch], threshold)][inverse]
    return groups


def split(spec: dict, records: Records, rows: np.ndarray, dropped: Counter) -> dict[str, np.ndarray]:
    """Cut shuffled rows of one source split into train, selection and eval.

    Args:
        spec: a data spec.
        records: prompt, place and group of every row.
        rows: numbers of the rows to split.
        dropped: counter of dropped rows, which is added to.

    Returns:
        {split: numbers of its rows, in the given order}. eval and selection have one row for each prompt.

    Raises:
        InputError: a split would be empty.
    """
    prompts, groups = _ordered_prompts(records, rows)
    eval_count = _count(spec, "eval", len(prompts))
    if eval_count is None:
        raise InputError(f"dataset {spec['name']}: it needs eval_share, eval_size, or splits.eval")
    selection_count = _count(spec, "selection", len(prompts) - eval_count) or 0
    if eval_count + selection_count >= len(prompts):
        held_out = f", {eval_count} for eval and {selection_count} for selection" if len(prompts) else ""
        refuse_empty(spec, "train", dropped, f"{len(prompts)} prompts are left after filtering{held_out}")
    splits, left = {}, np.ones(len(prompts), bool)
    for name, count in (("eval", eval_count), ("selection", selection_count)):
        taken = np.flatnonzero(left)[_whole_groups(groups[left], count)]
        left[taken] = False
        splits[name] = first_rows(records, rows, prompts[taken], dropped)
        if count and not len(taken):
            refuse_empty(spec, name, dropped, f"all {len(prompts)} prompts are near duplicates of each other")
    splits["train"] = rows[np.isin(records["prompt"][rows], prompts[left])]
    return {name: splits[name] for name in SPLITS}


def split_with_own_eval(
    spec: dict, records: Records, train: np.ndarray, own_eval: np.ndarray, dropped: Counter
) -> dict[str, np.ndarray]:
    """Keep the source's eval split, one row per prompt, and take its prompts and those near to them out of train."""
    prompts, _ = _ordered_prompts(records, own_eval)
    if not len(prompts):
        refuse_empty(spec, "eval", dropped, "no prompts are left after filtering")
    prompts = prompts[: spec.get("eval_size")]
    drawn = np.isin(records["prompt"][own_eval], prompts)
    dropped["not_sampled"] += int((~drawn).sum())
    eval_rows = first_rows(records, own_eval, prompts, dropped)
    same = np.isin(records["prompt"][train], prompts)
    near = np.isin(records["group"][train], records["group"][eval_rows]) & ~same
    dropped["prompt_in_eval"] += int(same.sum())
    dropped["near_prompt_in_eval"] += int(near.sum())
    train = sampled(train[~same & ~near], spec.get("limit"), dropped)
    return {**split({**spec, "eval_size": 0}, records, train, dropped), "eval": eval_rows}


def set_aside(spec: dict, records: Records, splits: dict[str, np.ndarray], dropped: Counter) -> dict[str, np.ndarray]:
    """The splits with about as many train rows as the spec says in one of their own behind it, UNLABELLED.

    They are those of the train prompts that come last, all rows of a prompt and of those near to it together.

    Raises:
        InputError: no row, or every row, would be unlabelled.
    """
    train, wanted = splits["train"], spec["unlabelled"]
    count = wanted if wanted >= 1 else round(wanted * len(train))
    order = np.argsort(records["place"][train], kind="stable")[::-1]
    taken = np.zeros(len(train), bool)
    taken[order[_whole_groups(records["group"][train][order], count)]] = True
    for name, rows in (("train", train[~taken]), (UNLABELLED, train[taken])):
        if not len(rows):
            refuse_empty(spec, name, dropped, f"unlabelled is {wanted:g}, of {len(train)} train rows")
    return {"train": train[~taken], UNLABELLED: train[taken]} | {name: splits[name] for name in SPLITS[1:]}


def dropped_rows(dropped: Counter) -> dict[str, int]:
    """Dropped rows by reason, in the order of the reasons."""
    further = {reason: dropped[reason] for reason in FURTHER_REASONS if dropped[reason]}
    return {reason: dropped[reason] for reason in REASONS} | further


def refuse_empty(spec: dict, split: str, dropped: Counter, why: str) -> None:
    """Raise that a split would be empty, with what was dropped."""
    counts = in_words(dropped_rows(dropped), dropped.of(MALFORMED) if isinstance(dropped, Tally) else {})
    raise InputError(f"dataset {spec['name']}: the {split} split would be empty: {why}; rows dropped: {counts}")


def _count(spec: dict, split: str, prompts: int) -> int | None:
    """How many of the prompts a split gets; None where the entry does not say. A share of some gives at least one."""
    size, share = spec.get(f"{split}_size"), spec.get(f"{split}_share")
    if size is None and share is None:
        return None
    return size if size is not None else max(math.ceil(share), round(share * prompts))


def _ordered_prompts(records: Records, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct prompts and their groups, in an order that depends on the seed and on each prompt's id alone."""
    prompts, first = np.unique(records["prompt"][rows], return_index=True)
    order = np.argsort(records["place"][rows[first]], kind="stable")
    return prompts[order], records["group"][rows[first[order]]]


def _whole_groups(groups: np.ndarray, count: int) -> np.ndarray:
    """Positions of about the first `count` elements: with each all of its group; groups that do not fit are left."""
    _, first, inverse, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    taken = np.zeros(len(first), bool)
    for group in np.argsort(first):
        if not count:
            break
        if sizes[group] <= count:
            taken[group] = True
            count -= sizes[group]
    return np.flatnonzero(taken[inverse])


def first_rows(records: Records, rows: np.ndarray, prompts: np.ndarray, dropped: Counter) -> np.ndarray:
    """The first row of each of the prompts."""
    rows = rows[np.isin(records["prompt"][rows], prompts)]
    repeats = pd.Series(records["prompt"][rows]).duplicated().to_numpy()
    dropped["repeated_prompt"] += int(repeats.sum())
    return rows[~repeats]
