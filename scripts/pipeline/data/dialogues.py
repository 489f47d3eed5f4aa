"""Dialogues that are one text: turns "\\n\\nHuman: …" and "\\n\\nAssistant: …", as Anthropic's have them."""

import re

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def is_dialogue_text(text: str) -> bool:
    """Whether a text begins as such a dialogue."""
    return text.lstrip().startswith("Human:")


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
