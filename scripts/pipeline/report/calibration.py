"""The scored splits in the report: what was measured on each, with its figures."""

from dataclasses import dataclass

from pipeline.figures.calibration import calibration_figures
from pipeline.jobs.io import read_json
from pipeline.report.charts import Charts
from pipeline.report.numbers import spread
from pipeline.results.csv_tables import require

KEYS = ("dataset", "reward_model", "split", "pairs", "prompts", "ties", "accuracy", "brier", "ece", "margin")


@dataclass(frozen=True)
class ScoredSplit:
    """One scored split.

    Attributes:
        measured: as `pipeline.metrics.calibration` gives it, with the names dataset, reward_model and split.
        row: the measured numbers as one row of a table, accuracy in per cent.
    """

    measured: dict
    row: dict


def read_calibration(path: str) -> ScoredSplit:
    """A scored split's JSON file.

    Raises:
        InputError: the file is missing or unreadable, or lacks a key.
    """
    measured = read_json(path)
    require(measured, (*KEYS, "chosen", "rejected"), path, "key")
    row = {key: measured[key] for key in KEYS[:6]} | spread("accuracy", measured["accuracy"], 100)
    return ScoredSplit(measured, row | spread("brier", measured["brier"]))


def calibration_figures_of(split: ScoredSplit, charts: Charts) -> dict:
    """A scored split for the template rewards.jinja: measured, row and the placed figures."""
    prefix = "calibration-" + "-".join(split.measured[key] for key in KEYS[:3]) + "-"
    figures = [charts.place(figure, prefix) for figure in calibration_figures(split.measured)]
    return {"measured": split.measured, "row": split.row, "figures": figures}
