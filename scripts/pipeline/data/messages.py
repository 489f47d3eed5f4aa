"""Turns of dialogues as datasets have them, and as they are prepared: lists of messages {role, content}.

Datasets name the keys of a message role and content (OpenAI's) or from and value (ShareGPT's); a content is text or a
list of parts {type, text}.
"""

import json
from typing import Any

import pyarrow as pa

from pipeline.data.columns import MESSAGES, is_text
from pipeline.jobs.io import InputError

ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}
TOOL_ROLES = {"tool", "function", "function_call", "observation", "ipython"}
TEXT_PARTS = (None, "text", "input_text", "output_text")
TOOL_CALLS = ("tool_calls", "function_call")
READ = {"role", "content", "from", "value"}

RENAMED = "roles renamed"
JOINED = "parts of a content joined"
ONE_MESSAGE = "one message made a list"
NO_SYSTEM_TEXT = "empty system turn left out"

Turns = list[dict[str, str]]


class UnusableError(Exception):
    """A row has no usable pair.

    Attributes:
        reason: a reason of `pipeline.data.splitting`.
        what: what is wrong with a malformed row.
    """

    def __init__(self, reason: str, what: str = ""):
        super().__init__(reason, what)
        self.reason, self.what = reason, what


def turns(value: list | dict, changes: set[str]) -> Turns:
    """A cell's messages {role, content}; a message that calls tools has the key tool_calls too.

    Args:
        value: a list of messages, or one message.
        changes: what was changed, which this adds to.

    Raises:
        UnusableError: a message lacks its role or its text.
        InputError: a part of a content is no text.
    """
    if isinstance(value, dict):
        changes.add(ONE_MESSAGE)
        value = [value]
    found = []
    for message in value:
        if not isinstance(message, dict):
            raise UnusableError("malformed", "a message without role or text")
        calls = any(message.get(key) for key in TOOL_CALLS)
        role = message.get("role") or message.get("from")
        content = message.get("content") if message.get("content") is not None else message.get("value")
        if isinstance(content, list):
            if any(isinstance(part, str) or part.get("type") for part in content):
                changes.add(JOINED)
            content = "".join(map(_part_text, content)) if content else None
        if not role or content is None:
            raise UnusableError("malformed", "tool calls" if calls else "a message without role or text")
        if (name := ROLES.get(role.lower(), role)) != role:
            changes.add(RENAMED)
        if name == "system" and not content.strip():
            changes.add(NO_SYSTEM_TEXT)
            continue
        found.append({"role": name, "content": content} | ({"tool_calls": "yes"} if calls else {}))
    return found


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") in TEXT_PARTS and isinstance(part.get("text"), str):
        return part["text"]
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise InputError(f"has a part of type {kind!r} in its content; text alone is trained on: drop such rows")


def uses_tools(message: dict[str, str]) -> bool:
    """Whether a message of `turns` calls a tool or is what a tool says."""
    return "tool_calls" in message or message["role"] in TOOL_ROLES


def said(text: str) -> Turns:
    """A text as the assistant's one turn."""
    return [{"role": "assistant", "content": text}]


def as_messages(table: pa.Table, name: str) -> pa.Table:
    """The table, a column of messages that are written as JSON made messages.

    Raises:
        InputError: a text is no JSON.
    """
    if not is_text(table.schema.field(name).type):
        return table
    try:
        values = [json.loads(text) for text in table[name].to_pylist()]
        array = pa.array(one_typed(values), None if values else MESSAGES)
    except (ValueError, pa.ArrowException) as error:
        raise InputError(f"column {name!r} holds text that is no list of messages in JSON ({error})") from error
    return table.set_column(table.column_names.index(name), name, array)


def cleaned(messages: Turns) -> Turns:
    """Messages of `turns` with role and content alone."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def one_typed(values: list) -> list:
    """Cells whose messages have fields of one type each, where those that nothing reads have several.

    Such fields that hold objects or lists become JSON text, null where they are empty; where some contents are parts
    and some are text, all become parts. What is no message stays.
    """
    messages = [message for value in values for message in (value if isinstance(value, list) else [value])]
    kinds = {type(message.get("content")) for message in messages if _is_message(message)} - {type(None)}
    return [_one_typed(value, len(kinds) > 1) for value in values]


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and ("role" in value or "from" in value)


def _one_typed(value: Any, parts: bool) -> Any:
    if isinstance(value, list):
        return [_one_typed(item, parts) for item in value]
    if not _is_message(value):
        return value
    result = {key: item if key in READ else _as_json(item) for key, item in value.items()}
    if parts and isinstance(value.get("content"), str):
        result["content"] = [{"text": value["content"]}]
    return result


def _as_json(item: Any) -> str | None:
    if item is None or item in ([], {}):
        return None
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
