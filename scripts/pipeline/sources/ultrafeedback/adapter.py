"""UltraFeedback: four completions with scores."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.adapters import Adapter, drop
from pipeline.data.columns import flat_number_field, flat_text_field, list_column, text_column


def adapter(spec: dict) -> Adapter:
    """How its rows are read."""
    return Adapter(("instruction", "completions"), (), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """UltraFeedback: instruction and four completions {response, overall_score}; the highest against the lowest.

    Among equal scores the first completion is taken; rows whose highest and lowest score tie carry no preference.
    """
    table = drop(table, pc.not_equal(pc.list_value_length(list_column(table, "completions")), 4), "malformed", dropped)
    complete = pc.and_(
        pc.is_valid(flat_text_field(table, "completions", "response")),
        pc.is_finite(pc.fill_null(flat_number_field(table, "completions", "overall_score"), float("nan"))),
    )
    incomplete = ~complete.to_numpy(zero_copy_only=False).reshape(-1, 4).all(axis=1)
    table = drop(table, pa.array(incomplete), "malformed", dropped)
    scores = flat_number_field(table, "completions", "overall_score").to_numpy().reshape(-1, 4)
    tied = scores.max(axis=1, initial=-np.inf) == scores.min(axis=1, initial=np.inf)
    table, scores = drop(table, pa.array(tied), "no_preference", dropped), scores[~tied]
    responses = flat_text_field(table, "completions", "response")
    first = 4 * np.arange(len(table))
    highest, lowest = (first + best for best in (scores.argmax(axis=1), scores.argmin(axis=1)))
    return pa.table(
        {
            "prompt": text_column(table, "instruction"),
            "chosen": responses.take(pa.array(highest)),
            "rejected": responses.take(pa.array(lowest)),
            "score_margin": scores.ravel()[highest] - scores.ravel()[lowest],
            "completions": pa.LargeListArray.from_arrays(4 * np.arange(len(table) + 1), responses),
        }
    )
