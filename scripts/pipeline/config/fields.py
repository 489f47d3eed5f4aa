"""How a key of a config is described: a JSON Schema as Python data, with what it means, its range and its default.

What the functions take further are JSON Schema's own keywords: `number("Peak learning rate.", exclusiveMinimum=0)`;
and `short="path"` of a mapping for which a text may stand, the value of that key. A key without `default` that is not
required is absent where it is not given.
"""

from collections.abc import Iterable
from types import ModuleType

# More than anybody means. Errors name these bounds only where they are exceeded.
MOST = {"integer": 2**32 - 1, "number": 10**12}
LONGEST = 1000  # characters of a text, likewise
NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"

Schema = dict


def number(description: str, **keywords) -> Schema:
    """A number."""
    most = {} if "exclusiveMaximum" in keywords else {"maximum": MOST["number"]}
    return {"description": description, "type": "number", **most, **keywords}


def whole(description: str, minimum: int = 1, **keywords) -> Schema:
    """A whole number."""
    return {"description": description, "type": "integer", "minimum": minimum, "maximum": MOST["integer"], **keywords}


def flag(description: str, default: bool = False) -> Schema:
    """True or false."""
    return {"description": description, "type": "boolean", "default": default}


def text(description: str, **keywords) -> Schema:
    """A text."""
    return {"description": description, "type": "string", "maxLength": LONGEST, **keywords}


def choice(description: str, options: Iterable[str], **keywords) -> Schema:
    """One of several texts."""
    return {"description": description, "enum": list(options), **keywords}


def several(description: str, item: Schema, **keywords) -> Schema:
    """A list of at least one item, all distinct."""
    return {"description": description, "type": "array", "items": item, "minItems": 1, "uniqueItems": True, **keywords}


def or_null(schema: Schema) -> Schema:
    """The same or null, which is the default where it has no other."""
    return {"default": None, **schema, "type": [schema["type"], "null"]}


def mapping(description: str, properties: dict[str, Schema], required: Iterable[str] = (), **keywords) -> Schema:
    """A mapping that has these keys and no others."""
    needed = {"required": list(required)} if required else {}
    keywords = {"properties": properties, **needed, **keywords}
    return {"description": description, "type": "object", "additionalProperties": False, **keywords}


def section(description: str, properties: dict[str, Schema]) -> Schema:
    """A mapping that may be left out, as each of its keys may."""
    return mapping(description, properties, default={})


def named(description: str, entry: Schema, **keywords) -> Schema:
    """Entries by name."""
    keywords = {"patternProperties": {NAME: entry}, **keywords}
    return {"description": description, "type": "object", "additionalProperties": False, **keywords}


def by_choice(description: str, key: str, about: str, parts: dict[str, Schema], **keywords) -> Schema:
    """A mapping whose other keys depend on one of them.

    Args:
        key: that one, with `about` as its description.
        parts: {value of the key: the mapping's other keys, as `mapping`}.
    """
    deciding = choice(about, parts)
    conditional = []
    for name, part in parts.items():
        condition = {"required": [key], "properties": {key: {"enum": [name]}}}
        properties = {key: {**deciding, "const": name}, **part["properties"]}
        then = {**part, "required": [key, *part.get("required", ())], "properties": properties}
        conditional.append({"if": condition, "then": then})
    keywords = {"required": [key], "properties": {key: deciding}, "allOf": conditional, **keywords}
    return {"description": description, "type": "object", **keywords}


def by_presence(description: str, parts: dict[str, Schema], **keywords) -> Schema:
    """A mapping that has exactly one of several keys, which decides what others it takes.

    Args:
        parts: {that key: the whole mapping}.
    """
    conditional = [{"if": {"required": [key]}, "then": part} for key, part in parts.items()]
    keywords = {"oneOf": [{"required": [key]} for key in parts], "allOf": conditional, **keywords}
    return {"description": description, "type": "object", **keywords}


def swept(schema: Schema) -> Schema:
    """A value, or a list of values to sweep over."""
    many = {"description": "Values to sweep over, a run for each.", "type": "array", "items": schema, "minItems": 1}
    return {"anyOf": [schema, many]}


def one_or_several(schema: Schema) -> Schema:
    """One value, or a list of distinct ones."""
    shared = {key: schema[key] for key in ("description", "default") if key in schema}
    one = {key: value for key, value in schema.items() if key not in shared}
    return {**shared, "anyOf": [one, several("Several of them.", one)]}


def described_choice(lead: str, parts: dict[str, ModuleType]) -> str:
    """A description of a choice among parts: "What judges: gold (the embedded world's gold score); reward (…)."."""
    sentences = {name: part.SENTENCE[0].lower() + part.SENTENCE[1:].rstrip(".") for name, part in parts.items()}
    return f"{lead}: {'; '.join(f'{name} ({sentence})' for name, sentence in sentences.items())}."


def branches(schema: Schema) -> dict[str, Schema]:
    """{name: mapping} of what `by_choice` and `by_presence` tell apart."""
    found = {}
    for branch in schema["allOf"]:
        condition = branch["if"]
        [chosen] = condition.get("properties", {"": {"enum": condition["required"]}}).values()
        found[chosen["enum"][0]] = branch["then"]
    return found


FAILED_SHARE = 0.05
# A key of every kind of judge.
MAX_FAILED_SHARE = number(
    "Largest share of verdicts that may be unparsed, refused or failed (as a score that is no finite number is) before "
    "the job fails.",
    minimum=0,
    maximum=1,
    default=FAILED_SHARE,
)
