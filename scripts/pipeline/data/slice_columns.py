"""Further columns of a source that its splits bring along, by which results are told apart: `slices` of its entry."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from pipeline.columns.pair_scores import SCORING_COLUMNS
from pipeline.columns.pairs import LABEL_COLUMNS, SOURCE_COLUMN, SPLIT_COLUMNS
from pipeline.data.adapters import Adapter
from pipeline.data.columns import Columns
from pipeline.data.tally import Tally
from pipeline.jobs.io import InputError

TAKEN = (*SPLIT_COLUMNS, *SCORING_COLUMNS, *LABEL_COLUMNS)
NONE = "(none)"


def with_slices(columns: Columns, slices: list[str]) -> Columns:
    """The columns that are read of a source, with those of its slices.

    Raises:
        InputError: a column of the slices is one that splits have anyway.
    """
    if taken := [name for name in slices if name in TAKEN]:
        raise InputError(f"slices: {taken[0]!r} is a column that splits have anyway; name another one")
    if callable(columns):
        return lambda present: with_slices(columns([name for name in present if name not in slices]), slices)
    return [*columns, *(name for name in slices if name not in columns)]


def without_slices(table: pa.Table, adapter: Adapter, slices: list[str]) -> pa.Table:
    """What the adapter reads of a batch."""
    needed = [] if callable(adapter.columns) else adapter.columns
    return table.select([name for name in table.column_names if name not in slices or name in needed])


def slice_values(
    table: pa.Table, pairs: pa.Table, adapter: Adapter, digests, slices: list[str]
) -> dict[str, np.ndarray]:
    """The values of each pair: numbers as float64, NaN where there is none, all else as text.

    An adapter leaves rows out and does not tell which, so the rows of each combination of values are adapted once more
    by themselves, and pairs are known by their content: of equal pairs all have the values of one of them.

    Args:
        table: a batch, with the columns of the slices.
        pairs: what the adapter makes of it.
        digests: of a table of pairs, of shape (rows, 2).

    Raises:
        InputError: a column holds lists or objects.
    """
    values = {name: _values(table, name) for name in slices}
    rows: dict[tuple, list[int]] = {}
    for row, combination in enumerate(zip(*(found.tolist() for found in values.values()), strict=True)):
        rows.setdefault(tuple(map(str, combination)), []).append(row)
    own, places = without_slices(table, adapter, slices), {}
    for of_combination in rows.values():
        for digest in digests(adapter.convert(own.take(of_combination), Tally())):
            places.setdefault(digest.tobytes(), of_combination[0])
    at = [places[digest.tobytes()] for digest in digests(pairs)]
    return {name: found[at] for name, found in values.items()}


def brought_along(schemas: Iterable[pa.Schema]) -> dict[str, bool]:
    """The further columns that prepared splits have, any of them; whether a column is of numbers wherever it is."""
    found: dict[str, bool] = {}
    for schema in schemas:
        for field in schema:
            if field.name not in (*TAKEN, SOURCE_COLUMN) and not pa.types.is_nested(field.type):
                found[field.name] = found.get(field.name, True) and _is_number(field.type)
    return found


def brought_values(table: pa.Table, name: str, numbers: bool) -> np.ndarray:
    """A further column of a prepared split, as numbers or as text; without a value in each row where it has none."""
    if name in table.column_names:
        found = _values(table, name)
        return found if numbers else found.astype(str)
    return np.full(len(table), np.nan if numbers else NONE)


def _values(table: pa.Table, name: str) -> np.ndarray:
    kind = table[name].type
    if pa.types.is_nested(kind):
        raise InputError(f"slices: column {name!r} holds {kind}; it must hold text, numbers or truth values")
    found = table[name].to_pylist()
    if _is_number(kind):
        return np.array([np.nan if value is None else value for value in found], dtype=float)
    return np.array([NONE if value is None else str(value) for value in found], dtype=str)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)
