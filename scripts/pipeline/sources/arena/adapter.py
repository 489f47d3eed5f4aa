"""Chatbot Arena: two models' conversations, and which model won."""

from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.adapters import Adapter, drop
from pipeline.data.columns import text_column
from pipeline.data.messages import UnusableError, as_messages, cleaned
from pipeline.data.pairing import check_prompt, check_response, shared_turns
from pipeline.data.shapes import Pair, as_table, column_turns, each_row

CONVERSATIONS = ("conversation_a", "conversation_b")
WINNERS = ("model_a", "model_b")
CUT = "later turns cut"


def adapter(spec: dict) -> Adapter:
    """Its `several_turns` is cut (default) or drop."""
    return Adapter(CONVERSATIONS, ("winner",), partial(pairs, cut=spec.get("several_turns") != "drop"))


def pairs(table: pa.Table, dropped: Counter, cut: bool = True) -> pa.Table:
    """conversation_a, conversation_b (messages, or these as JSON) and winner: model_a, model_b, or some kind of tie."""
    tie = pc.match_substring_regex(text_column(table, "winner"), "tie|both")
    table = drop(table, tie, "no_preference", dropped)
    winners = text_column(table, "winner").to_pylist()
    read_a, read_b = (column_turns(as_messages(table, name), name) for name in CONVERSATIONS)

    def read(row: int, changes: set[str]) -> Pair:
        if winners[row] not in WINNERS:
            raise UnusableError("malformed", "a winner other than model_a, model_b and ties")
        one, other = read_a(row, changes), read_b(row, changes)
        count = shared_turns(one, other)
        prompt, one, other = one[:count], one[count:], other[count:]
        if max(len(one), len(other)) > 1 and prompt:
            if prompt[-1]["role"] == "assistant" or not cut:
                raise UnusableError("several_turns")
            changes.add(CUT)
            one, other = one[:1], other[:1]
        for response in (one, other):
            if not response:
                raise UnusableError("malformed", "a conversation without an answer")
            check_response(response)
        check_prompt(prompt)
        chosen, rejected = (one, other) if winners[row] == WINNERS[0] else (other, one)
        return cleaned(prompt), cleaned(chosen), cleaned(rejected)

    return as_table(each_row(len(table), read, dropped), dialogue=True)
