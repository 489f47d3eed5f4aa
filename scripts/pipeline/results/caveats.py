"""What a row of the win-rate table rests on, by name in its column `caveats`, and how that changes what is said.

`pipeline.results.limits` finds out which hold. Whoever tells of the table's numbers (report, cards, terminal, captions
of Snakemake's report) takes the words of a claim from `claim` and `qualifiers`, and puts `reasons` beside the number.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FEW_PROMPTS = 100
SEPARATOR = ";"
MOST_NAMES = 6  # of runs in a sentence


@dataclass(frozen=True)
class Caveat:
    """One reason to claim less.

    Attributes:
        name: in the column `caveats`; names stay as they are.
        when: a row has it, for the guide.
        reason: beside a number.
        words: in a claim about one run.
        many: in a claim about several.
        circular: whether it takes the place of "beats", as the judge is no stranger to the run.
    """

    name: str
    when: str
    reason: str
    words: str
    many: str = ""
    circular: bool = False


CAVEATS = (
    Caveat(
        "own-reward",
        "the judge is the reward model that labelled the run's pairs",
        "judged by the reward model that labelled its pairs: it was trained to please this judge",
        "by its own reward model",
        "by their own reward model",
        circular=True,
    ),
    Caveat(
        "shared-reward-data",
        "the judge and the reward model that labelled the run's pairs are trained on pairs of the same prompts",
        "judged by a reward model that was trained on data of the one that labelled its pairs",
        "by a reward model that shares data with its own",
        "by a reward model that shares data with their own",
        circular=True,
    ),
    Caveat(
        "opponent-reward",
        "the judge labelled the pairs of the run that it is compared with, or shares data with what did",
        "the judge labelled the pairs of what it is compared with, or shares data with the reward model that did",
        "by a judge that is no stranger to what it is compared with",
    ),
    Caveat(
        "judge-like-a-coin",
        "the judge's agreement with the dataset's labels (results/judge_quality) cannot be told from 50%",
        "the judge's agreement with the dataset's labels cannot be told from a coin's",
        "by a judge that cannot be told from a coin",
    ),
    Caveat(
        "one-seed",
        "the run has one seed",
        "one seed: another training may come out otherwise, so there is no p-value",
        "in one training",
        "in one training each",
    ),
    Caveat(
        "two-seeds",
        "the run has two seeds",
        "two seeds say little about a third: the interval is too narrow where trainings differ",
        "in two trainings",
        "in two trainings each",
    ),
    Caveat(
        "made-elsewhere",
        "the run's responses were made elsewhere (`runs` of the config): one response to a prompt, with every seed",
        "its responses were made elsewhere: they are one sample, the same with every seed",
        "with one sample of responses",
        "with one sample of responses each",
    ),
    Caveat(
        "few-prompts",
        f"fewer than {FEW_PROMPTS} prompts have a verdict",
        f"fewer than {FEW_PROMPTS} prompts",
        f"on fewer than {FEW_PROMPTS} prompts",
    ),
    Caveat(
        "other-steps",
        "the run was trained for another number of optimizer steps than the run that it is compared with",
        "trained for another number of optimizer steps than what it is compared with",
        "with another number of optimizer steps",
    ),
    Caveat(
        "decodings-disagree",
        "under another decoding of the config the run is better, worse or not clearly different where here it is not",
        "under another decoding it comes out otherwise",
        "under one decoding and not under another",
    ),
)
BY_NAME = {caveat.name: caveat for caveat in CAVEATS}


def written(names: Iterable[str]) -> str:
    """Names as the column has them, in the order of CAVEATS."""
    wanted = set(names)
    return SEPARATOR.join(name for name in BY_NAME if name in wanted)


def read(cell: str) -> list[Caveat]:
    """The caveats of a cell of the column; what is not known is left out."""
    return [BY_NAME[name] for name in str(cell).split(SEPARATOR) if name in BY_NAME]


def of_rows(rows: Iterable[dict]) -> str:
    """The caveats of any of some rows of the table, as one cell."""
    return written(caveat.name for row in rows for caveat in read(row.get("caveats", "")))


def reasons(cell: str) -> str:
    """What to put beside a number, "" where nothing limits it."""
    return "; ".join(caveat.reason for caveat in read(cell))


def claim(better: bool, cell: str) -> str:
    """The verb between a run that is better (or worse) and the baseline: "beats", "loses to", or one that says less."""
    circular = next((caveat for caveat in read(cell) if caveat.circular), None)
    if circular is None:
        return "beats" if better else "loses to"
    return f"scores {'higher' if better else 'lower'} {circular.words} than"


def claims(cells: list[str]) -> str:
    """The verb of several runs that are better: "beat", or less where all their judges are no strangers to them."""
    return "beat" if not all(map(is_circular, cells)) else "score higher than"


def is_circular(cell: str) -> bool:
    """Whether the judge is no stranger to the run."""
    return any(caveat.circular for caveat in read(cell))


def qualifiers(cell: str) -> str:
    """What follows the claim and the baseline: " in one training, on fewer than 100 prompts", or ""."""
    words = [caveat.words for caveat in read(cell) if not caveat.circular]
    return f" {', '.join(words)}" if words else ""


def counted(cells: list[str]) -> str:
    """What follows a claim about several runs, each with its cell: ", in one training each, 1 of them by its own …"."""
    parts = []
    for caveat in CAVEATS:
        count = sum(caveat in read(cell) for cell in cells)
        if count == len(cells) > 0:
            parts.append(caveat.many or caveat.words)
        elif count:
            parts.append(f"{count} of them {(caveat.many if count > 1 else '') or caveat.words}")
    return "".join(f", {part}" for part in parts)


def notes(rows: Iterable[dict]) -> list[str]:
    """A line per caveat of some rows of the table: its reason, and the runs that it is about where not all are."""
    names: dict[str, set[str]] = {}
    for row in rows:
        names.setdefault(str(row["run"]), set()).update(caveat.name for caveat in read(row.get("caveats", "")))
    lines = []
    for caveat in CAVEATS:
        runs = [run for run, found in names.items() if caveat.name in found]
        if runs:
            who = "all runs" if len(runs) == len(names) else _listed(runs)
            lines.append(f"{caveat.name} ({who}): {caveat.reason}.")
    return lines


def caption(path: Path) -> str:
    """`notes` of a win-rate table as reStructuredText for captions, "" where the table is not there or has none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row.get("run")]
    lines = [_escaped(line) for line in notes(rows)]
    return "\n".join(["What the numbers rest on:", "", *(f"- {line}" for line in lines)]) if lines else ""


def quoted(path: Path) -> str:
    """A text file as reStructuredText that reads the same, "" where it is not there."""
    return _escaped(path.read_text(encoding="utf-8")) if path.is_file() else ""


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`_|])", r"\\\1", text)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
