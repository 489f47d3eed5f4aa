"""hh-rlhf: two whole dialogues that differ in the last response."""

import re
from collections import Counter

import pyarrow as pa

from pipeline.data.adapters import Adapter, pair_schema
from pipeline.data.columns import MESSAGES, text_column


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


_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def split_dialogue(dialogue: str) -> tuple[list[dict[str, str]] | None, str]:
    """Cut a dialogue of "\\n\\nHuman: …\\n\\nAssistant: …" turns at its last "\\n\\nAssistant:".

    Returns:
        (prompt, response): the messages before the cut, turns of one speaker in a row joined, and the stripped text
        after it. The prompt is None where the dialogue does not go from a user's turn to the assistant's.
    """
    head, _, response = ("\n\n" + dialogue.lstrip()).rpartition("\n\nAssistant:")
    before, *turns = _TURN.split(head)
    messages = []
    for name, text in zip(turns[::2], turns[1::2], strict=True):
        if messages and messages[-1]["role"] == _ROLES[name]:
            messages[-1]["content"] += "\n\n" + text.strip()
        else:
            messages.append({"role": _ROLES[name], "content": text.strip()})
    whole = messages and messages[0]["role"] == messages[-1]["role"] == "user" and not before.strip()
    return (messages if whole and not _TURN.search(response) else None), response.strip()
