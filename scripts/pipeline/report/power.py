"""What difference the runs could show, beside the headline."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from pipeline.metrics.bootstrap import all_prompts, cell_matrix, order_means
from pipeline.metrics.power import detectable, pooled, spread_of
from pipeline.report.section import Section
from pipeline.results.run_table import Run, RunTable


def with_power(section: Section, table: RunTable, read: Callable[[Run, int, str], pd.DataFrame]) -> Section:
    """The answer's section with a sentence for each group whose runs were compared with the baseline run."""
    sentences = [text for group in table.groups if (text := power_sentence(table, group, read))]
    return replace(section, values=section.values | {"power": sentences})


def power_sentence(
    table: RunTable, group: tuple[str, ...], read: Callable[[Run, int, str], pd.DataFrame]
) -> str | None:
    """What these seeds and prompts can show, by the spread of the verdicts themselves; None without comparisons.

    Args:
        read: gives the verdicts of a run, seed and opponent.
    """
    spreads, sizes = [], []
    for run in table.runs_of(group):
        if run.run == table.baseline or table.baseline not in run.baselines:
            continue
        means = {seed: 100 * order_means(read(run, seed, table.baseline)) for seed in run.seeds}
        cells = cell_matrix(means, run.seeds, all_prompts(means))
        if (spread := spread_of(cells)) is not None:
            spreads.append(spread)
            sizes.append(cells.shape)
    spread = pooled(spreads)
    if spread is None:
        return None
    seeds, prompts = (min(size[axis] for size in sizes) for axis in (0, 1))
    single, first = (detectable(spread, seeds, prompts, count) for count in (1, len(spreads)))
    several = f", {first:.1f} as the one of {len(spreads)} runs that is looked at first" if len(spreads) > 1 else ""
    named = f"{table.title_of(group)}: " if len(table.groups) > 1 else ""
    alone = " One seed says nothing of another training." if seeds == 1 else ""
    return (
        f"{named}{seeds} seed{'s' if seeds > 1 else ''} and {prompts} prompts, by how much these verdicts vary, show a "
        f"difference from 50% of {single:.1f} points in 4 of 5 cases{several}; smaller ones often stay unseen.{alone}"
    )
