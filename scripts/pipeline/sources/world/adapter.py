"""The embedded world, which makes its pairs as text."""

from collections import Counter

import pyarrow as pa

from pipeline.columns.pairs import PAIR_COLUMNS, SOURCE_COLUMN
from pipeline.data.adapters import Adapter
from pipeline.data.columns import text_column


def adapter(spec: dict) -> Adapter:
    """How its rows are read."""
    return Adapter((*PAIR_COLUMNS, SOURCE_COLUMN) if spec.get("edition") == 2 else tuple(PAIR_COLUMNS), (), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """prompt, chosen, rejected; and in edition 2 source."""
    return pa.table({name: text_column(table, name) for name in table.column_names})
