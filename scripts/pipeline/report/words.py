"""The answer as plain text, for places that show no page."""

import pandas as pd

from pipeline.report.findings import group_findings
from pipeline.report.selection import selection_of
from pipeline.results.run_table import RunTable


def answer_in_words(table: RunTable, winrate: pd.DataFrame, selection: pd.DataFrame | None) -> str:
    """Lead and headline of each (dataset, model), a paragraph each, which the first names where there are several.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        selection: that of the same runs on the selection split, None where there is none.
    """
    chosen = selection_of(table, winrate, selection)
    found = [group_findings(table, winrate, group, chosen) for group in table.first.groups]
    parts = [
        f"{of.title}: {of.lead}\n\n{of.headline}" if len(found) > 1 else f"{of.lead}\n\n{of.headline}" for of in found
    ]
    return "\n\n".join(parts) + "\n"
