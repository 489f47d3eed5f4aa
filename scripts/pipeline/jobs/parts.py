"""Parts: things of which there are several kinds, each in a folder of its own, known by the folder's name.

A room of parts, such as `methods`, has a folder for each. Its `description.py` is data: what the part is called and
takes. Beside it a module of a higher floor does the work (`trainer.py`, `adapter.py`, …). Nothing lists the folders.

`pipeline.jobs.provenance` finds these calls in the code, for which room and module are written out there.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

PIPELINE = Path(__file__).resolve().parents[1]


@cache
def part_names(room: str) -> list[str]:
    """Names of a room's parts, in the order that their descriptions give them."""
    names = sorted(path.parent.name for path in PIPELINE.glob(f"{room}/*/description.py"))
    return sorted(names, key=lambda name: import_module(f"pipeline.{room}.{name}.description").ORDER)


def load_part(room: str, name: str, module: str) -> ModuleType:
    """A part's module.

    Args:
        room: folder of scripts/pipeline.
        name: of the part.
        module: such as "description".

    Raises:
        KeyError: there is no such part.
    """
    if name not in part_names(room):
        raise KeyError(f"{room} has no {name!r}; it has {', '.join(part_names(room))}")
    return import_module(f"pipeline.{room}.{name}.{module}")


def all_parts(room: str, module: str) -> dict[str, ModuleType]:
    """That module of every part of a room, by the parts' names."""
    return {name: load_part(room, name, module) for name in part_names(room)}
