"""What a row of the win-rate table says of a run: better or worse than the baseline run, or no clear difference."""

import math

from pipeline.results.run_table import CHOSEN

# Of a corrected test; beyond it a difference counts as clear.
ALPHA = 0.05
BETTER, UNCLEAR, WORSE, UNKNOWN = "better", "no clear difference", "worse", "not compared"


def outcome(rows: dict[str, dict], baseline: str) -> str:
    """One of the four above: by the direct comparison with the baseline run, else by that of both with `chosen`.

    Args:
        rows: a run's rows of the win-rate table, by opponent.
    """
    direct, chosen = rows.get(baseline), rows.get(CHOSEN)
    if direct is not None and not math.isnan(direct["win_rate"]):
        return direct_outcome(direct)
    if chosen is not None and not math.isnan(chosen["difference"]):
        return difference_outcome(chosen)
    return UNKNOWN


def direct_outcome(row: dict) -> str:
    """Better (worse) where the interval of the win rate excludes 50%, and the corrected p-value, if any, is small."""
    return _clear(row, "win_rate", 50, "p_value_holm")


def difference_outcome(row: dict) -> str:
    """Likewise where the interval of the difference excludes 0."""
    return _clear(row, "difference", 0, "difference_p_value_holm")


def _clear(row: dict, column: str, even: float, test: str) -> str:
    if row.get(test, math.nan) >= ALPHA:
        return UNCLEAR
    if row[f"{column}_low"] > even:
        return BETTER
    return WORSE if row[f"{column}_high"] < even else UNCLEAR
