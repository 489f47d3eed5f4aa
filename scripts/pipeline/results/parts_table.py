"""Parts of verdicts: what a run gains or loses against its opponents, part by part."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pipeline.columns.verdicts import PART_COLUMNS, PART_DETAILS
from pipeline.jobs.io import InputError, read_parquet
from pipeline.metrics import bootstrap
from pipeline.results.csv_tables import read_numbers
from pipeline.results.run_table import CHOSEN, Run, RunTable

NAMES = ["dataset", "model", "decoding", "run", "method", "baseline", "judge", "part", "seeds"]
NUMBERS = ["n", "mean", "baseline_mean", "difference", "difference_low", "difference_high"]
# The part that is the verdict's whole score; no part can have this name.
WHOLE = "whole score"


def parts_table(table: RunTable, resamples: int = bootstrap.RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """One row per (dataset, model, decoding, run, baseline, judge, part), in the run table's order, the whole last.

    `mean` is that of the run's responses and `baseline_mean` that of its opponent's, over the (seed, prompt) cells that
    have both; a cell is the mean of its orders, and a part that a judge did not give is in none. `difference` is
    between the two, cell by cell, with its bootstrap interval over seeds and prompts; `n` counts cells. Judges that
    give no parts have no rows.

    Raises:
        InputError: no judge of these runs gives parts.
    """
    rows = [
        row
        for run in table.runs
        for baseline in sorted(run.baselines, key=lambda name: name != CHOSEN)
        for row in _rows(run, baseline, resamples, seed)
    ]
    if not rows:
        raise InputError(f"{table.path}: no judge of these runs gives parts of its verdicts")
    return pd.DataFrame(rows, columns=[*NAMES, *NUMBERS])


def read_parts_table(path: str | Path) -> pd.DataFrame:
    """The table as written: names are text, the rest numbers.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column, or has text for a number.
    """
    return read_numbers(path, [*NAMES, *NUMBERS], NUMBERS)


def _rows(run: Run, baseline: str, resamples: int, seed: int) -> list[dict]:
    """The rows of a run against one opponent, one for each part and judge."""
    parts = {number: _parts(run.verdicts[number][baseline]) for number in run.seeds}
    found = pd.concat(parts.values())
    names = {name: getattr(run, name) for name in NAMES[:5]} | {"baseline": baseline}
    rows = []
    for judge, part in dict.fromkeys(zip(found["judge"], found["part"], strict=True)):
        sides: dict[str, dict[int, pd.Series]] = {"own": {}, "other": {}}
        for number, frame in parts.items():
            of_part = frame[(frame["judge"] == judge) & (frame["part"] == part)].dropna(subset=["own", "other"])
            means = of_part.groupby("prompt_id", sort=True)[["own", "other"]].mean()
            for side, values in sides.items():
                values[number] = means[side]
        prompts = bootstrap.all_prompts(sides["own"])
        own, other = (bootstrap.cell_matrix(values, run.seeds, prompts) for values in sides.values())
        measured = {"mean": own, "baseline_mean": other, "difference": own - other}
        told = {"judge": judge, "part": part, "seeds": " ".join(map(str, run.seeds)), "n": int((own == own).sum())}
        rows.append(names | told | bootstrap.estimates(measured, resamples, seed))
    return rows


def _parts(path: str) -> pd.DataFrame:
    """The parts of a file of verdicts: prompt_id, judge, part, and the numbers own and other; no rows without parts."""
    if not set(PART_COLUMNS) <= set(pq.read_schema(path).names):
        return pd.DataFrame(columns=["prompt_id", "judge", "part", "own", "other"])
    frame = read_parquet(path, PART_DETAILS)
    names = frame[["prompt_id", "judge"]]
    return pd.concat([names.assign(part=part, own=own, other=other) for part, own, other in _sides(frame)])


def _sides(frame: pd.DataFrame) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """(part, the run's numbers, the opponent's numbers) of each part, and of the whole score."""
    given = [[row or {} for row in frame[column]] for column in PART_COLUMNS]
    for name in dict.fromkeys(name for rows in given for row in rows for name in row):
        own, other = (pd.Series([row.get(name) for row in rows], frame.index, dtype=float) for rows in given)
        yield name, own, other
    yield WHOLE, frame["score_run"], frame["score_baseline"]
