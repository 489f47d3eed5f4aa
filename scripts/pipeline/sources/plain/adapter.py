"""Pairs in columns of any of the shapes that `pipeline.data.shapes` finds."""

from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.data.adapters import Adapter
from pipeline.data.columns import number_column, text_column
from pipeline.data.shapes import SYSTEM, RowError, as_table, is_all_text, read_pairs, roles_of, shape_of
from pipeline.data.tally import SHAPE, note

PROBABILITY = "bt_prob"


def adapter(spec: dict) -> Adapter:
    """Its `columns` name those of another name. With `relabel` there is also bt_prob, from which labels are drawn."""
    named = spec.get("columns") or {}

    def choose(present: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        roles = roles_of(present, named)
        system = roles.pop(SYSTEM, None)
        more = [system] if system else []
        return tuple(roles.values()), (*more, *([PROBABILITY] if spec.get("relabel") else []))

    return Adapter((), (), partial(pairs, named=named), choose)


def pairs(table: pa.Table, dropped: Counter, named: dict[str, str]) -> pa.Table:
    """The pairs as text, or as messages where the table has messages or system texts."""
    roles = roles_of(table.column_names, named)
    given = number_column(table, PROBABILITY) if PROBABILITY in table.column_names else None
    if is_all_text(table, roles) and "prompt" in roles and SYSTEM not in roles:
        note(dropped, SHAPE, shape_of(table, roles), len(table))
        found, usable = pa.table({name: text_column(table, roles[name]) for name in PAIR_COLUMNS}), None
    else:
        rows = read_pairs(table, roles, dropped)
        found = as_table(rows, dialogue=not is_all_text(table, roles) or SYSTEM in roles)
        usable = pa.array([row is not None for row in rows], pa.bool_())
    if given is None:
        return found
    wanted = given if usable is None else pc.if_else(usable, given, 0.0)
    if wanted.null_count:
        raise RowError(PROBABILITY, pc.index(wanted.is_null(), True).as_py(), "is null; fill or drop it")
    return found.append_column(PROBABILITY, given if usable is None else given.filter(usable))
