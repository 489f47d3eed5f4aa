"""Validation and defaults of what users write, by the schemas in `pipeline.config.schemas`.

`validate` first makes numbers of strings that are numbers where the schema wants a number (YAML takes `1e-5` for a
string) and writes entries out that are given as a text, then validates; `fill` adds the schema's defaults.
"""

import copy
import datetime
import math
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.config.errors import ConfigError, PathParts, Problem, Validator, alternative, explain
from pipeline.config.secrets import refuse_secrets

# The same schemas as files, for editors; scripts/write_reference.py makes them.
SCHEMAS = Path(__file__).resolve().parents[3] / "config" / "schemas"

NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DEEPEST, MOST_PARTS = 30, 200_000  # more than anybody writes
MOST_DIGITS = sys.float_info.max_10_exp  # of a whole number; Python makes none of thousands


@cache
def load_schema(name: str) -> dict:
    """The schema of a kind of file: config, datasets, models, reward_models, prompts, devices or judges."""
    return import_module(f"pipeline.config.schemas.{name}").SCHEMA


def validate(content: Any, name: str, source: str) -> Any:
    """Content as a user wrote it, checked against a schema.

    Args:
        content: as read from YAML; it is not changed.
        name: of the schema.
        source: file that the content is from, or "config", for the message.

    Returns:
        A copy with numbers as the schema wants them: float for number, int for integer, also where a string has one;
        the strings true and false likewise where it wants a boolean. Defaults are not added.

    Raises:
        ConfigError: for the first problem by path; the message says how many more there are. For a key or a password
            first of all, without its value.
    """
    _refuse_endless(content, source)
    refuse_secrets(content, source)
    content = _with_numbers(content, load_schema(name), source, ())
    problems = {}
    for error in Validator(load_schema(name)).iter_errors(content):
        for problem in explain(error):
            problems.setdefault((problem.path, problem.text), problem)
    # a key that is missing because it is misspelt is one problem
    misspelt = {other.right_path for other in problems.values() if len(other.right_path or ()) == len(other.path)}
    found = [problem for problem in problems.values() if problem.path not in misspelt]
    if found:
        first = min(found, key=lambda problem: [f"{p:06}" if isinstance(p, int) else p for p in problem.path])
        raise first.error(source, content, more=len(found) - 1)
    return content


def _refuse_endless(content: Any, source: str) -> None:
    """Raise for content that refers to itself, or grows without end as parts of it are repeated by reference."""
    waiting, parts = [(content, 0)], 0
    while waiting:
        part, depth = waiting.pop()
        inside = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
        parts += len(inside)
        if depth > DEEPEST or parts > MOST_PARTS:
            what = f"deeper than {DEEPEST} levels" if depth > DEEPEST else f"of more than {MOST_PARTS} parts"
            raise ConfigError(f"{source}: it is {what}; does a YAML anchor in it refer to itself?")
        waiting += [(value, depth + 1) for value in inside]


def fill(content: Any, schema: dict) -> Any:
    """A copy of validated content with the defaults of a schema, nested ones included, keys in the schema's order."""
    if isinstance(content, list) and "items" in schema:
        return [fill(item, schema["items"]) for item in content]
    if not isinstance(content, dict):
        return content
    filled = {}
    for branch in _branches(schema, content):
        for key, part in branch.get("properties", {}).items():
            if key in content or "default" in part:
                filled[key] = fill(content[key] if key in content else default_of(part), part)
    named = {key: fill(value, subschema(schema, content, key)) for key, value in content.items() if key not in filled}
    return {**filled, **named}


def default_of(schema: dict) -> Any:
    """A schema's default, that of its first alternative where it has none of its own."""
    if "default" not in schema and "anyOf" in schema:
        schema = schema["anyOf"][0]
    return _with_numbers(copy.deepcopy(schema["default"]), schema, "schema", ())


def subschema(schema: dict, content: Any, key: str) -> dict:
    """What a schema says of a key, {} where it says nothing."""
    for branch in _branches(schema, content):
        if key in branch.get("properties", {}):
            return branch["properties"][key]
        for pattern, part in branch.get("patternProperties", {}).items():
            if re.search(pattern, key):
                return part
    return {}


def _branches(schema: dict, content: Any) -> Iterator[dict]:
    """The schema and those of its conditional parts that apply to the content."""
    yield schema
    for part in schema.get("allOf", ()):
        yield from _branches(part, content)
    if "if" in schema and Validator(schema["if"]).is_valid(content):
        yield from _branches(schema["then"], content)
    if "anyOf" in schema:
        yield from _branches(schema["anyOf"][alternative(schema, content)], content)


def _with_numbers(content: Any, schema: dict, source: str, path: PathParts) -> Any:
    if isinstance(content, dict):
        for key in content:
            if not isinstance(key, str):
                text = f"the key {key!r} is not a text; write it in quotes"
                raise Problem((*path, str(key)), text, content[key]).error(source, content)
            if not key.isprintable():
                raise Problem(path, f"the key {key!r} has a line break or another sign that is not printed").error(
                    source, content
                )
        return {
            key: _with_numbers(value, subschema(schema, content, key), source, (*path, key))
            for key, value in content.items()
        }
    if isinstance(content, datetime.date):  # YAML makes one of a day without quotes
        content = content.isoformat()
    for branch in _branches(schema, content):
        if isinstance(content, (list, tuple)):
            if "items" in branch:
                return [_with_numbers(item, branch["items"], source, (*path, i)) for i, item in enumerate(content)]
            continue
        if isinstance(content, str) and "short" in branch:
            return {branch["short"]: content}
        kinds = branch.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if isinstance(content, str) and {"number", "integer"} & set(kinds) and NUMERAL.fullmatch(content):
            content = int(content) if content.isdecimal() and len(content) <= MOST_DIGITS else float(content)
        if content in ("true", "false") and "boolean" in kinds:  # as --config hands nested values over
            return content == "true"
        if isinstance(content, (int, float)) and not isinstance(content, bool):
            if abs(content) > sys.float_info.max and {"number", "integer"} & set(kinds):
                return math.inf if content > 0 else -math.inf
            if "number" in kinds:
                return float(content)
            if "integer" in kinds and isinstance(content, float) and content.is_integer():
                return int(content)
    return copy.deepcopy(content)
