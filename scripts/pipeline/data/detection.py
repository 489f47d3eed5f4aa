"""Which source's rows a table has, by the names of its columns."""

from pipeline.columns.pairs import PAIR_RESPONSES
from pipeline.data.adapters import Adapter, adapter_for
from pipeline.jobs.parts import part_names

NEEDED = {"pku": {"preference": "helpful"}}


def adapter_of(present: list[str], columns: dict[str, str] | None = None) -> tuple[dict, Adapter]:
    """The source of a table, with the keys of an entry that it needs, and its adapter.

    A table with chosen and rejected, or whose columns are named, is plain; another one is of the source whose columns
    it has, else plain.

    Args:
        present: the table's columns.
        columns: columns by role, for `plain`.
    """
    if not columns and not set(PAIR_RESPONSES) <= set(present):
        for name in part_names("sources"):
            spec = {"source": name, **NEEDED.get(name, {})}
            adapter = adapter_for(spec)
            if not adapter.choose and set(adapter.columns) <= set(present) and name != "world":
                return spec, adapter
    spec = {"source": "plain", **({"columns": columns} if columns else {})}
    return spec, adapter_for(spec)
