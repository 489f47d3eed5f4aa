"""The shapes in which tables hold preference pairs, found by their columns, and read row by row.

A row has two responses, `chosen` and `rejected`: text, messages, or whole conversations that begin with the prompt.
The prompt stands in a column of its own (text or messages), or in the responses alone. There may be a column of system
texts.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa

from pipeline.columns.pairs import PAIR_COLUMNS, PAIR_RESPONSES
from pipeline.data.adapters import pair_schema
from pipeline.data.columns import MESSAGES, TEXT, is_list, is_text, text_column
from pipeline.data.messages import Turns, UnusableError, turns
from pipeline.data.pairing import cut_texts, pair_of, with_system
from pipeline.data.tally import CHANGED, MALFORMED, SHAPE, note
from pipeline.jobs.io import InputError

PROMPTS = ("prompt", "question", "conversations")
SYSTEM = "system"
Pair = tuple[Any, Any, Any]


class RowError(InputError):
    """A row of a table is at fault.

    Attributes:
        column, row: where, the row counted from the table's first.
        what: is wrong with it.
    """

    def __init__(self, column: str, row: int, what: str):
        super().__init__(f"column {column!r}: row {row} (the first is 0) {what}")
        self.column, self.row, self.what = column, row, what


def roles_of(present: list[str], named: dict[str, str] | None = None) -> dict[str, str]:
    """Which columns have the prompt, the responses and the system text: {role: column}, without those there are not.

    Args:
        present: the table's columns.
        named: columns by role, as a user names them.

    Raises:
        InputError: two roles have one column, or the table has single responses with labels.
    """
    named = named or {}
    roles = {role: named.get(role, role) for role in PAIR_RESPONSES}
    if {"completion", "label"} <= set(present) and not set(roles.values()) <= set(present):
        raise InputError(
            "the columns completion and label are single responses with a label (KTO's unpaired format); pairs are "
            "needed: a row with two responses to a prompt, chosen and rejected"
        )
    prompt = named.get("prompt") or next((name for name in PROMPTS if name in present), None)
    system = named.get(SYSTEM) or (SYSTEM if SYSTEM in present else None)
    roles = ({"prompt": prompt} if prompt else {}) | roles | ({SYSTEM: system} if system else {})
    for column, count in Counter(roles.values()).items():
        if count > 1:
            both = " and ".join(role for role in roles if roles[role] == column)
            raise InputError(f"columns: {both} are both {column!r}; each needs a column of its own")
    return roles


def shape_of(table: pa.Table, roles: dict[str, str]) -> str:
    """The shape of a table in words.

    Raises:
        InputError: a column holds neither text nor messages.
    """
    kinds = {role: _kind(table, column) for role, column in roles.items() if role != SYSTEM}
    both = {kinds[name] for name in PAIR_RESPONSES}
    if "prompt" not in kinds and len(both) > 1 and "text" in both:
        raise InputError("without a prompt column chosen and rejected must both be text, or both conversations")
    kind = " and ".join(sorted(both))
    if "text" not in both and _whole(table, roles):
        kind = "whole conversations"
    lead = f"{roles['prompt']} as {kinds['prompt']}" if "prompt" in kinds else "no prompt column"
    with_system = [f"system texts in {roles[SYSTEM]}"] if SYSTEM in roles else []
    return ", ".join([lead, f"responses as {kind}", *with_system, *_manners(table, roles)])


def read_pairs(table: pa.Table, roles: dict[str, str], dropped: Counter) -> list[Pair | None]:
    """Each row's (prompt, chosen, rejected), all text or all messages; None for rows that have no pair.

    Args:
        table: whose columns hold no nulls, but for the system text.
        dropped: counter of dropped rows, which is added to.

    Raises:
        InputError: a column holds neither text nor messages.
    """
    note(dropped, SHAPE, shape_of(table, roles), len(table))
    if SYSTEM in roles:
        text_column(table, roles[SYSTEM])  # raises on what is no text
    read = _text_row if is_all_text(table, roles) else _message_row
    cells = {role: table[column].to_pylist() for role, column in roles.items()}

    def pair(number: int, changes: set[str]) -> Pair:
        try:
            return read({role: values[number] for role, values in cells.items()}, changes)
        except InputError as error:
            raise RowError(_odd_column(cells, roles, number), number, str(error)) from error

    return each_row(len(table), pair, dropped)


def each_row(count: int, read: Callable[[int, set[str]], Any], dropped: Counter) -> list:
    """What is read of each row, None where it has no usable pair.

    Args:
        count: number of rows.
        read: (row, what was changed in it, which this adds to) -> what is kept.
        dropped: counter of dropped rows, which is added to.
    """
    found: list = []
    for number in range(count):
        changes: set[str] = set()
        try:
            found.append(read(number, changes))
        except UnusableError as error:
            found.append(None)
            dropped[error.reason] += 1
            if error.reason == MALFORMED:
                note(dropped, MALFORMED, error.what)
        else:
            for change in changes:
                note(dropped, CHANGED, change)
    return found


def is_all_text(table: pa.Table, roles: dict[str, str]) -> bool:
    """Whether prompt and responses are text."""
    return all(_kind(table, roles[name]) == "text" for name in PAIR_COLUMNS if name in roles)


def as_table(pairs: list[Pair | None], dialogue: bool) -> pa.Table:
    """The pairs that there are, as a table of text or of messages."""
    columns = zip(*filter(None, pairs), strict=True) if any(pairs) else ([], [], [])
    schema = pair_schema(MESSAGES if dialogue else TEXT)
    return pa.table(dict(zip(PAIR_COLUMNS, map(list, columns), strict=True)), schema=schema)


def column_turns(table: pa.Table, name: str) -> Callable[[int, set[str]], Turns]:
    """What gives the messages of a row of one column, (row, changes) -> turns; text is one turn of the user.

    Raises:
        InputError: the column holds neither text nor messages.
    """
    _kind(table, name)
    values = table[name].to_pylist()

    def read(row: int, changes: set[str]) -> Turns:
        try:
            return _turns(values[row], "user", changes)
        except InputError as error:
            raise RowError(name, row, str(error)) from error

    return read


def _text_row(row: dict[str, Any], changes: set[str]) -> Pair:
    if "prompt" in row:
        texts = row["prompt"], row["chosen"], row["rejected"]
    else:
        texts = cut_texts(row["chosen"], row["rejected"])
    if SYSTEM not in row:
        return texts
    prompt = with_system(_turns(texts[0], "user", changes), row[SYSTEM], changes)
    return prompt, *(_turns(text, "assistant", changes) for text in texts[1:])


def _message_row(row: dict[str, Any], changes: set[str]) -> Pair:
    given = row.get("prompt")
    if isinstance(given, str) and not given.strip():
        given = None  # it may stand in the responses
    prompt = None if given is None else _turns(given, "user", changes)
    chosen, rejected = (_turns(row[name], "assistant", changes) for name in PAIR_RESPONSES)
    prompt, chosen, rejected = pair_of(prompt, chosen, rejected, changes)
    return with_system(prompt, row.get(SYSTEM), changes), chosen, rejected


def _turns(value: str | list | dict, role: str, changes: set[str]) -> Turns:
    return [{"role": role, "content": value}] if isinstance(value, str) else turns(value, changes)


def is_text_column(table: pa.Table, name: str) -> bool:
    """Whether a column holds text; what is neither text nor messages is an InputError."""
    return _kind(table, name) == "text"


def _kind(table: pa.Table, name: str) -> str:
    """text, messages or one message."""
    type_ = table.schema.field(name).type
    item = type_.value_type if is_list(type_) else type_
    if not pa.types.is_struct(item):
        if pa.types.is_null(item) and is_list(type_):
            return "messages"  # all lists are empty
        text_column(table, name)  # raises on what is no text
        return "text"
    fields = {item.field(i).name: item.field(i).type for i in range(item.num_fields)}
    for key, other in (("role", "from"), ("content", "value")):
        found = fields.get(key, fields.get(other))
        if found is None:
            raise InputError(f"column {name!r} has no field {key!r}; it has {', '.join(fields)}")
        if not (is_text(found) or pa.types.is_null(found) or (key == "content" and is_list(found))):
            raise InputError(f"column '{name}.{key}' holds {found}; it must hold text")
    return "messages" if is_list(type_) else "one message"


def _manners(table: pa.Table, roles: dict[str, str]) -> list[str]:
    """What is special about the messages of a table."""
    types = [table.schema.field(column).type for column in roles.values()]
    items = [type_.value_type if is_list(type_) else type_ for type_ in types]
    fields = {
        item.field(i).name: item.field(i).type
        for item in items
        if pa.types.is_struct(item)
        for i in range(item.num_fields)
    }
    names = {"ShareGPT turns": "from" in fields, "contents of parts": is_list(fields.get("content", TEXT))}
    return [name for name, found in names.items() if found]


def _whole(table: pa.Table, roles: dict[str, str]) -> bool:
    """Whether the first row that has messages begins with another turn than the assistant's."""
    for value in table[roles["chosen"]].to_pylist():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            role = value[0].get("role") or value[0].get("from")
            return role not in ("assistant", "gpt")
    return False


def _odd_column(cells: dict[str, list], roles: dict[str, str], number: int) -> str:
    """The column of a row whose cell holds what is no text."""
    for role, values in cells.items():
        try:
            with suppress(UnusableError):
                _turns(values[number] or "", "user", set())
        except InputError:
            return roles[role]
    raise AssertionError("no cell of the row is at fault")
