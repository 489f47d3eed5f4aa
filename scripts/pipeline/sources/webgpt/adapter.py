"""webgpt_comparisons: two answers with scores."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.adapters import Adapter, drop, preferred
from pipeline.data.columns import missing, number_column, text_column, text_field


def adapter(spec: dict) -> Adapter:
    """How its rows are read."""
    return Adapter(("question", "answer_0", "answer_1"), ("score_0", "score_1"), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """webgpt_comparisons: question.full_text, answer_0, answer_1; the higher of score_0 and score_1 is preferred."""
    first, second = number_column(table, "score_0"), number_column(table, "score_1")
    unscored = pc.or_(missing(first), missing(second))
    table = drop(table, pc.or_kleene(unscored, pc.equal(first, second)), "no_preference", dropped)
    table = drop(table, pc.is_null(text_field(table, "question", "full_text")), "malformed", dropped)
    first_wins = pc.greater(number_column(table, "score_0"), number_column(table, "score_1"))
    prompt = text_field(table, "question", "full_text")
    pairs = preferred(prompt, text_column(table, "answer_0"), text_column(table, "answer_1"), first_wins)
    margin = pc.abs(pc.subtract(number_column(table, "score_0"), number_column(table, "score_1")))
    return pairs.append_column("score_margin", margin)
