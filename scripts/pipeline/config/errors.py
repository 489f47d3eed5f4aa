"""Errors of a config: the path to the key, what is wrong, and the YAML that would be right."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from pipeline.config.arguments import OWN_NAMES
from pipeline.config.fields import MOST
from pipeline.jobs.io import InputError

LONGEST_SHOWN = 200  # characters of a name or a text in a message
PathParts = tuple[str | int, ...]

# Keys whose value decides which other keys their mapping takes; the YAML of an error repeats them.
DISCRIMINATORS = ("method", "source", "kind")

KINDS = {
    "object": "a mapping of keys to values",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "null": "null",
    "integer": "a whole number",
    "number": "a number",
}
BOUNDS = {
    "exclusiveMinimum": "greater than",
    "minimum": "at least",
    "exclusiveMaximum": "less than",
    "maximum": "at most",
}


def _is_number(checker: Any, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _matches(validator: Any, pattern: str, value: Any, schema: dict) -> Iterator[ValidationError]:
    """As in JSON Schema: Python's own $ also matches before a line break at the end."""
    whole = f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern
    if validator.is_type(value, "string") and not re.search(whole, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


# JSON Schema, except that YAML's .nan and .inf are no numbers: every comparison with .nan would let it pass.
Validator = extend(
    Draft202012Validator,
    {"pattern": _matches},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number),
)


class ConfigError(InputError):
    """The config, or an entry that it names, is wrong. The message shows the key and the YAML that would be right."""


@dataclass(frozen=True)
class Problem:
    """What is wrong at a place of a config.

    Attributes:
        path: keys and list positions that lead to the place, e.g. ("tasks", 2, "p").
        text: what is wrong; what would be right.
        right: a value that would be right, None where there is none to show.
        right_path: where that value belongs, `path` when None.
    """

    path: PathParts
    text: str
    right: Any = None
    right_path: PathParts | None = None

    def error(self, source: str, content: Any, more: int = 0) -> ConfigError:
        """The error to raise.

        Args:
            source: file that the content is from, or "config".
            content: the whole content, from which the YAML repeats what surrounds the place.
            more: how many more problems there are.
        """
        place = format_path(tuple(_shown(list(self.path))))
        where = f"{source}: {place}" if place else source
        message = re.sub(rf"\S{{{LONGEST_SHOWN + 1},}}", lambda word: _cut(word[0]), self.text)
        message = f"{where}: {message}"
        if self.right is not None:
            path = self.path if self.right_path is None else self.right_path
            nested = _shown(_nested(content, path, self.right))
            # leaves in one line each, but not the whole of a short text
            style = None if any(isinstance(value, (dict, list)) for value in nested.values()) else False
            text = yaml.safe_dump(nested, sort_keys=False, allow_unicode=True, default_flow_style=style)
            message += "\nThis would be right, for example:\n" + "".join(f"  {line}\n" for line in text.splitlines())
        if more:
            message += f"\n({more} more {'problem' if more == 1 else 'problems'} after this one)"
        return ConfigError(message.rstrip("\n"))


def format_path(path: PathParts) -> str:
    """("tasks", 2, "p") as "tasks[2].p"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def nearest(name: Any, names: list[str]) -> str | None:
    """The name most like `name`, or None where none is alike."""
    folded = {str(other).lower(): other for other in names}
    close = get_close_matches(str(name).lower(), list(folded), n=1, cutoff=0.65)
    return folded[close[0]] if close else None


def unknown_name(path: PathParts, kind: str, name: str, names: list[str]) -> Problem:
    """The problem that there is no dataset, model, … of that name."""
    near = nearest(name, names)
    hint = f" (did you mean {near!r}?)" if near else ""
    known = ", ".join(names) or "none"
    return Problem(
        path, f"there is no {kind} {_short(name)}{hint}; there are: {known}", near or next(iter(names), None)
    )


def alternative(schema: dict, content: Any) -> int:
    """Which of a schema's `anyOf` is meant by the content: the list, or what is no list."""
    kinds = [part.get("type") == "array" for part in schema["anyOf"]]
    return kinds.index(isinstance(content, list))


def explain(error: ValidationError) -> list[Problem]:
    """A validation error in words; one problem per unknown or missing key."""
    path, content, schema = tuple(error.absolute_path), error.instance, error.schema
    if error.validator == "anyOf":
        chosen = alternative(schema, content)
        return [problem for part in error.context if part.schema_path[0] == chosen for problem in explain(part)]
    if error.validator == "additionalProperties":
        return _unknown_keys(path, content, schema)
    if error.validator == "required":
        properties = schema.get("properties", {})
        return [
            Problem((*path, key), f"missing; {_phrase(properties.get(key, {}))}", example(properties.get(key, {})))
            for key in error.validator_value
            if key not in content
        ]
    if error.validator == "oneOf":  # what is no mapping has none of the keys, and is a problem of its own
        return [_not_one_of(path, content, schema)] if isinstance(content, dict) else []
    right = example(schema)
    hint = ""
    if "enum" in schema and (near := nearest(content, schema["enum"])):
        right, hint = near, f" (did you mean {near!r}?)"
    return [Problem(path, f"it must be {describe(schema, content)}, not {_short(content)}{hint}", right)]


