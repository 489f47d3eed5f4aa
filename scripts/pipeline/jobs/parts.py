"""The parts of the pipeline that have a folder each: methods, sources of data, reward formats, judge kinds, backends.

A part is joined by the name of its folder: what it is called and takes in `description.py`, what it does in modules
beside it, on the floors that need them.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

PIPELINE = Path(__file__).resolve().parents[1]


def part_names(room: str) -> list[str]:
    """Names of a room's parts, in alphabetical order: its folders that hold a description.py."""
    return sorted(path.parent.name for path in (PIPELINE / room).glob("*/description.py"))


def load_part(room: str, name: str, floor: str) -> ModuleType:
    """One module of a part, e.g. ("methods", "dpr", "trainer")."""
    return import_module(f"pipeline.{room}.{name}.{floor}")


def all_parts(room: str, floor: str) -> dict[str, ModuleType]:
    """{name: that module} of every part of a room."""
    return {name: load_part(room, name, floor) for name in part_names(room)}
