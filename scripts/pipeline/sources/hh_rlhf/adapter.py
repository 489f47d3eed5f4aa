"""hh-rlhf: two whole dialogues that differ in the last response."""

from collections import Counter

import pyarrow as pa

from pipeline.data.adapters import Adapter, pair_schema
from pipeline.data.columns import MESSAGES, text_column
from pipeline.data.dialogues import split_dialogue


def adapter(spec: dict) -> Adapter:
    """How its rows are read."""
    return Adapter(("chosen", "rejected"), (), pairs)


def pairs(table: pa.Table, dropped: Counter) -> pa.Table:
    """chosen and rejected are whole dialogues; the pair is what each says after its last "Assistant:"."""
    prompts, chosen, rejected = [], [], []
    dialogues = zip(text_column(table, "chosen").to_pylist(), text_column(table, "rejected").to_pylist(), strict=True)
    for chosen_dialogue, rejected_dialogue in dialogues:
        prompt, chosen_response = split_dialogue(chosen_dialogue)
        other_prompt, rejected_response = split_dialogue(rejected_dialogue)
        if prompt is None or other_prompt is None:
            dropped["malformed"] += 1
        elif prompt != other_prompt:
            dropped["prompts_differ"] += 1
        else:
            prompts.append(prompt)
            chosen.append([{"role": "assistant", "content": chosen_response}])
            rejected.append([{"role": "assistant", "content": rejected_response}])
    return pa.table({"prompt": prompts, "chosen": chosen, "rejected": rejected}, schema=pair_schema(MESSAGES))
