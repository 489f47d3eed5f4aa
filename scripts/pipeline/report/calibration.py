"""The scored splits in the report: what was measured on each, with its figures."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from pipeline.io import InputError, read_json
from pipeline.report.svg import inline_svg

FIGURES = {
    "reliability": (
        "Reliability",
        "How often the reward model prefers the dataset's chosen response, over how sure it is, with 95% interval. "
        "Below the dashed line it is too sure.",
    ),
    "margins": (
        "Margins",
        "Score of the chosen response minus that of the rejected one. Right of zero the reward model orders the pair "
        "as the dataset does.",
    ),
    "lengths": (
        "Scores and lengths",
        "Score over the length of the response. Lines are means of ten groups of like length, points single responses.",
    ),
}
KEYS = ("dataset", "reward_model", "split", "pairs", "prompts", "ties", "accuracy", "brier", "ece", "margin")


@dataclass(frozen=True)
class ScoredSplit:
    """One scored split.

    Attributes:
        measured: as `pipeline.calibration.calibration` gives it, with the names dataset, reward_model and split.
        row: the measured numbers as one row of a table, accuracy in per cent.
        figures: (name, title, caption, drawing).
    """

    measured: dict
    row: dict
    figures: list[tuple[str, str, str, Markup]]


def read_calibration(path: str) -> ScoredSplit:
    """A scored split's JSON file and the figures in the folder of the same name beside it.

    Raises:
        InputError: a file is missing or unreadable, or the JSON lacks a key.
    """
    measured = read_json(path)
    for key in (*KEYS, "chosen", "rejected"):
        if key not in measured:
            raise InputError(f"{path}: no key {key!r}; it must have {', '.join((*KEYS, 'chosen', 'rejected'))}")
    names = "-".join(measured[key] for key in KEYS[:3])
    figures = []
    for name, (title, caption) in FIGURES.items():
        place = f"calibration-{names}-{name}"
        spoken = f"{title}, {measured['dataset']}, split {measured['split']}"
        drawing = Markup(inline_svg(Path(path).with_suffix("") / f"{name}.svg", place, spoken))
        figures.append((place, title, caption, drawing))
    row = {key: measured[key] for key in KEYS[:6]}
    for key, scale in (("accuracy", 100), ("brier", 1)):
        for end, name in (("", "value"), ("_low", "low"), ("_high", "high")):
            value = measured[key][name]
            row[f"{key}{end}"] = None if value is None else scale * value
    return ScoredSplit(measured, row, figures)
