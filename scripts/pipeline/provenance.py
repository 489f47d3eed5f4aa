"""Fingerprints of the code that makes a result, by which Snakemake tells what is stale."""

import ast
import hashlib
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]


@cache
def code_fingerprint(script: str) -> str:
    """A hash of what an entry script and the first-party modules that it imports, directly or not, compute.

    Comments, docstrings and formatting are not part of it.

    Args:
        script: file name in scripts/, such as "train_policy.py".
    """
    digest = hashlib.sha256()
    for path in sorted(_imported_files(SCRIPTS / script)):
        digest.update(path.relative_to(SCRIPTS).as_posix().encode() + _meaning(path).encode())
    return digest.hexdigest()[:16]


def _imported_files(script: Path) -> set[Path]:
    """The script and every first-party module that it imports, at module level or inside functions."""
    found, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += _imports(path)
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
    files = []
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            stem = SCRIPTS.joinpath(*parts[:length])
            files += [file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()]
    return tuple(files)


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
    """The module's syntax tree as text, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return _text(tree)


def _text(node) -> str:
    """A syntax tree as text, the same by every version of Python: the fields that newer ones add are empty."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return f"{type(node).__name__}({', '.join(f'{name}={_text(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    return repr(node)
