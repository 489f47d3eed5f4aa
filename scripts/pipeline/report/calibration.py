"""The scored splits in the report: what was measured on each, with its figures."""

from pipeline.figures.calibration import calibration_figures
from pipeline.jobs.io import read_json
from pipeline.report.charts import Charts
from pipeline.report.numbers import spread
from pipeline.results.csv_tables import require

KEYS = ("dataset", "reward_model", "split", "pairs", "prompts", "ties", "accuracy", "brier", "ece", "margin")


def read_calibration(path: str) -> dict:
    """A scored split's JSON file.

    Returns:
        measured: as `pipeline.metrics.calibration` gives it, with the names dataset, reward_model and split; row: the
        measured numbers as one row of a table, accuracy in per cent.

    Raises:
        InputError: the file is missing or unreadable, or lacks a key.
    """
    measured = read_json(path)
    require(measured, (*KEYS, "chosen", "rejected"), path, "key")
    row = {key: measured[key] for key in KEYS[:6]} | spread("accuracy", measured["accuracy"], 100)
    return {"measured": measured, "row": row | spread("brier", measured["brier"])}


def with_figures(split: dict, charts: Charts) -> dict:
    """A scored split of `read_calibration` for the template rewards.jinja: with its figures, placed."""
    prefix = "calibration-" + "-".join(split["measured"][key] for key in KEYS[:3]) + "-"
    return split | {"figures": [charts.place(figure, prefix) for figure in calibration_figures(split["measured"])]}
