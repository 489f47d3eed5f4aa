"""HelpSteer3: a context, two responses, and a preference from -3 (the first is much better) to 3 (the second is)."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.adapters import Adapter, drop
from pipeline.data.columns import missing, number_column, text_column
from pipeline.data.messages import UnusableError, said
from pipeline.data.pairing import pair_of
from pipeline.data.shapes import Pair, as_table, column_turns, each_row

PREFERENCE, MOST = "overall_preference", 3


def adapter(spec: dict) -> Adapter:
    """How its rows are read."""
    return Adapter(("context", "response1", "response2"), (PREFERENCE,), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """context (messages, or text), response1, response2 and overall_preference, whose size is the score margin."""
    table = drop(table, missing(number_column(table, PREFERENCE)), "no_preference", dropped)
    table = drop(table, pc.equal(number_column(table, PREFERENCE), 0), "no_preference", dropped)
    preferences = number_column(table, PREFERENCE).to_pylist()
    first, second = (text_column(table, name).to_pylist() for name in ("response1", "response2"))
    prompt = column_turns(table, "context")

    def read(row: int, changes: set[str]) -> Pair:
        if abs(preferences[row]) > MOST:
            raise UnusableError("malformed", f"a preference beyond {MOST}")
        chosen, rejected = (first[row], second[row]) if preferences[row] < 0 else (second[row], first[row])
        return pair_of(prompt(row, changes), said(chosen), said(rejected), changes)

    rows = each_row(len(table), read, dropped)
    margins = [abs(preference) for preference, row in zip(preferences, rows, strict=True) if row]
    return as_table(rows, dialogue=True).append_column("score_margin", pa.array(margins, pa.float64()))
