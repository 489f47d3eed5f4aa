"""The embedded world, which makes its pairs as text."""

from collections import Counter

import pyarrow as pa

from pipeline.data.adapters import Adapter
from pipeline.data.columns import text_column


def adapter(spec: dict) -> Adapter:
    """How its rows are read."""
    return Adapter(("prompt", "chosen", "rejected"), (), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """prompt, chosen, rejected."""
    return pa.table({name: text_column(table, name) for name in ("prompt", "chosen", "rejected")})
