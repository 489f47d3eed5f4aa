"""Fingerprints of the code that makes a result, by which Snakemake tells what is stale.

A fingerprint is of what modules compute, not of where they stand: paths and imports of the project's own modules are no
part of it, nor are comments, docstrings, and the texts of errors and of printed lines.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]
OWN = ("pipeline", "sail")

# Modules that only say, watch or lock: whatever they do, results have the same values.
SILENT = (
    *("config/errors", "config/secrets", "data/inspection", "tracking", "training/progress", "training/tracking"),
    *(f"jobs/{name}" for name in ("console", "forecast", "handover", "ownership", "progress", "provenance", "records")),
    "jobs/worker",
)

HELD = {"names", "body", "orelse"}  # what imports, ifs and modules are for


def code_fingerprint(script: str, *specs: dict) -> str:
    """A hash of what an entry script and the first-party modules that it imports, directly or not, compute.

    Args:
        script: file name in scripts/, such as "train_policy.py".
        specs: what its job is made from. Of the parts (`pipeline.jobs.parts`) that the script loads by name, those
            count that the specs name; of a room in which they name none, all.
    """
    return _hash(script, tuple(sorted({part for spec in specs for part in named_parts(spec)})))


def named_parts(spec: dict) -> list[tuple[str, str]]:
    """(room, name) of each part that a spec names."""
    keys = {"method": "methods", "source": "sources", "kind": "judge_kinds", "text_format": "reward_formats"}
    named = [(room, spec[key]) for key, room in keys.items() if spec.get(key)]
    return [*named, ("backends", spec["decoding"]["backend"])] if "decoding" in spec else named


@cache
def _hash(script: str, named: tuple[tuple[str, str], ...]) -> str:
    meanings = {_meaning(path) for path in _imported_files(SCRIPTS / script, named)} - {""}
    return hashlib.sha256("\n".join(sorted(meanings)).encode()).hexdigest()[:16]


def _imported_files(script: Path, named: tuple[tuple[str, str], ...] = ()) -> set[Path]:
    """The script and every first-party module that it imports, at module level or inside functions; not SILENT ones."""
    silent = {SCRIPTS / "pipeline" / f"{module}.py" for module in SILENT}
    found, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path in found or path in silent:
            continue
        found.add(path)
        waiting += _imports(path)
        for room, module, every in _loaded_parts(path):
            names = [name for other, name in named if other == room and not every] or ["*"]
            folder = SCRIPTS / "pipeline" / room
            waiting.append(folder / "__init__.py")
            waiting += [part for name in names for part in folder.glob(f"{name}/{module}.py")]
    return found


@cache
def user_code(path: Path, module: str | None = None) -> str:
    """A hash of what a user's module computes, and the modules that it imports from beside it, or from its package.

    It is read once in a process.

    Args:
        path: of the module.
        module: its dotted name, where it is one of a package; else the modules in its folder are beside it.

    Raises:
        SyntaxError, UnicodeDecodeError: one of them is no Python.
    """
    depth = 0 if module is None else module.count(".") + (path.name == "__init__.py")
    root, own = path.parents[depth], module.split(".")[0] if module else None
    trees: dict[Path, ast.Module] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in trees:
            continue
        trees[file] = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(trees[file]):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom):
                above = file.relative_to(root).parts[: -node.level] if node.level else ()
                base = ".".join([*above, *([node.module] if node.module else [])])
                names = {base} | {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
            places = [root.joinpath(*name.split(".")) for name in names if name and own in (None, name.split(".")[0])]
            files = (one for place in places for one in (place.with_suffix(".py"), place / "__init__.py"))
            waiting += [one for one in files if one.is_file()]
    return hashlib.sha256("\n".join(sorted(map(_text, trees.values()))).encode()).hexdigest()[:16]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    names = set()
    for node in _statements(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names |= {alias.name, *_exports(alias.name).values()}
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(SCRIPTS).parts[: -node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            exports = _exports(module)
            names |= {module} | {exports.get(alias.name, f"{module}.{alias.name}") for alias in node.names}
            names |= set(exports.values()) if any(alias.name == "*" for alias in node.names) else set()
    stems = {stem for name in names for stem in accumulate(name.split("."), Path.joinpath, initial=SCRIPTS)}
    files = (file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py"))
    return tuple(file for file in files if file.is_file())


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """What a syntax tree consists of, but for expressions: they hold no statements, and are most of it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield child
            yield from _statements(child)


@cache
def _loaded_parts(path: Path) -> list[tuple[str, str, bool]]:
    """(room, module, whether of every part) of each call of load_part and all_parts."""
    if not re.search("load_part|all_parts", path.read_text(encoding="utf-8")):
        return []
    calls = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        if ast.unparse(call.func) in ("load_part", "all_parts") and len(texts) >= 2:
            found.append((texts[0], texts[-1], ast.unparse(call.func) == "all_parts"))
    return found


@cache
def _exports(package: str) -> dict[str, str]:
    """What a package imports on first use, so that the importer of a name is known to need its module alone.

    Returns:
        {name: module}, as the package's `_EXPORTS` has it; empty for other modules.
    """
    path = SCRIPTS.joinpath(*package.split("."), "__init__.py")
    for node in _tree(path).body if path.is_file() else []:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_EXPORTS":
            return ast.literal_eval(node.value)
    return {}


@cache
def _meaning(path: Path) -> str:
    """What a module computes, as text; empty for a package that is just a folder."""
    return _text(_tree(path))


def _text(node, wordless: bool = False) -> str:
    """A syntax tree as text, the same by every version of Python: the fields that newer ones add are empty.

    What changes no value is left out: docstrings, own imports, texts of errors and of printed lines.

    Args:
        wordless: whether texts are empty; those between the values of f-strings are left out.

    Returns:
        Empty where all of it is left out.
    """
    if isinstance(node, list):
        text = ", ".join([text for part in node if (text := _text(part, wordless))])
        return f"[{text}]" if text else ""
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name in node._fields if (value := getattr(node, name, None)) is not None}
    if isinstance(node, ast.stmt | ast.Module):
        fields = _computed(node, fields)
        wordless = isinstance(node, ast.Raise) or _prints(node)
    elif wordless and isinstance(node, ast.Constant) and isinstance(node.value, str):
        fields = {"value": ""}
    elif wordless and isinstance(node, ast.JoinedStr):
        fields = {"values": [value for value in node.values if not isinstance(value, ast.Constant)]}
    texts = {name: text for name, value in fields.items() if (text := _text(value, wordless))}
    if isinstance(node, ast.Module | ast.If | ast.Import | ast.ImportFrom) and not HELD & texts.keys():
        return ""  # such as an if that held imports alone, for type checkers
    return f"{type(node).__name__}({', '.join([f'{name}={text}' for name, text in texts.items()])})"


def _computed(node: ast.stmt | ast.Module, fields: dict) -> dict:
    """The fields of a statement or module, without its docstring and own imports."""
    if isinstance(node, ast.ImportFrom) and (node.level or node.module.split(".")[0] in OWN):
        return {}
    if isinstance(node, ast.Import):
        return {"names": [alias for alias in node.names if alias.name.split(".")[0] not in OWN]}
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if documented and ast.get_docstring(node, clean=False) is not None:
        return fields | {"body": node.body[1:]}
    return fields


def _prints(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"
