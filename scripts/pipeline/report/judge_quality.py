"""The judges in the report: how well each agrees with the labels of its dataset's own pairs."""

from pipeline.jobs.io import read_json
from pipeline.metrics.judge_quality import MEASURES
from pipeline.report.numbers import spread
from pipeline.report.section import Section
from pipeline.results.csv_tables import require

NAMES = ("dataset", "split", "judge", "kind", "model")
COUNTS = ("pairs", "verdicts", "parsed", "unparsed", "refused", "failed", "ties")
PERCENT = tuple(name for name in MEASURES if name != "kappa")


def read_judge_quality(path: str) -> dict:
    """A judge's measured quality as one row of a table.

    Returns:
        NAMES and COUNTS as they are; each of MEASURES with its interval (`_low`, `_high`), shares in per cent, None
        where it was not measured; unjudged: verdicts that are not parsed.

    Raises:
        InputError: the file is missing or unreadable, or lacks a key.
    """
    measured = read_json(path)
    require(measured, (*NAMES, *COUNTS, *MEASURES), path, "key")
    row = {key: measured[key] for key in (*NAMES, *COUNTS)}
    row["unjudged"] = row["verdicts"] - row["parsed"]
    for name in MEASURES:
        row |= spread(name, measured[name], 100 if name in PERCENT else 1)
    return row


def judge_section(judges: list[dict]) -> Section:
    """The section of the judges, from the rows that `read_judge_quality` gives."""
    return Section("judges", "The judge", "judge.jinja", {"judges": judges}, "Judge")
