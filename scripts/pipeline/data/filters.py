"""One batch of a source: adapted to pairs, filtered row by row, measured. Runs in worker processes too."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns.pairs import PAIR_COLUMNS, SOURCE_COLUMN
from pipeline.data.adapters import Adapter, adapter_for, pair_schema
from pipeline.data.columns import MESSAGES, TEXT, Columns, is_list, joined_texts
from pipeline.data.duplicates import sketches
from pipeline.data.lengths import LengthRule
from pipeline.data.loading import Batch
from pipeline.data.prompt_ids import prompt_id
from pipeline.data.shapes import RowError
from pipeline.data.slice_columns import slice_values, with_slices, without_slices
from pipeline.data.splitting import prompt_place
from pipeline.data.tally import Tally
from pipeline.jobs.io import InputError

Value = str | list[dict[str, str]]
SLICE = "slice "  # before the names of these columns, in records


@dataclass(frozen=True)
class Filtered:
    """What is left of a batch.

    Attributes:
        pairs: prompt_id, prompt, chosen, rejected.
        records: small arrays of one element or row per pair, see `pair_records`.
        dropped: rows that were dropped, by reason.
        notes: what was found and changed, see `pipeline.data.tally`.
        location: where the batch is from, for messages.
        rows_in: rows of the batch.
    """

    pairs: pa.Table
    records: dict[str, np.ndarray]
    dropped: Counter
    notes: Counter
    location: str
    rows_in: int


class RowFilter:
    """All that is decided of a row by itself. Made from a data spec; see `pipeline.data.preparation.prepare`."""

    def __init__(self, spec: dict):
        self.spec = spec
        self.adapter = adapter_for(spec)
        self.slices: list[str] = spec.get("slices") or []
        # Where no model has a tokenizer yet, no row is too long.
        self.length_rule = LengthRule(spec["tokenizers"], spec["max_length"]) if spec.get("tokenizers") else None

    @property
    def columns(self) -> Columns:
        """The columns of the source that are read."""
        return with_slices(self.adapter.columns, self.slices)

    def __call__(self, batch: Batch) -> Filtered:
        """Adapt and filter a batch.

        Raises:
            InputError: a column has the wrong type, or a null or an empty text where none may be.
        """
        dropped, whole = Tally(), batch.table
        batch = replace(batch, table=without_slices(whole, self.adapter, self.slices))
        adapter = self.adapter.of(batch.table.column_names)
        if self.spec["source"] == "plain" and (self.spec.get("columns") or "prompt" in adapter.contents):
            _refuse_blank(batch, adapter.contents)
        if self.spec.get("relabel"):
            _refuse_no_probability(batch)
        pairs = _adapted(batch, adapter, dropped)
        if self.slices:
            values = slice_values(whole, pairs, adapter, _digests, self.slices)
            pairs = pa.table({**dict(zip(pairs.column_names, pairs.columns, strict=True)), **_prefixed(values)})
        pairs = _without(pairs, _blank(pairs), "empty", dropped)
        pairs = _without(pairs, _equal_responses(pairs), "equal_responses", dropped)
        if self.length_rule:
            pairs = _without_unfit(pairs, self.length_rule, batch.location, dropped)
        ids = [prompt_id(prompt) for prompt in pairs["prompt"].to_pylist()]
        records = pair_records(self.spec, pairs, ids)
        records |= {SLICE + name: np.array(pairs[SLICE + name].to_pylist()) for name in self.slices}
        if self.length_rule and self.length_rule.moves_system:
            records["system_moved"] = np.array([_has_system(prompt) for prompt in pairs["prompt"].to_pylist()], bool)
        kept = pairs.select(PAIR_COLUMNS)
        kept = kept.cast(pair_schema(MESSAGES if is_dialogue(kept.schema) else TEXT))
        kept = kept.add_column(0, "prompt_id", pa.array(ids, pa.string()))
        rows_in = len(batch.table)
        return Filtered(kept, records, Counter(dropped), dropped.notes, batch.location, rows_in)


def _prefixed(values: dict[str, np.ndarray]) -> dict[str, pa.Array]:
    return {SLICE + name: pa.array(found) for name, found in values.items()}


def pair_records(spec: dict, pairs: pa.Table, ids: list[str]) -> dict[str, np.ndarray]:
    """What later steps need to know of each pair without its text, by a data spec (seed, near_duplicates).

    Returns:
        prompt: uint64, the prompt_id as a number. place: uint64, see `splitting.prompt_place`. digest: uint64 of
        shape (rows, 2), equal for equal rows. chosen_characters, rejected_characters: int32. score_margin: float64,
        chosen minus rejected, where the source has scores. bt_prob: float64, where labels are drawn from it. source:
        text, where the source has it.
        prompt_bands, prompt_sketch, response_bands, response_sketch: see `duplicates.sketches`, where near
        duplicates are looked for.
    """
    texts = {name: joined_texts(pairs, name) for name in PAIR_COLUMNS}
    records = {"prompt": np.array([int(number, 16) for number in ids], np.uint64), "digest": _digests(pairs)}
    places = b"".join(prompt_place(number, spec.get("seed", 42)) for number in ids)
    records["place"] = np.frombuffer(places, ">u8").astype(np.uint64)
    for name in ("chosen", "rejected"):
        characters = pc.utf8_length(texts[name]).to_numpy(zero_copy_only=False).astype(np.int32)
        records[f"{name}_characters"] = characters
    for name in ("score_margin", "bt_prob"):
        if name in pairs.column_names:
            records[name] = pairs[name].to_numpy().astype(np.float64)
    if SOURCE_COLUMN in pairs.column_names:
        records[SOURCE_COLUMN] = np.array(pairs[SOURCE_COLUMN].to_pylist())
    if threshold := spec.get("near_duplicates"):
        records["prompt_bands"], records["prompt_sketch"] = sketches([texts["prompt"]], threshold)
        responses = sketches([texts["chosen"], texts["rejected"]], threshold)
        records["response_bands"], records["response_sketch"] = responses
    return records


def _has_system(prompt: Value) -> bool:
    return not isinstance(prompt, str) and any(message["role"] == "system" for message in prompt)


def is_dialogue(pairs: pa.Schema) -> bool:
    """Whether prompts are lists of messages."""
    return pa.types.is_list(pairs.field("prompt").type)


def _adapted(batch: Batch, adapter: Adapter, dropped: Tally) -> pa.Table:
    for column in adapter.contents:
        nulls = batch.table[column].is_null()
        if pc.any(nulls).as_py():
            raise _fault(batch, column, pc.index(nulls, True).as_py(), "is null; fill or drop it")
    try:
        return adapter.convert(batch.table, dropped).combine_chunks()
    except RowError as error:
        raise _fault(batch, error.column, error.row, error.what) from error
    except InputError as error:
        place = f"{batch.location}, from row {batch.first_row} on" if batch.first_row else batch.location
        raise InputError(f"{place}: {error}") from error


def _fault(batch: Batch, column: str, row: int, what: str) -> InputError:
    return InputError(f"{batch.location}: column {column!r}: row {batch.first_row + row} (the first is 0) {what}")


def _refuse_blank(batch: Batch, columns: tuple[str, ...]) -> None:
    """Raise on an empty prompt or response: a mistake in a table of one's own; published datasets have some.

    A text beside responses that are messages may be empty, as these may have the prompt themselves.
    """
    if is_list(batch.table[columns[-1]].type):
        columns = tuple(column for column in columns if is_list(batch.table[column].type))
    for column in columns:
        for row, value in enumerate(batch.table[column].to_pylist()):
            if (isinstance(value, str) and not value.strip()) or value == []:
                raise _fault(batch, column, row, "is empty; fill or drop it")


def _refuse_no_probability(batch: Batch) -> None:
    """Raise on a bt_prob that is a number, but not between 0 and 1."""
    for row, value in enumerate(batch.table["bt_prob"].to_pylist()):
        if isinstance(value, int | float) and not 0 <= value <= 1:
            raise _fault(batch, "bt_prob", row, f"is {value}; it must be a probability")


def _without(pairs: pa.Table, mask: np.ndarray, reason: str, dropped: Counter) -> pa.Table:
    dropped[reason] += int(mask.sum())
    return pairs.filter(pa.array(~mask)).combine_chunks() if mask.any() else pairs


def _without_unfit(pairs: pa.Table, rule: LengthRule, location: str, dropped: Tally) -> pa.Table:
    """Without rows that a chat template refuses, of which the first is told, and without those that are too long."""
    long, refused = rule.unfit(pairs)
    if refused:
        row, words = next(iter(refused.items()))
        told = str(pairs["prompt"][row])[:80]
        what = f"a chat template refuses {len(refused)} rows, the first with the prompt {told!r} ({words})"
        print(f"{location}: {what}", flush=True)
    mask = np.isin(np.arange(len(pairs)), list(refused))
    pairs = _without(pairs, mask, "refused_by_template", dropped)
    return _without(pairs, long[~mask], "too_long", dropped)


def _blank(pairs: pa.Table) -> np.ndarray:
    mask = np.zeros(len(pairs), bool)
    for name in PAIR_COLUMNS:
        if pairs.schema.field(name).type == TEXT:
            trimmed = pc.utf8_length(pc.utf8_trim_whitespace(pairs[name]))
            mask |= pc.equal(trimmed, 0).to_numpy()
        else:
            rows = pairs[name].to_pylist()
            mask |= np.array([not row or any(not m["content"].strip() for m in row) for row in rows], bool)
    return mask


def _equal_responses(pairs: pa.Table) -> np.ndarray:
    chosen, rejected = pairs["chosen"], pairs["rejected"]
    if chosen.type == TEXT:
        return pc.equal(chosen, rejected).to_numpy()
    rows = zip(chosen.to_pylist(), rejected.to_pylist(), strict=True)
    return np.array([one == other for one, other in rows], bool)


def _digests(pairs: pa.Table) -> np.ndarray:
    rows = zip(*(pairs[name].to_pylist() for name in PAIR_COLUMNS), strict=True)
    digests = [hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).digest() for row in rows]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)
