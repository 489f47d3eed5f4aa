"""Fingerprints of the code that makes a result, by which Snakemake tells what is stale.

A fingerprint is of what modules compute, not of where they stand: paths and imports of the project's own modules are no
part of it, nor are comments, docstrings, and the texts of errors and of printed lines.
"""

import ast
import hashlib
from functools import cache
from itertools import accumulate
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]
OWN = ("pipeline", "sail")

# Modules that only say, watch or lock: whatever they do, results have the same values.
SILENT = (
    *("config/errors", "config/secrets", "tracking", "training/progress", "training/tracking"),
    *(f"jobs/{name}" for name in ("console", "forecast", "ownership", "progress", "provenance", "records")),
)


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
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    names = set()
    for node in ast.walk(_tree(path)):
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


@cache
def _loaded_parts(path: Path) -> list[tuple[str, str, bool]]:
    """(room, module, whether of every part) of each call of load_part and all_parts."""
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
    tree = _Computation().visit(ast.parse(path.read_text(encoding="utf-8")))
    return _text(tree) if tree.body else ""


class _Computation(ast.NodeTransformer):
    """Takes out of a syntax tree what changes no value: docstrings, own imports, texts of errors and printed lines."""

    def visit(self, node):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return super().visit(node)

    def visit_Import(self, node):
        node.names = [alias for alias in node.names if alias.name.split(".")[0] not in OWN]
        return node if node.names else None

    def visit_ImportFrom(self, node):
        return None if node.level or node.module.split(".")[0] in OWN else node

    def visit_If(self, node):
        self.generic_visit(node)  # what held imports alone, for type checkers, is empty now
        return node if node.body or node.orelse else None

    def visit_Raise(self, node):
        return _Wordless().visit(node)

    def visit_Expr(self, node):
        printed = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "print"
        return _Wordless().visit(node) if printed else self.generic_visit(node)


class _Wordless(ast.NodeTransformer):
    """Empties texts, those between the values of f-strings too."""

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node):
        node.values = [self.visit(value) for value in node.values if not isinstance(value, ast.Constant)]
        return node


def _text(node) -> str:
    """A syntax tree as text, the same by every version of Python: the fields that newer ones add are empty."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return f"{type(node).__name__}({', '.join(f'{name}={_text(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    return repr(node)
