"""The answer as plain text, for places that show no page."""

from collections.abc import Sequence

import pandas as pd

from pipeline.report.by_set import set_sentences
from pipeline.report.findings import group_findings
from pipeline.report.selection import selection_of
from pipeline.results.run_table import RunTable, read_verdicts
from pipeline.results.set_results import SetResults


def answer_in_words(
    table: RunTable, winrate: pd.DataFrame, selection: pd.DataFrame | None, sets: Sequence[SetResults] = ()
) -> str:
    """Lead and headline of each (dataset, model), a paragraph each, which the first names where there are several.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        selection: that of the same runs on the selection split, None where there is none.
        sets: results on sets of prompts; behind the lead it is said where they differ.
    """
    chosen = selection_of(table, winrate, selection)
    groups, parts = table.first.groups, []
    for group in groups:
        of = group_findings(table, winrate, group, chosen)
        lead = " ".join(filter(None, (of.lead, set_sentences(table, winrate, group, sets, read_verdicts, chosen))))
        parts.append(f"{of.title}: {lead}\n\n{of.headline}" if len(groups) > 1 else f"{lead}\n\n{of.headline}")
    return "\n\n".join(parts) + "\n"
