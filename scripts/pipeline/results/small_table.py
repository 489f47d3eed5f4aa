"""The win rates as a table of a few columns, to be read on a terminal."""

import pandas as pd
from tabulate import tabulate

from pipeline.results import caveats

PLACE = ["dataset", "model", "decoding"]


def small_table(winrates: pd.DataFrame) -> str:
    """One line per run, with its win rate and interval against each baseline, in the order of the table.

    Args:
        winrates: as `pipeline.results.tables.read_table` reads it.

    Returns:
        Lines of ASCII but for names; dataset, model and decoding are told where there is more than one. What the rates
        of a run rest on stands beside them by name, and below the table in words.
    """
    told = [name for name in PLACE if winrates[name].nunique() > 1]
    columns = [f"against {name}" for name in dict.fromkeys(winrates["baseline"])]
    lines = []
    for _, rows in winrates.groupby([*PLACE, "run"], sort=False):
        found = rows.to_dict("records")
        rates = {f"against {row['baseline']}": _rate(row) for row in found}
        line = {name: found[0][name] for name in [*told, "run"]} | {name: rates.get(name) for name in columns}
        lines.append(line | {"rests on": caveats.of_rows(found).replace(caveats.SEPARATOR, ", ")})
    notes = caveats.notes(winrates.to_dict("records"))
    if not notes:
        lines = [{name: value for name, value in line.items() if name != "rests on"} for line in lines]
    return "\n".join([tabulate(lines, headers="keys", disable_numparse=True), *([""] if notes else []), *notes])


def _rate(row: dict) -> str:
    if pd.isna(row["win_rate"]):
        return "not known"
    return f"{row['win_rate']:.1f} [{row['win_rate_low']:.1f}, {row['win_rate_high']:.1f}]"
