"""The report: one self-contained HTML page, readable offline, without scripts and without any request to the network.

Everything in it that comes from data, models or configs is text: Jinja escapes it, and the page's own content policy
forbids scripts and requests.
"""

import re
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from pipeline import statistics
from pipeline.io import InputError
from pipeline.report.calibration import ScoredSplit
from pipeline.report.cards import card_view
from pipeline.report.findings import caveats, group_findings
from pipeline.report.samples import sample_prompts
from pipeline.report.svg import inline_svg
from pipeline.run_table import CHOSEN, RunTable

FIGURES = {
    "winrate": (
        "Win rates",
        "Share of prompts on which the judge prefers the run's response, with 95% interval. An interval that "
        "crosses the dashed line at 50% shows no clear difference.",
    ),
    "reward": (
        "Rewards",
        "Mean score that the reward model gives to the responses, with 95% interval. A method that was trained on the "
        "same reward model is expected to score well here; the win rates are the judge's word.",
    ),
    "winrate_vs_kl": (
        "Win rate and distance from the reference",
        "How much win rate a run buys with how much divergence from the SFT model. Up and to the left is better.",
    ),
    "learning_curves": (
        "Learning curves",
        "Mean over seeds, with a band from the lowest to the highest seed. Losses of different methods are of "
        "different objectives: compare their course, not their height.",
    ),
}
# Characters that have no place in an HTML page: control characters, and surrogates that UTF-8 cannot hold.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def render_report(
    table: RunTable,
    winrate: pd.DataFrame,
    cost: pd.DataFrame,
    figures: str | Path,
    cards: list[dict],
    scores: list[dict],
    splits: list[ScoredSplit],
    judges: list[dict] = (),
) -> str:
    """The whole page.

    Args:
        table: the run table.
        winrate: the win-rate table, as `pipeline.tables.read_table` gives it.
        cost: the cost table, likewise.
        figures: folder with the SVG figures named in `FIGURES`.
        cards: data cards; whatever keys they have are shown.
        scores: rows of the comparison of the runs' scores with the pairs', as `read_comparison` gives them.
        splits: calibration of the scored splits, as `read_calibration` gives it.
        judges: rows of the judges' measured quality, as `read_judge_quality` gives them.

    Raises:
        InputError: a figure is missing or unsafe, a card is no JSON object, or a run's files are at fault.
    """
    for card in cards:
        if not isinstance(card, dict):
            raise InputError(f"a data card must be a JSON object, not {type(card).__name__}")
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval}
    return environment.get_template("report.html.jinja").render(
        table=table,
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        groups=[group_findings(table, winrate, group) for group in table.groups],
        caveats=caveats(table, winrate),
        winrate=winrate.to_dict("records"),
        cost=cost.to_dict("records"),
        figures=[
            (name, title, caption, Markup(inline_svg(Path(figures) / f"{name}.svg", name, title)))
            for name, (title, caption) in FIGURES.items()
        ],
        cards=[card_view(card) for card in cards],
        scores=scores,
        splits=splits,
        judges=judges,
        samples=[sample_prompts(table, group) for group in table.groups],
        chosen=CHOSEN,
        resamples=statistics.RESAMPLES,
    )


def number(value: object, digits: int = 1, sign: bool = False) -> str:
    """A number for readers: fixed digits, a true minus sign, a dash where there is none."""
    if not isinstance(value, int | float) or value != value:
        return "–"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    if not text.strip("+-0."):
        text = text.strip("+-")
    return text.replace("-", "−")


def interval(row: dict, column: str, digits: int = 1) -> str:
    """The 95% interval of a column as "low to high", empty where there is none."""
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    return "" if low is None or low != low else f"{number(low, digits)} to {number(high, digits)}"


def _printable(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return UNPRINTABLE.sub("\ufffd", value)
