"""Where runs win and lose: their win rates on kinds of prompts, and the prompts that go one way with every seed."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from pipeline.columns.pair_scores import SCORING_COLUMNS
from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.jobs.io import read_parquet
from pipeline.metrics import bootstrap
from pipeline.report.bad_answers import address
from pipeline.report.section import Section
from pipeline.report.texts import plain_text
from pipeline.results.run_table import CHOSEN, Run, RunTable, read_responses
from pipeline.results.shares import shares

RESAMPLES = 1_000
THIRDS = (1 / 3, 2 / 3)
MOST_VALUES = 12  # of a column whose values are names
FEWEST_PROMPTS = 2
OTHERS = "(others)"
Read = Callable[[Run, int, str], pd.DataFrame]


@dataclass(frozen=True)
class Slice:
    """Some prompts of a group.

    Attributes:
        kind: what the prompts are told apart by: "characters of the prompt", or a column's name.
        name: what these have in it.
        prompts: their ids.
    """

    kind: str
    name: str
    prompts: frozenset[str]

    @property
    def key(self) -> str:
        """What links call it."""
        return f"{self.kind}: {self.name}"


def find_slices(table: RunTable, group: tuple[str, ...], pairs: Path | None) -> list[Slice]:
    """The slices of a group's prompts: by length, by turns where they are dialogues, by each further column.

    Args:
        pairs: the judged split as the dataset brings it; each column that is no text of a pair and no score makes
            slices: thirds of numbers, values of what has at most 12, the most frequent ones where most prompts have one
            of these. None where there is none.
    """
    frames = [read_responses(run, seed)["prompt"] for run in table.runs_of(group) for seed in run.seeds]
    prompts = pd.concat(frames)
    prompts = prompts[~prompts.index.duplicated()].sort_index()
    dialogues = prompts.map(lambda prompt: np.nan if isinstance(prompt, str) else float(len(prompt)))
    kinds = {"characters of the prompt": prompts.map(lambda prompt: float(len(plain_text(prompt))))}
    if dialogues.notna().any():
        kinds["messages of the prompt"] = dialogues
    known = {*SPLIT_COLUMNS, *SCORING_COLUMNS}
    more = [name for name in pq.read_schema(pairs).names if name not in known] if pairs is not None else []
    if more:
        frame = read_parquet(pairs, ["prompt_id", *more]).drop_duplicates("prompt_id").set_index("prompt_id")
        kinds |= {name: frame[name].reindex(prompts.index) for name in more}
    return [part for kind, values in kinds.items() for part in _parts(kind, values.dropna())]


def slices_section(table: RunTable, slices: dict[tuple[str, ...], list[Slice]], read: Read) -> Section:
    """The section, from what `find_slices` gives per group."""
    boards = []
    for group in table.groups:
        runs = [run for run in table.runs_of(group) if run.baselines and run.run != table.baseline]
        rows = [_row(table, run, slices[group], read) for run in runs]
        kinds: dict[str, list[Slice]] = {}
        for part in slices[group]:
            kinds.setdefault(part.kind, []).append(part)
        boards.append({"title": table.title_of(group), "kinds": kinds, "rows": rows})
    return Section("slices", "Where it wins and loses", "slices.jinja", {"boards": boards}, "Wins and losses")


def _parts(kind: str, values: pd.Series) -> list[Slice]:
    if values.map(lambda value: isinstance(value, list | dict | np.ndarray)).any():
        return []
    values = _with_others(values)
    numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numbers and values.nunique() > MOST_VALUES:
        first, second = np.quantile(values, THIRDS, method="lower")
        places = np.digitize(values, [first, second], right=True)
        names = [f"at most {first:g}", f"above {first:g}, at most {second:g}", f"above {second:g}"]
        found = [(names[place], values.index[places == place]) for place in range(3)]
    elif values.nunique() <= MOST_VALUES:
        found = [(_shown(value), values.index[values == value]) for value in sorted(values.unique(), key=_order)]
    else:
        return []
    found = [(name, own) for name, own in found if len(own) >= FEWEST_PROMPTS]
    return [Slice(kind, name, frozenset(own)) for name, own in found] if len(found) > 1 else []


def _with_others(values: pd.Series) -> pd.Series:
    """Names of which there are too many: the rarer ones as OTHERS, where most prompts have one of the others."""
    if pd.api.types.is_numeric_dtype(values) or values.nunique() <= MOST_VALUES:
        return values
    counts = values.value_counts()[: MOST_VALUES - 1]
    counts = counts[counts >= FEWEST_PROMPTS]
    return values.where(values.isin(counts.index), OTHERS) if counts.sum() > len(values) / 2 else values


def _row(table: RunTable, run: Run, slices: list[Slice], read: Read) -> dict:
    """A run's win rates in per cent, with a link for each number."""
    opponent = table.baseline if table.baseline in run.baselines else run.baselines[0]
    means = {seed: bootstrap.order_means(read(run, seed, opponent)) for seed in run.seeds}
    prompts = bootstrap.all_prompts(means)
    cells = bootstrap.cell_matrix(means, run.seeds, prompts)
    whole = {"won": (cells > 1 / 2).all(axis=0), "lost": (cells < 1 / 2).all(axis=0)}
    seed = run.seeds[0]
    right = opponent if opponent == CHOSEN else f"{opponent}:{seed}"
    place = (table.title_of(run.group), run.run, seed)
    parts: dict[str, dict] = {}
    masked = {part.key: np.where(prompts.isin(part.prompts), cells, np.nan) for part in slices}
    rates = shares(masked, RESAMPLES)
    for key in masked:
        share = {f"rate{end}": rates[key + end] for end in ("", "_low", "_high")}
        side = "better" if share["rate_low"] > 50 else "worse" if share["rate_high"] < 50 else ""
        parts[key] = share | {"href": address(*place, right=right, slice=key), "verdict": side}
    every: dict[str, dict] = {}
    if len(run.seeds) > 1:
        for name, mask in whole.items():
            every[name] = {"count": int(mask.sum()), "href": address(*place, right=right, filter=f"{name}-all")}
    return {"run": run.run, "opponent": opponent, "prompts": len(prompts), "every": every, "parts": parts}


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _order(value: object) -> tuple:
    return (0, value, "") if isinstance(value, Real) else (1, 0, str(value))
