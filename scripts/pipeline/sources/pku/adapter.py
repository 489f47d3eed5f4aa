"""PKU-SafeRLHF: two responses, and the numbers of the more helpful and of the less harmful one."""

from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.adapters import Adapter, drop, preferred
from pipeline.data.columns import is_zero_or_one, missing, number_column, text_column
from pipeline.jobs.io import InputError

# The published names: better_response_id is the more helpful response, safer_response_id the less harmful one.
LABELS = {"helpful": "better_response_id", "harmless": "safer_response_id"}


def adapter(spec: dict) -> Adapter:
    """Its `preference` is helpful (default) or harmless.

    Raises:
        InputError: there is no such preference.
    """
    preference = spec.get("preference") or "helpful"
    if preference not in LABELS:
        raise InputError(f"preference: {preference!r} is unknown; it must be one of {', '.join(LABELS)}")
    label = LABELS[preference]
    return Adapter(("prompt", "response_0", "response_1"), (label,), partial(pairs, label=label))


def pairs(table: pa.Table, dropped: Counter, label: str) -> pa.Table:
    """prompt, response_0, response_1 and `label`, the number (0 or 1) of the preferred response."""
    table = drop(table, missing(number_column(table, label)), "no_preference", dropped)
    table = drop(table, pc.invert(is_zero_or_one(number_column(table, label))), "malformed", dropped)
    first, second = text_column(table, "response_0"), text_column(table, "response_1")
    return preferred(text_column(table, "prompt"), first, second, pc.equal(number_column(table, label), 0))
