"""Where judge, reward model and labels disagree: on the runs' own responses, pair by pair."""

import pandas as pd

from pipeline.figures.agreement import agreement_figure
from pipeline.report.bad_answers import address
from pipeline.report.charts import Charts
from pipeline.report.section import Section
from pipeline.results.agreement import with_kl
from pipeline.results.run_table import CHOSEN, RunTable

APART = "reward-not-judge"  # the filter of the responses view


def agreement_section(
    table: RunTable, rows: list[dict], seeds: pd.DataFrame, labelled: list[dict], charts: Charts
) -> Section | None:
    """The section, None where there is nothing to compare.

    Args:
        rows: as `find_agreement` gives them.
        seeds: what each seed gave, as `pipeline.results.seed_table.seed_table` gives it, for the KL.
        labelled: rows of `pipeline.report.labelled_pairs.read_labelled_agreement`.
    """
    if not rows and not labelled:
        return None
    rows = [row | {"links": _links(table, row)} for row in rows]
    boards = [
        {"title": table.title_of(group), "rows": [row for row in rows if row["group"] == group]}
        for group in table.groups
    ]
    values = {
        "boards": [board for board in boards if board["rows"]],
        "figure": charts.place(agreement_figure(table, [with_kl(row, seeds) for row in rows])),
        "labelled": labelled,
    }
    return Section("agreement", "Where judges disagree", "agreement.jinja", values, "Agreement")


def _links(table: RunTable, row: dict) -> list[dict]:
    """To the pairs of each seed that the reward model decides for the run and the judge against it."""
    links, opponent = [], row["opponent"]
    for seed, count in row["apart"].items():
        right = opponent if opponent == CHOSEN else f"{opponent}:{seed}"
        href = address(table.title_of(row["group"]), row["run"], seed, right=right, filter=APART)
        links += [{"seed": seed, "count": count, "href": href}] if count else []
    return links
