"""The leaderboard: runs by their Bradley-Terry rating, with their win rates and tests."""

import pandas as pd

from pipeline.report.section import Section
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import CHOSEN, RunTable

DIRECT = ("win_rate", "win_rate_low", "win_rate_high")


def leaderboard_section(table: RunTable, winrate: pd.DataFrame, figure: dict) -> Section:
    """The section.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        figure: the ratings' figure, placed.
    """
    boards = [
        {"dataset": group[0], "model": group[1], "rows": leaderboard(table, winrate, group)} for group in table.groups
    ]
    return Section("leaderboard", "Leaderboard", "leaderboard.jinja", {"boards": boards, "figure": figure})


def leaderboard(table: RunTable, winrate: pd.DataFrame, group: tuple[str, str]) -> list[dict]:
    """Rows of one (dataset, model), highest rating first: those against chosen, with `direct` against the baseline."""
    rows = rows_of(winrate, group)
    names = {name: name.replace("win_rate", "direct") for name in DIRECT}
    direct = rows[rows["baseline"] == table.baseline].set_index("run")[list(DIRECT)].rename(columns=names)
    ranked = rows[rows["baseline"] == CHOSEN].sort_values("rating", ascending=False, kind="stable", na_position="last")
    return ranked.join(direct, on="run").to_dict("records")
