"""The schemas themselves: closed, described, with defaults and examples that they allow."""

import json

import pytest
from fixtures_config import CONFIG
from jsonschema import Draft202012Validator

from pipeline.config.schema import SCHEMAS, load_schema

SCHEMA_NAMES = [path.name.removesuffix(".schema.json") for path in sorted(SCHEMAS.glob("*.json"))]


def subschemas(node, path="$"):
    """Every schema in a document, by place; `if` only decides, it describes nothing."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key != "if":
                yield from subschemas(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from subschemas(value, f"{path}[{index}]")


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schemas_refuse_unknown_keys_and_describe_every_key(name):
    document = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(document)
    schema = load_schema(name)
    objects = 0
    for path, part in subschemas(schema):
        if part.get("type") == "object" and "allOf" in part:
            branches = [branch["then"] for branch in part["allOf"] if "allOf" not in branch["then"]]
            assert all(branch.get("additionalProperties") is False for branch in branches), path
        elif part.get("type") == "object":
            objects += 1
            assert part.get("additionalProperties") is False, path
        if isinstance(part.get("properties"), dict):
            for key, value in part["properties"].items():
                described = value.get("description") or value.get("anyOf", [{}])[0].get("description")
                assert described, f"{path}.{key}"
                assert len(described) > 8, f"{path}.{key}"
    assert objects


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_defaults_and_examples_satisfy_their_own_schema(name):
    for path, part in subschemas(load_schema(name)):
        for value in [*([part["default"]] if "default" in part else []), *part.get("examples", [])]:
            assert Draft202012Validator(part).is_valid(value), f"{path}: {value!r}"


def test_the_readme_names_every_key():
    text = (CONFIG / "README.md").read_text()
    keys = {
        key
        for name in SCHEMA_NAMES
        for _, part in subschemas(load_schema(name))
        if isinstance(part.get("properties"), dict)
        for key in part["properties"]
    }
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