def describe(schema: dict, content: Any = None) -> str:
    """What a schema takes, in words: "a number greater than 0 and at most 1".

    Args:
        content: what is there instead. Bounds that nobody means to reach are told to what exceeds them alone.
    """
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "anyOf" in schema:
        return " or ".join(describe(part) for part in schema["anyOf"])
    kinds = schema.get("type", "object")
    text = " or ".join(KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    exceeds = isinstance(content, int | float) and math.inf > content > schema.get("maximum", math.inf)
    untold = () if exceeds or schema.get("maximum") not in MOST.values() else ("maximum",)
    bounds = [f"{words} {schema[bound]}" for bound, words in BOUNDS.items() if bound in schema and bound not in untold]
    if bounds:
        text += f" {' and '.join(bounds)}"
    if "items" in schema:
        few, many = schema.get("minItems", 0), schema.get("maxItems")
        count = f" of exactly {few}" if few == many else f" of at least {few}" if few else ""
        text += f"{count}{' distinct' if schema.get('uniqueItems') else ''} items, an item being "
        text += describe(schema["items"])
    if schema.get("minLength"):
        text += " that is not empty"
    if len(str(content)) > schema.get("maxLength", math.inf):
        text += f" of at most {schema['maxLength']} characters"
    if "pattern" in schema:
        text += f" that matches {schema['pattern']}"
    return text


def example(schema: dict) -> Any:
    """A value that a schema takes, None where nothing is known of it."""
    if "const" in schema:
        return schema["const"]
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("default") not in (None, {}):
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0])
    if "items" in schema:
        return [example(schema["items"])] * schema.get("minItems", 1)
    if "properties" in schema:
        return {key: example(schema["properties"][key]) for key in _first_keys(schema)}
    if "allOf" in schema:
        return example(schema["allOf"][0]["then"])
    plain = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0), "string": "name"}
    return plain.get(schema.get("type"))


def _first_keys(schema: dict) -> list[str]:
    """The keys that a mapping must have, or any one that it may have."""
    return list(schema.get("required") or list(schema["properties"])[:1])


def _phrase(schema: dict) -> str:
    text = schema.get("description", "it is needed")
    return text[0].lower() + text[1:].rstrip(".")


def _short(content: Any) -> str:
    text = repr(content)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:57]}…"


def _shown(content: Any) -> Any:
    """Content whose texts are short enough for a message, keys included."""
    if isinstance(content, dict):
        return {_shown(key): _shown(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_shown(item) for item in content]
    return _cut(content) if isinstance(content, str) else content


def _unknown_keys(path: PathParts, content: dict, schema: dict) -> list[Problem]:
    known = schema.get("properties", {})
    if "patternProperties" in schema:
        [pattern] = schema["patternProperties"]
        text = f"{{}} is no valid name; a name is letters, digits, '_', '-' and '.', and matches {pattern}"
        unknown = [key for key in content if not re.search(pattern, key)]
        better = {key: re.sub(r"[^A-Za-z0-9_.-]+", "-", key).strip("_.-") or "name" for key in unknown}
        return [Problem((*path, key), text.format(_short(key)), content[key], (*path, better[key])) for key in unknown]
    deciding = next((f"with {key} {content[key]} the keys are" for key in DISCRIMINATORS if key in content), "keys are")
    problems = []
    for key in (key for key in content if key not in known):
        free = [name for name in known if name not in content]
        near = OWN_NAMES[key] if OWN_NAMES.get(key) in free else nearest(key, free)
        hint = f" (did you mean {near!r}?)" if near else ""
        text = f"unknown key{hint}; {deciding}: {', '.join(known)}"
        if near:
            right = content[key] if Validator(known[near]).is_valid(content[key]) else example(known[near])
            problems.append(Problem((*path, key), text, right, (*path, near)))
        else:
            kept = {name: content[name] for name in content if name in known} if path else {}
            right = kept or {name: example(known[name]) for name in _first_keys(schema)}
            problems.append(Problem((*path, key), text, right, path))
    return problems


def _not_one_of(path: PathParts, content: dict, schema: dict) -> Problem:
    """For schemas that want exactly one of several keys; each key's own schema follows under `allOf`."""
    keys = [part["required"][0] for part in schema["oneOf"]]
    present = [key for key in keys if key in content]
    first = schema["allOf"][0]["then"]["properties"][keys[0]]
    right = {keys[0]: content.get(keys[0], example(first))}
    return Problem(path, f"it must have exactly one of {', '.join(keys)}; it has {', '.join(present) or 'none'}", right)


def _nested(content: Any, path: PathParts, right: Any) -> Any:
    """`right` inside the mappings and lists that lead to it, with the keys beside it that decide what it may be."""
    parents = [content]
    for part in path[:-1]:
        inside = isinstance(parents[-1], dict) and part in parents[-1]
        inside = inside or (isinstance(parents[-1], list) and isinstance(part, int) and part < len(parents[-1]))
        parents.append(parents[-1][part] if inside else None)
    for part, parent in zip(reversed(path), reversed(parents), strict=False):
        if isinstance(part, int):
            right = [right]
            continue
        beside = [key for key in DISCRIMINATORS if isinstance(parent, dict) and key in parent and key != part]
        right = {**{key: parent[key] for key in beside}, part: right}
    return right
