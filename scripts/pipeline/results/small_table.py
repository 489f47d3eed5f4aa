"""The win rates as a table of a few columns, to be read on a terminal."""

import pandas as pd
from tabulate import tabulate

PLACE = ["dataset", "model"]


def small_table(winrates: pd.DataFrame) -> str:
    """One line per run, with its win rate and interval against each baseline, in the order of the table.

    Args:
        winrates: as `pipeline.results.tables.read_table` reads it.

    Returns:
        Lines of ASCII but for names; the dataset and the model are told where there is more than one.
    """
    told = [name for name in PLACE if winrates[name].nunique() > 1]
    lines: dict[tuple, dict[str, str]] = {}
    for row in winrates.to_dict("records"):
        line = lines.setdefault(tuple(row[name] for name in [*PLACE, "run"]), {})
        line |= {name: row[name] for name in [*told, "run"]}
        line[f"against {row['baseline']}"] = _rate(row)
    return tabulate(list(lines.values()), headers="keys", disable_numparse=True)


def _rate(row: dict) -> str:
    if pd.isna(row["win_rate"]):
        return "not known"
    return f"{row['win_rate']:.1f} [{row['win_rate_low']:.1f}, {row['win_rate_high']:.1f}]"
