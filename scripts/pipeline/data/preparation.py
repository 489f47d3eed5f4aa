"""Preparing a preference dataset: filter with a count per reason, split by prompt, sample, describe in a card.

The order is: read, adapt, filter, remove exact duplicates, sample `limit` pairs, split. No prompt is in two splits.
Every draw is seeded, and a prompt's place among the splits follows from its own hash, so that a few rows more in the
source move few prompts.
"""

import hashlib
import json
import math
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.data.adapters import Adapter, adapter_for, pair_schema
from pipeline.data.columns import MESSAGES, TEXT
from pipeline.data.loading import Batch, read_batches
from pipeline.io import InputError, atomic_path, write_json

SPLITS = ("train", "selection", "eval")

# Why a row of the source is in no split. The last three are the sampling's: the prompt is in the source's own eval
# split; an eval or selection prompt has its one pair already; not drawn for `limit` or `eval_size`.
REASONS = (
    "no_preference",
    "prompts_differ",
    "malformed",
    "empty",
    "equal_responses",
    "duplicate",
    "prompt_in_eval",
    "repeated_prompt",
    "not_sampled",
)

SAMPLES = 5
PROGRESS_ROWS = 100_000

Value = str | list[dict[str, str]]


def prepare(spec: dict) -> tuple[dict[str, pa.Table], dict]:
    """Prepare a dataset.

    Args:
        spec: a resolved dataset entry: name, source, path, config_name, revision, splits {train, eval}, limit (pairs
            of the train source), eval_share or eval_size (prompts), selection_share or selection_size (prompts of
            what is left), seed, preference (pku), size and noise (world).

    Returns:
        (splits, card). Each split has the columns prompt_id, prompt, chosen and rejected, its rows in a seeded order;
        eval and selection have one pair per prompt, train may have several. The card is what card.json holds.

    Raises:
        InputError: the source cannot be read, or a split is left empty.
    """
    sources = spec.get("splits") or {"train": "train"}
    seed, dropped = spec.get("seed", 42), Counter()
    train, rows_in = collect(spec, sources["train"], dropped)
    train = _shuffled(train, seed)
    if sources.get("eval"):
        own_eval, more = collect(spec, sources["eval"], dropped)
        rows_in += more
        splits = _split_with_own_eval(spec, train, _shuffled(own_eval, seed), dropped)
    else:
        splits = _split(spec, _sampled(train, spec.get("limit"), dropped), dropped)

    prompts = {name: set(table["prompt_id"].to_pylist()) for name, table in splits.items()}
    assert sum(map(len, prompts.values())) == len(set().union(*prompts.values())), "a prompt is in two splits"
    assert rows_in == sum(map(len, splits.values())) + dropped.total(), "a row is neither in a split nor counted"
    return splits, _card(spec, splits, rows_in, dropped)


def write(splits: dict[str, pa.Table], card: dict, folder: str | Path) -> None:
    """Write {split}.parquet for each split, then card.json, into a folder."""
    for name, table in splits.items():
        with atomic_path(Path(folder) / f"{name}.parquet") as temporary:
            pq.write_table(_portable(table), temporary, compression="zstd")
    write_json(card, Path(folder) / "card.json")


def collect(spec: dict, split: str, dropped: Counter) -> tuple[pa.Table, int]:
    """Read, adapt and filter one split of the source; what is dropped is added to `dropped` by reason.

    Returns:
        (pairs, rows read). The pairs have the columns prompt_id, prompt, chosen and rejected, in the source's order.
    """
    adapter = adapter_for(spec["source"], spec.get("preference"))
    kept, seen, rows_in = [], set(), 0
    for batch in read_batches(spec, split, adapter.columns):
        if spec["source"] == "plain":
            _refuse_blank(batch)
        pairs = _filtered(_adapted(batch, adapter, dropped), seen, dropped)
        if kept and pairs.schema != kept[0].schema:
            raise InputError(f"{batch.location}: some prompts are text and some are messages; they must be of one kind")
        kept.append(pairs)
        if rows_in // PROGRESS_ROWS < (rows_in + len(batch.table)) // PROGRESS_ROWS:
            print(f"{batch.location}: {rows_in + len(batch.table):,} rows read", flush=True)
        rows_in += len(batch.table)
    if not rows_in:
        raise InputError(f"dataset {spec['name']}: the source's split {split!r} has no rows")
    return pa.concat_tables(kept), rows_in


