"""summarize_from_feedback, comparisons: two summaries of a post, and which is better."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.adapters import Adapter, drop, preferred
from pipeline.data.columns import TEXT, flat_text_field, is_zero_or_one, list_column, missing, number_column, text_field


def adapter(spec: dict) -> Adapter:
    """How its rows are read."""
    return Adapter(("info", "summaries"), ("choice",), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """summarize_from_feedback, comparisons: info {subreddit, title, post}, two summaries {text}, choice (0 or 1).

    Rows about news articles, which the source's validation split has, come without a post and count as malformed.
    """
    table = drop(table, missing(number_column(table, "choice")), "no_preference", dropped)
    table = drop(table, pc.invert(is_zero_or_one(number_column(table, "choice"))), "malformed", dropped)
    for field in ("subreddit", "title", "post"):
        table = drop(table, pc.is_null(text_field(table, "info", field)), "malformed", dropped)
    table = drop(table, pc.not_equal(pc.list_value_length(list_column(table, "summaries")), 2), "malformed", dropped)
    texts = flat_text_field(table, "summaries", "text")
    incomplete = pc.or_(pc.is_null(texts[0::2]), pc.is_null(texts[1::2]))
    table = drop(table, incomplete, "malformed", dropped)
    texts = flat_text_field(table, "summaries", "text")
    parts = ["SUBREDDIT: r/", text_field(table, "info", "subreddit"), "\nTITLE: ", text_field(table, "info", "title")]
    parts += ["\nPOST: ", text_field(table, "info", "post"), "\nTL;DR:"]
    joined = [pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts]
    prompt = pc.binary_join_element_wise(*joined, pa.scalar("", TEXT))
    return preferred(prompt, texts[0::2], texts[1::2], pc.equal(number_column(table, "choice"), 0))
