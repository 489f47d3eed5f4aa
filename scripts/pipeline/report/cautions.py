"""What a reader should know before believing the numbers."""

import pandas as pd

from pipeline.results.run_table import RunTable


def cautions(table: RunTable, winrate: pd.DataFrame, cost: pd.DataFrame) -> list[str]:
    """Sentences, as far as the tables show it."""
    notes = []
    seeds = {len(run.seeds) for run in table.runs}
    if min(seeds) == 1:
        notes.append("Some runs have a single seed: their intervals say nothing about another training seed.")
    elif min(seeds) < 5:
        notes.append(
            f"Only {min(seeds)} seeds: where training seeds differ much, the intervals are too narrow; the standard "
            "deviation over seeds stands beside the win rates."
        )
    compared = sum(run.run != table.baseline for run in table.first.runs)
    if compared > 5:
        notes.append(
            f"{compared} runs are compared: each interval is for its run alone, and where nothing differs about one in "
            "twenty excludes 50% by chance; the p-values are corrected for that."
        )
    unparsed, parsed = int(winrate["unparsed"].sum()), int(winrate["n"].sum())
    if unparsed:
        notes.append(
            f"{unparsed} of {unparsed + parsed} verdicts were not parsed. They are counted, and stay out of the rates."
        )
    halved = cost.loc[cost["halved"] > 0, "run"].unique()
    if len(halved):
        notes.append(
            f"Memory ran out while these were trained, and they went on with smaller batches per device: "
            f"{', '.join(halved)}. Another training of them is the same but for rounding, not to the byte."
        )
    return notes
