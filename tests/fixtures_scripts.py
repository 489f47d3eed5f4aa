"""Entry scripts with their modules imported anew, to see which ones a script really uses."""

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
ENTRIES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


def _own_modules() -> dict:
    """Modules of scripts/ that are imported, by name."""
    places = {
        name: getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
        for name, module in list(sys.modules.items())
    }
    return {name: sys.modules[name] for name, place in places.items() if str(place).startswith(f"{SCRIPTS}/")}


@contextmanager
def fresh_modules() -> Iterator[Callable[[], set[str]]]:
    """Inside, modules of scripts/ are imported anew; afterwards all is as before.

    Yields:
        A function that gives the files imported so far, as paths below scripts/.
    """
    before = _own_modules()
    for name in before:
        del sys.modules[name]

    def imported() -> set[str]:
        files = [module.__file__ for module in _own_modules().values() if getattr(module, "__file__", None)]
        return {Path(file).relative_to(SCRIPTS).as_posix() for file in files}

    try:
        yield imported
    finally:
        for name in _own_modules():
            del sys.modules[name]
        sys.modules.update(before)


def import_all(script: str, imported: Callable[[], set[str]]) -> set[str]:
    """Import an entry script and all first-party modules that it and they import anywhere, functions included.

    Python itself resolves each import statement. Returns the imported files, as paths below scripts/.
    """
    import_module(script)
    done: set[str] = set()
    while waiting := imported() - done:
        for file in sorted(waiting):
            done.add(file)
            tree = ast.parse((SCRIPTS / file).read_text(encoding="utf-8"))
            for room, module in _loaded_parts(tree):
                for path in sorted((SCRIPTS / "pipeline" / room).glob(f"*/{module}.py")):
                    import_module(".".join(path.relative_to(SCRIPTS).with_suffix("").parts))
            for node in ast.walk(tree):
                if isinstance(node, ast.Import | ast.ImportFrom) and _is_own(node):
                    exec(compile(ast.Module([node], []), file, "exec"), {})
    return done


def _loaded_parts(tree: ast.AST) -> list[tuple[str, str]]:
    """(room, module) of the calls of load_part and all_parts."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    calls = [call for call in calls if call.func.id in ("load_part", "all_parts")]
    texts = [[argument.value for argument in call.args if isinstance(argument, ast.Constant)] for call in calls]
    return [(found[0], found[-1]) for found in texts if len(found) >= 2]


def _is_own(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return any(name.split(".")[0] in ("pipeline", "sail") for name in names)
