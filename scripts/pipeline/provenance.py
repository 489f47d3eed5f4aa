"""Records of what a result was made from, and fingerprints of the code that makes it."""

import ast
import hashlib
import importlib.metadata
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pipeline.io import write_json

SCRIPTS = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "transformers", "trl", "datasets", "accelerate", "peft", "snakemake")


def write_provenance(path: Path, spec: dict, inputs: list[Path], device=None) -> None:
    """Write the record of a result as JSON: spec, hashes of its inputs, versions, device, commit and time.

    Args:
        path: record to write.
        spec: the resolved spec that the result was made from.
        inputs: files that were read.
        device: a `pipeline.devices.Device`, if one was used.
    """
    record = {
        "spec": spec,
        "inputs": {str(file): hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in inputs},
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": device and {"name": device.name, "type": device.type, "dtype": str(device.dtype)},
        "commit": commit(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(record, path)


def commit() -> str | None:
    """The commit of the code, with "-dirty" where tracked files differ from it; None outside a git checkout."""
    command = ["git", "-C", str(SCRIPTS), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


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
    return ast.dump(tree)