def prompt_id(prompt: Value) -> str:
    """The stable id of a prompt: 16 hex characters of the SHA-256 of its text, or of its messages' roles and texts.

    Unicode is normalised (NFC) and runs of white space count as one space, so that prompts that differ in nothing
    else share an id, and with it a split.
    """
    if not isinstance(prompt, str):
        prompt = json.dumps([[message["role"], _normalised(message["content"])] for message in prompt])
    return hashlib.sha256(_normalised(prompt).encode()).hexdigest()[:16]


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _adapted(batch: Batch, adapter: Adapter, dropped: Counter) -> pa.Table:
    for column in adapter.contents:
        nulls = batch.table[column].is_null()
        if pc.any(nulls).as_py():
            row = batch.first_row + pc.index(nulls, True).as_py()
            raise InputError(
                f"{batch.location}: column {column!r}: row {row} (the first is 0) is null; fill or drop it"
            )
    try:
        return adapter.convert(batch.table, dropped)
    except InputError as error:
        raise InputError(f"{batch.location}: {error}") from error


def _refuse_blank(batch: Batch) -> None:
    """Raise on an empty prompt or response: a mistake in a table of one's own; published datasets have some."""
    for column in ("prompt", "chosen", "rejected"):
        for row, value in enumerate(batch.table[column].to_pylist()):
            if (isinstance(value, str) and not value.strip()) or value == []:
                raise InputError(
                    f"{batch.location}: column {column!r}: row {batch.first_row + row} (the first is 0) is empty; "
                    "fill or drop it"
                )


def _filtered(pairs: pa.Table, seen: set[bytes], dropped: Counter) -> pa.Table:
    """Drop empty rows, equal responses and exact duplicates of what was `seen`; add prompt_id.

    Rules that need the policy's tokenizer (too long) belong here too.
    """
    ids, keep = [], []
    columns = [pairs[name].to_pylist() for name in ("prompt", "chosen", "rejected")]
    for row, (prompt, chosen, rejected) in enumerate(zip(*columns, strict=True)):
        digest = hashlib.sha256(repr((prompt, chosen, rejected)).encode()).digest()[:16]
        if _is_blank(prompt) or _is_blank(chosen) or _is_blank(rejected):
            dropped["empty"] += 1
        elif chosen == rejected:
            dropped["equal_responses"] += 1
        elif digest in seen:
            dropped["duplicate"] += 1
        else:
            seen.add(digest)
            keep.append(row)
            ids.append(prompt_id(prompt))
    kept = pairs.take(pa.array(keep, pa.int64())).cast(pair_schema(MESSAGES if _is_dialogue(pairs) else TEXT))
    return kept.add_column(0, "prompt_id", pa.array(ids, pa.string()))


def _is_blank(value: Value) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return not value or any(not message["content"].strip() for message in value)


def _is_dialogue(table: pa.Table) -> bool:
    return pa.types.is_list(table.schema.field("prompt").type)


def _shuffled(pairs: pa.Table, seed: int) -> pa.Table:
    return pairs.take(pa.array(np.random.default_rng(seed).permutation(len(pairs))))


def _sampled(pairs: pa.Table, limit: int | None, dropped: Counter) -> pa.Table:
    sampled = pairs.slice(0, limit)
    dropped["not_sampled"] += len(pairs) - len(sampled)
    return sampled


def _split(spec: dict, pairs: pa.Table, dropped: Counter) -> dict[str, pa.Table]:
    """Cut shuffled pairs of one source split into train, selection and eval."""
    prompts = _ordered_prompts(pairs, spec.get("seed", 42))
    eval_count = _count(spec, "eval", len(prompts))
    if eval_count is None:
        raise InputError(f"dataset {spec['name']}: it needs eval_share, eval_size, or splits.eval")
    selection_count = _count(spec, "selection", len(prompts) - eval_count) or 0
    if eval_count + selection_count >= len(prompts):
        held_out = f", {eval_count} for eval and {selection_count} for selection" if prompts else ""
        _refuse_empty(spec, "train", dropped, f"{len(prompts)} prompts are left after filtering{held_out}")
    held_out = {"eval": prompts[:eval_count], "selection": prompts[eval_count : eval_count + selection_count]}
    splits = {name: _first_pairs(pairs, chosen, dropped) for name, chosen in held_out.items()}
    splits["train"] = _rows_with(pairs, prompts[eval_count + selection_count :])
    return {name: splits[name] for name in SPLITS}


