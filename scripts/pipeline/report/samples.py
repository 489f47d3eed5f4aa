"""Sample prompts with the responses of the runs side by side."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from pipeline import statistics
from pipeline.run_table import CHOSEN, Run, RunTable, read_responses, read_scores, read_verdicts

PROMPTS = 12
# Side by side on one page; the parquet files hold all runs and the whole texts.
RUNS = 12
CHARACTERS = 4_000


@dataclass(frozen=True)
class Response:
    """One run's response to a prompt; `notes` are its score and its verdicts in words."""

    run: str
    text: str
    cut: int
    notes: list[str]


@dataclass(frozen=True)
class Samples:
    """Prompts of one (dataset, model) with responses of one seed."""

    dataset: str
    model: str
    seed: int
    total: int
    left_out: int
    prompts: list[tuple[str, str, list[Response]]]


def sample_prompts(table: RunTable, group: tuple[str, str]) -> Samples:
    """A dozen prompts, spread evenly over the sorted prompt ids: the choice does not depend on any response.

    The responses are those of the run table's first seed; of more runs than `RUNS` the first are shown, the baseline
    always.
    """
    seed = table.seeds[0]
    runs = [run for run in table.runs_of(group) if seed in run.files]
    shown = sorted(runs, key=lambda run: run.run != table.baseline)[:RUNS]
    shown = [run for run in runs if run in shown]
    if not shown:
        return Samples(*group, seed, 0, 0, [])
    columns = [(run, read_responses(run, seed), _notes(run, seed)) for run in shown]
    ids = sorted({prompt for _, responses, _ in columns for prompt in responses.index})
    picked = [ids[i * len(ids) // PROMPTS] for i in range(PROMPTS)] if len(ids) > PROMPTS else ids
    prompts = []
    for prompt_id in picked:
        having = [column for column in columns if prompt_id in column[1].index]
        text = plain_text(having[0][1].at[prompt_id, "prompt"])
        answers = [
            _response(run, responses.at[prompt_id, "response"], notes, prompt_id) for run, responses, notes in having
        ]
        prompts.append((prompt_id, _cut(text)[0], answers))
    return Samples(*group, seed, len(ids), len(runs) - len(shown), prompts)


def plain_text(content: object) -> str:
    """A prompt or response as text: itself, or the messages of a dialogue, each behind its role."""
    if content is None or (isinstance(content, float) and math.isnan(content)):
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return f"{content.get('role', '')}: {content.get('content', '')}"
    return "\n\n".join(plain_text(part) for part in content) if isinstance(content, Iterable) else str(content)


def _response(run: Run, content: object, notes: dict[str, pd.Series], prompt_id: str) -> Response:
    text, cut = _cut(plain_text(content))
    words = []
    for name, values in notes.items():
        value = values.get(prompt_id)
        if value is None:
            continue
        words.append(f"reward {value:.2f}" if name == "reward" else f"against {name}: {_outcome(value)}")
    return Response(run.run, text, cut, words)


def _notes(run: Run, seed: int) -> dict[str, pd.Series]:
    notes = {"reward": read_scores(run, seed)} if "scores" in run.files[seed] else {}
    for opponent in sorted(run.baselines, key=lambda name: name != CHOSEN):
        notes[opponent] = statistics.order_means(read_verdicts(run, seed, opponent))
    return notes


def _outcome(preference: float) -> str:
    if preference != preference:
        return "not parsed"
    return "tied" if preference == 0.5 else "won" if preference > 0.5 else "lost"


def _cut(text: str) -> tuple[str, int]:
    return text[:CHARACTERS], max(0, len(text) - CHARACTERS)
