"""The function of a judge of kind check: where it is, and what it computes."""

import ast
import importlib.util
from pathlib import Path

from pipeline.config.errors import Problem
from pipeline.jobs.provenance import user_code


def with_code(entry: dict, folder: Path, root: Path, file: str) -> dict:
    """A judge's entry whose function is found from the working directory, with the hash of its code.

    Nothing of it is run: its modules are read.

    Args:
        folder: of the judge; a function in a file is found from there.
        root: folder that holds config/.
        file: name of judge.yaml in messages.

    Returns:
        The entry; `function` has a path from `root` where that holds the file; `code` is a hash of what the function's
        module computes, and the modules beside it, or of its package, that it imports.

    Raises:
        ConfigError: there is no such file or module, no such function in it, or it cannot be read as Python.
    """
    place, _, name = entry["function"].rpartition(":")
    is_file = place.endswith(".py")
    path = folder / Path(place).expanduser() if is_file else module_path(place)
    if path is None or not path.is_file():
        what = f"there is no file {path}" if is_file else f"there is no module {place} with a source here"
        raise Problem(("function",), f"{entry['function']}; {what}", "check.py:is_right").error(file, entry)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        code = user_code(path, None if is_file else place)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise Problem(("function",), f"{path} cannot be read as Python ({error})").error(file, entry) from error
    if name not in (known := _names(tree)):
        text = f"{entry['function']}; {path} defines no {name}, but {', '.join(sorted(known)) or 'nothing'}"
        raise Problem(("function",), text, f"{place}:{next(iter(sorted(known)), 'is_right')}").error(file, entry)
    where = path.resolve()
    inside = where.is_relative_to(root.resolve())
    written = (where.relative_to(root.resolve()) if inside else where).as_posix() if is_file else place
    return entry | {"function": f"{written}:{name}", "code": code}


def module_path(module: str) -> Path | None:
    """The source file of a module; None where there is none."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found and found.origin and found.origin.endswith(".py") else None


def _names(tree: ast.Module) -> set[str]:
    """What a module defines at its top, or imports from others."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found
