"""Pairs as they are: text, or messages."""

from collections import Counter

import pyarrow as pa

from pipeline.data.adapters import Adapter, pair_schema
from pipeline.data.columns import MESSAGES, is_list, message_rows, number_column, text_column


def adapter(spec: dict) -> Adapter:
    """With `relabel` there is also bt_prob, from which labels are drawn."""
    return Adapter(("prompt", "chosen", "rejected", *(["bt_prob"] if spec.get("relabel") else [])), (), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """prompt, chosen, rejected: all text, or `prompt` a list of messages and the responses messages or text."""
    given = {"bt_prob": number_column(table, "bt_prob")} if "bt_prob" in table.column_names else {}
    if not is_list(table["prompt"].type):
        return pa.table({name: text_column(table, name) for name in ("prompt", "chosen", "rejected")} | given)
    rows = {"prompt": message_rows(table, "prompt")}
    for name in ("chosen", "rejected"):
        if is_list(table[name].type):
            rows[name] = message_rows(table, name)
        else:
            texts = text_column(table, name).to_pylist()
            rows[name] = [[{"role": "assistant", "content": text}] for text in texts]
    usable = [None not in row for row in zip(*rows.values(), strict=True)]
    dropped["malformed"] += len(usable) - sum(usable)
    pairs = pa.table(rows, schema=pair_schema(MESSAGES))
    for name, values in given.items():
        pairs = pairs.append_column(name, values)
    return pairs.filter(pa.array(usable, pa.bool_()))