def _split_with_own_eval(spec: dict, train: pa.Table, own_eval: pa.Table, dropped: Counter) -> dict[str, pa.Table]:
    """Keep the source's eval split, one pair per prompt, and take its prompts out of train."""
    prompts = _ordered_prompts(own_eval, spec.get("seed", 42))
    if not prompts:
        _refuse_empty(spec, "eval", dropped, "no prompts are left after filtering")
    sampled = _rows_with(own_eval, prompts[: spec.get("eval_size")])
    dropped["not_sampled"] += len(own_eval) - len(sampled)
    eval_table = _first_pairs(sampled, prompts, dropped)
    in_eval = pc.is_in(train["prompt_id"], value_set=eval_table["prompt_id"].combine_chunks())
    dropped["prompt_in_eval"] += pc.sum(in_eval).as_py() or 0
    train = _sampled(train.filter(pc.invert(in_eval)), spec.get("limit"), dropped)
    rest = _split({**spec, "eval_size": 0}, train, dropped)
    return {**rest, "eval": eval_table}


def _count(spec: dict, split: str, prompts: int) -> int | None:
    """How many of the prompts a split gets; None where the entry does not say. A share of some gives at least one."""
    size, share = spec.get(f"{split}_size"), spec.get(f"{split}_share")
    if size is None and share is None:
        return None
    return size if size is not None else max(math.ceil(share), round(share * prompts))


def _ordered_prompts(pairs: pa.Table, seed: int) -> list[str]:
    """The distinct prompt ids, in an order that depends on the seed and on each id alone."""
    distinct = pairs["prompt_id"].unique().to_pylist()
    return sorted(distinct, key=lambda prompt: hashlib.sha256(f"{seed}:{prompt}".encode()).digest())


def _rows_with(pairs: pa.Table, prompts: list[str]) -> pa.Table:
    return pairs.filter(pc.is_in(pairs["prompt_id"], value_set=pa.array(prompts, pa.string())))


def _first_pairs(pairs: pa.Table, prompts: list[str], dropped: Counter) -> pa.Table:
    """The first pair of each of the prompts."""
    rows = _rows_with(pairs, prompts)
    first = ~pd.Series(rows["prompt_id"].to_pylist(), dtype=str).duplicated().to_numpy()
    dropped["repeated_prompt"] += int((~first).sum())
    return rows.filter(pa.array(first, pa.bool_()))


def _refuse_empty(spec: dict, split: str, dropped: Counter, why: str) -> None:
    counts = ", ".join(f"{reason} {dropped[reason]}" for reason in REASONS if dropped[reason]) or "none"
    raise InputError(f"dataset {spec['name']}: the {split} split would be empty: {why}; rows dropped: {counts}")


def _card(spec: dict, splits: dict[str, pa.Table], rows_in: int, dropped: Counter) -> dict:
    train = splits["train"]
    rows = np.random.default_rng(spec.get("seed", 42)).choice(len(train), min(SAMPLES, len(train)), replace=False)
    return {
        "dataset": spec["name"],
        "source": spec["source"],
        "format": "messages" if _is_dialogue(train) else "text",
        "rows_in": rows_in,
        "rows_out": sum(map(len, splits.values())),
        "dropped": {reason: dropped[reason] for reason in REASONS},
        "splits": {name: len(table) for name, table in splits.items()},
        "prompts": {name: pc.count_distinct(table["prompt_id"]).as_py() for name, table in splits.items()},
        "response_characters": {name: _character_summary(splits, name) for name in ("chosen", "rejected")},
        "samples": train.take(pa.array(rows)).to_pylist(),
    }


def _character_summary(splits: dict[str, pa.Table], column: str) -> dict[str, float]:
    lengths = np.concatenate([_characters(table[column]) for table in splits.values()])
    values = [lengths.mean(), *np.percentile(lengths, [5, 50, 95])]
    return {name: round(float(value), 1) for name, value in zip(("mean", "p5", "p50", "p95"), values, strict=True)}


def _characters(responses: pa.ChunkedArray) -> np.ndarray:
    if responses.type == TEXT:
        return pc.utf8_length(responses).to_numpy()
    counts = [sum(len(message["content"]) for message in messages) for messages in responses.to_pylist()]
    return np.array(counts, dtype=np.int64)


def _portable(table: pa.Table) -> pa.Table:
    """With the common string type instead of the 64-bit one; in pieces, as that one holds at most 2 GiB each."""
    text = pa.string()
    content = pa.list_(pa.struct([("role", text), ("content", text)])) if _is_dialogue(table) else text
    schema = pa.schema([("prompt_id", text), *((name, content) for name in ("prompt", "chosen", "rejected"))])
    pieces = [piece.cast(schema) for piece in table.to_batches(max_chunksize=50_000)]
    return pa.Table.from_batches(pieces, schema)
