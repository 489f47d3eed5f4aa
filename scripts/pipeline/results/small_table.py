"""The win rates as a table of a few columns, to be read on a terminal."""

import pandas as pd
from tabulate import tabulate

from pipeline.columns.prompts import CHECK, REFERENCE
from pipeline.results import caveats
from pipeline.results.opponents import rate_title
from pipeline.results.outcomes import BETTER, WORSE, difference_outcome, direct_outcome
from pipeline.results.tables import SET

PLACE = ["dataset", "model", "decoding"]
SIGNS = {BETTER: " +", WORSE: " -"}


def small_table(winrates: pd.DataFrame) -> str:
    """One line per run, with its win rate and interval against each baseline, in the order of the table.

    Args:
        winrates: as `pipeline.results.tables.read_set_rates` reads it.

    Returns:
        Lines of ASCII but for names; dataset, model and decoding are told where there is more than one. What the rates
        of a run rest on stands beside them by name, and below the table in words. Where there are sets of prompts, the
        split's table is followed by runs by sets.
    """
    if SET in winrates.columns:
        own = winrates[winrates[SET] == winrates[SET].iloc[0]].drop(columns=SET)
        return f"{small_table(own)}\n\n{_by_set(winrates)}"
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


def _by_set(rates: pd.DataFrame) -> str:
    """Runs by sets, a table for each kind of opponent, with a sign where a run is clearly better or worse."""
    split, beside = rates[SET].iloc[0], rates[rates[SET] != rates[SET].iloc[0]]
    own = {CHECK, REFERENCE}
    against = [*(name for name in dict.fromkeys(beside["baseline"]) if name not in own), CHECK, REFERENCE]
    told = [name for name in PLACE if rates[name].nunique() > 1]
    parts = ["By set of prompts; + or - behind a rate: clearly better or worse than the baseline run."]
    for opponent in against:
        rows = rates[(rates["baseline"] == opponent) & (rates["decoding"].isin(beside["decoding"]))]
        names = dict.fromkeys(rows[SET])
        if not set(names) - {split}:
            continue
        of = difference_outcome if opponent in own else direct_outcome
        lines = []
        for _, found in rows.groupby([*PLACE, "run"], sort=False):
            cells = {row[SET]: f"{_rate(row, 0)}{SIGNS.get(of(row), '')}" for row in found.to_dict("records")}
            lines.append(found.iloc[0][[*told, "run"]].to_dict() | {name: cells.get(name) for name in names})
        title = rate_title(opponent)
        parts += [f"\n{title[0].upper()}{title[1:]}:\n", tabulate(lines, headers="keys", disable_numparse=True)]
    return "\n".join(parts)


def _rate(row: dict, digits: int = 1) -> str:
    if pd.isna(row["win_rate"]):
        return "not known"
    rate, low, high = (f"{row[f'win_rate{end}']:.{digits}f}" for end in ("", "_low", "_high"))
    return f"{rate} [{low}, {high}]"
