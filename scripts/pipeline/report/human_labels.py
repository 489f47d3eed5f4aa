"""What people prefer among two responses: their verdicts in a file, and the dataset's own labels.

A label is of two texts that answer a prompt, whoever gave them: it holds for any two runs and seeds whose responses
these are, and for none any more once they answer otherwise. White space makes no difference.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.pairs import PAIR_RESPONSES
from pipeline.jobs.io import InputError, read_parquet
from pipeline.report.bad_answers import Found
from pipeline.report.embedding import printable
from pipeline.report.texts import response_text
from pipeline.results.agreement import RunLabels
from pipeline.results.csv_tables import read_csv, require
from pipeline.results.run_table import CHOSEN, Run, RunTable

COLUMNS = ("prompt_id", "response_a", "response_b", "preferred")
PREFERRED = {"a": 1.0, "tie": 0.5, "b": 0.0}
Labels = dict[tuple[str, str, str], float]  # (prompt_id, text, other text): preference for the first


def read_labels(path: str | Path) -> Labels:
    """Verdicts of people: of several on the same two texts their mean.

    Args:
        path: a table (.csv, .jsonl or .parquet): prompt_id; response_a and response_b, two texts; preferred, which is
            a, b or tie.

    Raises:
        InputError: the file is missing, unreadable or of another kind, lacks a column, or a row holds something else.
    """
    frame = _table(Path(path))
    require(frame, COLUMNS, path)
    found: dict[tuple[str, str, str], list[float]] = {}
    for row, (prompt, first, second, preferred) in enumerate(frame[list(COLUMNS)].itertuples(index=False)):
        if not all(isinstance(value, str) for value in (prompt, first, second)):
            raise InputError(f"{path}: row {row}: prompt_id, response_a and response_b must be text")
        if preferred not in PREFERRED:
            raise InputError(f"{path}: row {row}: preferred is {preferred!r}; it must be {', '.join(PREFERRED)}")
        value = PREFERRED[preferred]
        found.setdefault((prompt, _key(first), _key(second)), []).append(value)
        found.setdefault((prompt, _key(second), _key(first)), []).append(1 - value)
    return {pair: float(np.mean(values)) for pair, values in found.items()}


def find_labels(table: RunTable, found: Found, pairs: dict[str, Path], labels: Labels) -> RunLabels:
    """The labels of the runs' responses by prompt: preference for the run, of what is labelled alone.

    Args:
        found: whose column text has the responses, as `pipeline.report.bad_answers.find_faults` gives it.
        pairs: per dataset a split of the prompts (prompt_id, chosen, rejected); where a run's response and its
            opponent's are these two, the dataset labels them.
        labels: as `read_labels` gives them.

    Returns:
        By run, seed and opponent; none that has no label.
    """
    own = {dataset: _pair_texts(path) for dataset, path in pairs.items()}
    labelled = {prompt for prompt, _, _ in labels}
    result: RunLabels = {}
    for run in table.runs:
        chosen, rejected = own.get(run.dataset, ({}, {}))
        for seed, opponent in ((seed, opponent) for seed in run.seeds for opponent in run.baselines):
            other = chosen if opponent == CHOSEN else _texts(table, run, opponent, seed, found)
            values = {}
            for prompt, text in found[run, seed]["text"].items():
                against = other.get(prompt)
                if against is None:
                    continue
                value = labels.get((prompt, _key(text), _key(against))) if prompt in labelled else None
                if value is None and text != against and {text, against} == {chosen.get(prompt), rejected.get(prompt)}:
                    value = float(text == chosen[prompt])
                if value is not None:
                    values[prompt] = value
            if values:
                result[run, seed, opponent] = pd.Series(values, dtype=float)
    return result


def _table(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return read_parquet(path, list(COLUMNS))
    if path.suffix == ".csv":
        return read_csv(path, dtype=str)
    if path.suffix != ".jsonl":
        raise InputError(f"{path}: labels of people are a table: .csv, .jsonl or .parquet")
    try:
        return pd.read_json(path, lines=True, dtype=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable file of JSON lines ({error})") from error


def _key(text: str) -> str:
    return " ".join(printable(text).split())


def _pair_texts(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The chosen and the rejected texts of a split by prompt."""
    frame = read_parquet(path, ["prompt_id", *PAIR_RESPONSES]).drop_duplicates("prompt_id").set_index("prompt_id")
    chosen, rejected = ({prompt: response_text(value) for prompt, value in frame[name].items()} for name in frame)
    return chosen, rejected


def _texts(table: RunTable, run: Run, opponent: str, seed: int, found: Found) -> dict[str, str]:
    """The responses of the run that a run is compared with, by prompt."""
    other = next((one for one in table.runs_of(run.group) if one.run == opponent), None)
    return found[other, seed]["text"].to_dict() if other and (other, seed) in found else {}
