"""What is made from the descriptions of keys and parts: the JSON Schemas of config/schemas, the guide's tables."""

import json
import re
from pathlib import Path
from types import ModuleType

from pipeline.config.fields import Schema, branches
from pipeline.config.named_losses import LOSSES, meaning
from pipeline.config.schema import SCHEMAS
from pipeline.config.schemas import config, datasets, devices, judges, models, prompts, reward_models
from pipeline.config.sweep import format_value
from pipeline.jobs.parts import all_parts

COMMAND = "python scripts/write_reference.py"
GUIDE = SCHEMAS.parent / "README.md"
TABLE = re.compile(r"(<!-- table: ([\w.]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

FILES = {
    **{"config": config, "datasets": datasets, "models": models, "reward_models": reward_models},
    **{"devices": devices, "judges": judges, "prompts": prompts},
}
# What an entry of a dataset may be: read from one of the sources, or a mix.
DATASETS = {**branches(datasets.SOURCED), "mixes": datasets.MIXED}
# What stands under $defs, and is referred to from there, by document.
DEFINITIONS = {
    "config": {
        **{f"hyperparameters/{key}": schema for key, schema in config.HYPERPARAMETERS.items()},
        **{f"sweep/{key}": schema for key, schema in config.SWEEPS.items()},
        **{f"methods/{name}": schema for name, schema in branches(config.TASK).items()},
    },
    "datasets": DATASETS,
    "models": branches(models.MODEL),
    "reward_models": branches(reward_models.REWARD_MODEL),
    "judges": branches(judges.SCHEMA),
}


def reference() -> dict[Path, str]:
    """{file: the text that it should have} of everything that is made."""
    made = {SCHEMAS / f"{name}.schema.json": _document(name) for name in FILES}
    tables = _tables()
    text = TABLE.sub(lambda found: f"{found[1]}{tables[found[2]]}{found[3]}", GUIDE.read_text(encoding="utf-8"))
    return {**made, GUIDE: text}


def stale_files() -> list[Path]:
    """The files of `reference` that do not have their text."""
    return [path for path, text in reference().items() if not path.is_file() or path.read_text("utf-8") != text]


def _document(name: str) -> str:
    """A schema as JSON, with references to what its definitions and other documents hold."""
    places = {id(file.SCHEMA): f"{other}.schema.json" for other, file in FILES.items() if other != name}
    places |= {id(schema): f"#/$defs/{place}" for place, schema in DEFINITIONS.get(name, {}).items()}

    def written(node, is_place: bool = False):
        if isinstance(node, list):
            return [written(item) for item in node]
        if not isinstance(node, dict):
            return node
        if id(node) in places and not is_place:
            return {"$ref": places[id(node)]}
        found = {key: written(value) for key, value in node.items() if key != "short"}
        if "short" not in node:
            return found
        return {"anyOf": [{"description": f"Short for {{{node['short']}: this text}}.", "type": "string"}, found]}

    schema = FILES[name].SCHEMA
    note = f"{schema['description']} Made by `{COMMAND}`; not to be edited."
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": schema["title"], "description": note}
    content = {**head, **{key: value for key, value in written(schema, True).items() if key not in head}}
    for place, part in DEFINITIONS.get(name, {}).items():
        *group, key = place.split("/")
        inside = content.setdefault("$defs", {})
        for inner in group:
            inside = inside.setdefault(inner, {})
        inside[key] = written(part, True)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _tables() -> dict[str, str]:
    """The tables of the guide, by the name at their place."""
    properties, tasks = config.SCHEMA["properties"], branches(config.TASK)
    return {
        "methods": _parts(all_parts("methods", "description")),
        "named_losses": _rows(["name", "what it is"], [[f"`{name}`", meaning(name)] for name in LOSSES]),
        "sources": _parts(all_parts("sources", "description")),
        "reward_formats": _parts(all_parts("reward_formats", "description")),
        "judge_kinds": _parts(all_parts("judge_kinds", "description")),
        "backends": _parts(all_parts("backends", "description")),
        "config": _keys({"": config.SCHEMA}, "", ("policy", "tasks", "judge_quality", "publish", "sizes")),
        "judge_quality": _keys({"": properties["judge_quality"]}),
        "publish": _keys({"": properties["publish"]}),
        "hyperparameters": _keys({name: tasks[name] for name in config.METHODS}, "methods", ("method",)),
        "datasets": _keys(DATASETS, "sources"),
        "models": _keys(branches(models.MODEL), "with"),
        "reward_models": _keys(branches(reward_models.REWARD_MODEL), "with", ("train",)),
        "train": _keys({"": reward_models.TRAINED["properties"]["train"]}),
        "judges": _keys(branches(judges.SCHEMA), "kinds"),
        "devices": _keys({"": devices.DEVICE}),
        "prompts": _keys({"": prompts.SET}),
        "runs": _keys({"": config.RUN}),
    }


def _parts(parts: dict[str, ModuleType]) -> str:
    return _rows(["name", "what it is"], [[f"`{name}`", part.SENTENCE] for name, part in parts.items()])


def _keys(parts: dict[str, Schema], takers: str = "", apart: tuple[str, ...] = ()) -> str:
    """A table of the keys of one mapping, or of several that share some: a row for each meaning of a key.

    Args:
        parts: {name of the mapping: its schema}.
        takers: heading of the column that says which mappings take a key; no such column where it is empty.
        apart: keys whose own keys have a table of their own.
    """
    rows = []
    for key in dict.fromkeys(key for part in parts.values() for key in part["properties"]):
        meanings: dict[str, dict[str, Schema]] = {}
        for name, part in parts.items():
            if key in part["properties"]:
                meanings.setdefault(_meaning(part["properties"][key], key in apart), {})[name] = part
        for said, having in meanings.items():
            default = _defaults(key, parts, having)
            rows.append([f"`{key}`", default, *([_taking(parts, having)] if takers else []), said])
    return _rows(["key", "default", *([takers] if takers else []), "meaning"], rows)


def _defaults(key: str, parts: dict[str, Schema], having: dict[str, Schema]) -> str:
    """The default of a key in the mappings that have it, and which of these have another one."""
    defaults: dict[str, list[str]] = {}
    for name, part in having.items():
        needed = f"this or `{next(name for name in parts if name != key)}`" if key in parts else "needed"
        default = needed if key in part.get("required", ()) else _default(part["properties"][key])
        defaults.setdefault(default, []).append(name)
    [common, *others] = defaults
    first = common or ("none" if others else "")
    return first + "".join(f"; {other or 'none'} ({', '.join(defaults[other])})" for other in others)


def _taking(parts: dict[str, Schema], having: dict[str, Schema]) -> str:
    """Which of the mappings have a key."""
    lacking = [name for name in parts if name not in having]
    if 1 < len(lacking) < len(having) or len(lacking) == 1 < len(having):
        return f"all but {', '.join(lacking)}"
    return ", ".join(having) if lacking else "all"


def _meaning(schema: Schema, apart: bool) -> str:
    """What a key means, which values it may have, and the keys inside it that have no table of their own."""
    first = schema["anyOf"][0] if "anyOf" in schema else schema
    text = schema.get("description") or first["description"]
    options = [] if apart else first.get("enum", [])
    if any(not re.search(rf"\b{re.escape(option)}\b", text) for option in options):
        text += f" One of {', '.join(options)}."
    inside = first.get("properties") or next(iter(first.get("patternProperties", {}).values()), {}).get("properties")
    if inside and not apart:
        keys = [f"`{key}`" + (f" ({default})" if (default := _default(part)) else "") for key, part in inside.items()]
        text = f"{text.removesuffix('.')}: {', '.join(keys)}."
    return text


def _default(schema: Schema) -> str:
    """A default as YAML has it, in short; empty where there is none, or where it is that of the keys inside."""
    schema = schema if "default" in schema else schema.get("anyOf", [schema])[0]
    value = schema.get("default", {})
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return format_value(value)
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w.-]+", value) else f"`{value}`".replace("\n", "⏎")
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else ""


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)
