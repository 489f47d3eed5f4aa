"""Typed access to the columns of a source's table: text, numbers, lists, fields of objects, lists of messages.

Each function returns one arrow array, or raises an `InputError` that names the column and its type where that is wrong.
"""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.jobs.io import InputError

# Names of columns, or what chooses them among all of a table.
Columns = list[str] | Callable[[list[str]], list[str]]

TEXT = pa.large_string()
MESSAGES = pa.list_(pa.struct([("role", TEXT), ("content", TEXT)]))


def missing(numbers: pa.Array) -> pa.Array:
    """Where numbers are null or not a number."""
    return pc.is_null(numbers, nan_is_null=True)


def is_zero_or_one(numbers: pa.Array) -> pa.Array:
    """Where numbers are 0 or 1."""
    return pc.is_in(numbers, value_set=pa.array([0.0, 1.0]))


def is_list(type_: pa.DataType) -> bool:
    """Whether a column of this type holds lists."""
    return pa.types.is_list(type_) or pa.types.is_large_list(type_)


def _array(table: pa.Table, name: str) -> pa.Array:
    return pa.concat_arrays(table[name].chunks) if table[name].num_chunks else pa.array([], table[name].type)


def text_column(table: pa.Table, name: str) -> pa.Array:
    """A column of text, as TEXT."""
    return _as_text(_array(table, name), name)


def number_column(table: pa.Table, name: str) -> pa.Array:
    """A column of numbers, as float64."""
    return _as_numbers(_array(table, name), name)


def list_column(table: pa.Table, name: str) -> pa.Array:
    """A column of lists."""
    array = _array(table, name)
    if not is_list(array.type):
        raise InputError(f"column {name!r} holds {array.type}; it must hold lists")
    return array


def text_field(table: pa.Table, name: str, field: str) -> pa.Array:
    """A text field of a column of objects; null where the object or its field is."""
    return _as_text(_struct_field(_array(table, name), name, field), f"{name}.{field}")


def flat_text_field(table: pa.Table, name: str, field: str) -> pa.Array:
    """A text field of the objects in a column of lists, all lists in one array."""
    return _as_text(_struct_field(list_column(table, name).flatten(), name, field), f"{name}.{field}")


def flat_number_field(table: pa.Table, name: str, field: str) -> pa.Array:
    """A number field of the objects in a column of lists, all lists in one array, as float64."""
    return _as_numbers(_struct_field(list_column(table, name).flatten(), name, field), f"{name}.{field}")


def _struct_field(array: pa.Array, name: str, field: str) -> pa.Array:
    if pa.types.is_null(array.type):
        return array
    if not pa.types.is_struct(array.type):
        raise InputError(f"column {name!r} holds {array.type}; it must hold objects with a field {field!r}")
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    if field not in names:
        raise InputError(f"column {name!r} has no field {field!r}; it has {', '.join(names)}")
    return pc.struct_field(array, field)


def _as_text(array: pa.Array, name: str) -> pa.Array:
    if not (is_text(array.type) or pa.types.is_null(array.type)):
        raise InputError(f"column {name!r} holds {array.type}; it must hold text")
    return array.cast(TEXT)


def is_text(type_: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def _as_numbers(array: pa.Array, name: str) -> pa.Array:
    kind = array.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise InputError(f"column {name!r} holds {kind}; it must hold numbers")
    return array.cast(pa.float64())


def message_rows(table: pa.Table, name: str) -> list[list[dict[str, str]] | None]:
    """Lists of {role, content} without other keys; None where a message lacks one of the two."""
    array = list_column(table, name)
    for field in ("role", "content"):
        flat_text_field(table, name, field)
    rows = []
    for messages in array.to_pylist():
        whole = all(message and message["role"] and message["content"] is not None for message in messages)
        rows.append([{"role": m["role"], "content": m["content"]} for m in messages] if whole else None)
    return rows


def joined_texts(table: pa.Table, name: str) -> pa.Array:
    """A column of text as it is; of a column of messages their contents, joined by line breaks. As TEXT."""
    array = _array(table, name)
    if not is_list(array.type):
        return array.cast(TEXT)
    contents = pa.ListArray.from_arrays(array.offsets, pc.struct_field(array.values, "content"))
    return pc.binary_join(contents, pa.scalar("\n", TEXT)).cast(TEXT)
