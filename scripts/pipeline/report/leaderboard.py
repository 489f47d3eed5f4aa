"""The leaderboard: runs by their Bradley-Terry rating, with their win rates and tests."""

import pandas as pd

from pipeline.report.section import Section
from pipeline.results.caveats import reasons
from pipeline.results.csv_tables import rows_of
from pipeline.results.opponents import CALLED, rate_name
from pipeline.results.run_table import RunTable
from pipeline.results.set_table import ALL

DIRECT = ("win_rate", "win_rate_low", "win_rate_high")


def leaderboard_section(table: RunTable, winrate: pd.DataFrame, figure: dict) -> Section:
    """The section.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        figure: the ratings' figure, placed.
    """
    boards = []
    for group in table.groups:
        rows = leaderboard(table, winrate, group)
        limited = any(row["reasons"] for row in rows)
        boards.append({"title": table.title_of(group), "rows": rows, "limited": limited})
    values = {"boards": boards, "figure": figure, "against": CALLED.get(table.common, table.common)}
    values |= {
        "rate": rate_name(table.common),
        "is_rated": table.split != ALL,
        "direct": table.common != table.baseline,
    }
    return Section("leaderboard", "Leaderboard", "leaderboard.jinja", values)


def leaderboard(table: RunTable, winrate: pd.DataFrame, group: tuple[str, ...]) -> list[dict]:
    """Rows of a group, each against what all stand against, highest rating first.

    `direct` is against the baseline, `reasons` what a row rests on.
    """
    rows = rows_of(winrate, group)
    names = {name: name.replace("win_rate", "direct") for name in DIRECT}
    direct = rows[rows["baseline"] == table.baseline].set_index("run")[list(DIRECT)].rename(columns=names)
    ranked = rows[rows["baseline"] == table.common].sort_values(
        ["rating", "win_rate"], ascending=False, kind="stable", na_position="last"
    )
    ranked = ranked.join(direct, on="run")
    return ranked.assign(reasons=ranked["caveats"].map(reasons)).to_dict("records")
