"""What win rates are weighed against, and the Pareto front in words.

Rows are those of `pipeline.results.winrate_vs_cost`. Snakemake reads this module for the captions of its report.
"""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.jobs.forecast import duration

LIKELY = 0.05  # share of resamples from which on a run might be on the front
MOST_NAMED = 6  # of a front; between the cheapest and the best of them the rest are counted


@dataclass(frozen=True)
class Axis:
    """A measure of cost.

    Attributes:
        column: of the table.
        name: for a choice among them, and in sentences.
        title: beside the axis of a chart.
        unit: seconds, dollars, or what is counted.
        counts: what is counted, as a sentence; "" where the title says it.
    """

    column: str
    name: str
    title: str
    unit: str
    counts: str = ""


# The first one that is known of any run is the default.
AXES = (
    Axis(
        "device_seconds",
        "device time",
        "device time of one training",
        "seconds",
        "Device time is the training's own, sampling included, and its share of the prepared data, the SFT model, the "
        "reference and, where it asks one, the reward model, each shared out equally to the trainings that need it.",
    ),
    Axis("training_seconds", "training time", "time of one training itself", "seconds"),
    Axis("steps", "optimizer steps", "optimizer steps of one training", "steps"),
    Axis(
        "tokens",
        "tokens",
        "tokens of one training",
        "tokens",
        "Tokens are those trained on, both responses of a pair with their prompt, and those sampled.",
    ),
    Axis(
        "dollars", "dollars", "dollars for one training", "dollars", "Dollars are the device's price for device time."
    ),
)


def known_axes(rows: Sequence[dict]) -> list[Axis]:
    """The axes on which the cost and win rate of any run are known; the first is the default."""
    return [axis for axis in AXES if any(is_known(row, axis) for row in rows)]


def is_known(row: dict, axis: Axis) -> bool:
    """Whether a row has both a cost and a win rate."""
    return math.isfinite(row[axis.column]) and math.isfinite(row["win_rate"])


def front_of(rows: Iterable[dict], axis: Axis) -> list[dict]:
    """The rows on the front, the cheapest first."""
    return sorted((row for row in rows if axis.column in row["front"].split()), key=lambda row: row[axis.column])


def front_sentence(rows: Sequence[dict], axis: Axis) -> str:
    """Which runs of a (dataset, model, decoding) no other one beats at their cost; "" where no cost is known."""
    known, front = [row for row in rows if is_known(row, axis)], front_of(rows, axis)
    if not known:
        return ""
    if len(known) == 1:
        return f"The cost of {known[0]['name']} alone is known: {cost_words(known[0], axis)}."
    named = _ends([_with_numbers(row, axis) for row in front])
    if len(front) == 1:
        return f"No other run costs less {axis.name} or wins more than {named[0]}."
    listed = f"{', '.join(named[:-1])} and {named[-1]}"
    return f"On the Pareto front of win rate against {axis.name}: {listed}."


def certainty_sentence(rows: Sequence[dict], axis: Axis) -> str:
    """How often each run of the front of the default axis is on that of a resample.

    "" with fewer than two runs, or where nothing was resampled.
    """
    front, known = front_of(rows, axis), [row for row in rows if is_known(row, axis)]
    shares = _ends([f"{row['name']} in {100 * row['front_share']:.0f}%" for row in front])
    others = [row for row in known if row not in front and row["front_share"] >= LIKELY]
    if len(known) < 2 or any(math.isnan(row["front_share"]) for row in front):
        return ""
    text = f"In resamples of seeds and prompts these are on the front: {', '.join(shares)}"
    if others:
        best = max(others, key=lambda row: row["front_share"])
        text += f"; of the others {best['name']} most often, in {100 * best['front_share']:.0f}%"
    return f"{text}."


def unknown_sentence(rows: Sequence[dict], axis: Axis) -> str:
    """Which runs are left out, and why; "" where none is."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if not is_known(row, axis):
            reasons.setdefault(row["unknown"] or "not counted", []).append(row["name"])
    parts = [f"{', '.join(_shortened(names))} ({reason})" for reason, names in reasons.items()]
    return f"Left out, as their cost is not known: {'; '.join(parts)}." if parts else ""


def cost_words(row: dict, axis: Axis) -> str:
    """A cost for readers: "5 min 3 s of device time", "300 optimizer steps"."""
    value = row[axis.column]
    if axis.unit == "seconds":
        return f"{duration(value)} of {axis.name}"
    return f"{value:,.2f} dollars" if axis.unit == "dollars" else f"{value:,.0f} {axis.name}"


def caption(path: Path) -> str:
    """The fronts of a written table as reStructuredText for captions, "" where the table is not there."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", newline="") as handle:
        rows = [_with_floats(row) for row in csv.DictReader(handle) if row.get("run")]
    axes = known_axes(rows)
    groups: dict[tuple[str, ...], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["model"], row["decoding"]), []).append(row)
    lines = []
    for group, own in groups.items() if axes else ():
        said = (of(own, axes[0]) for of in (front_sentence, certainty_sentence, unknown_sentence))
        sentences = " ".join(filter(None, said))
        lines.append(f"{', '.join(filter(None, group))}: {sentences}" if len(groups) > 1 else sentences)
    return "\n\n".join(re.sub(r"([\\*`_|])", r"\\\1", line) for line in lines)


def _ends(texts: list[str]) -> list[str]:
    """Texts with the middle ones of very many counted instead."""
    half = MOST_NAMED // 2
    return texts if len(texts) <= MOST_NAMED else [*texts[:half], f"{len(texts) - MOST_NAMED} more", *texts[-half:]]


def _with_numbers(row: dict, axis: Axis) -> str:
    cost = duration(row[axis.column]) if axis.unit == "seconds" else cost_words(row, axis)
    return f"{row['name']} ({row['win_rate']:.1f}% for {cost})"


def _shortened(names: list[str]) -> list[str]:
    return names if len(names) <= MOST_NAMED else [*names[:MOST_NAMED], f"{len(names) - MOST_NAMED} more"]


def _with_floats(row: dict) -> dict:
    """A row of text with what sentences need as numbers."""
    columns = ("win_rate", "front_share", *(axis.column for axis in AXES))
    return row | {column: float(row[column] or "nan") for column in columns}
