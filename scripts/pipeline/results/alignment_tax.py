"""What alignment costs elsewhere: runs' scores in benchmarks, beside their start's and the baseline's."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

from pipeline.columns.benchmark_samples import SAMPLE_COLUMNS
from pipeline.jobs.io import InputError, read_json, read_parquet
from pipeline.metrics import bootstrap
from pipeline.results.csv_tables import read_numbers, require
from pipeline.results.run_table import Run, RunTable

PLACE = ["dataset", "model", "run", "method"]
NAMES = [*PLACE, "task", "num_fewshot", "settings", "metric", "higher_is_better", "seeds", "interval"]
NUMBERS = ["questions", "start_score"]
ESTIMATES = ["score", "difference", "baseline_difference"]
COLUMNS = [*NAMES, *NUMBERS, *(name + end for name in ESTIMATES for end in ("", "_low", "_high"))]
PAIRED, BY_ERRORS = "paired", "stderr"


def alignment_tax_table(table: RunTable, resamples: int = bootstrap.RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """One row per run, task and metric, however responses are decoded, seeds aggregated, in the order of the config.

    `score` is lm-eval's own, the mean over seeds; `difference` is to what the run's policies start from, empty of the
    start itself; `baseline_difference` is to the baseline run; `settings` is what the config says of the task besides
    its examples. Of a group of tasks that has scores there are the rows of the group alone. `interval` says where
    intervals are from: paired, a two-level bootstrap over seeds and questions, of metrics that are the mean over
    questions; else stderr, a normal one by lm-eval's standard errors and the variance between seeds, which takes both
    sides for independent and is the wider for it.

    Raises:
        InputError: no run has measured benchmarks, or those of a run are of other tasks than another's.
    """
    read, rows = cache(_read), []
    for run in table.first.runs:
        if run.seeds_with("lm_eval"):
            rows += _rows(run, table.baseline_of(run.group), read, resamples, seed)
    if not rows:
        raise InputError(f"{table.path}: no run has measured benchmarks")
    return pd.DataFrame(rows, columns=COLUMNS)


def read_alignment_tax(path: str | Path) -> pd.DataFrame:
    """The table as written: NAMES are text, the rest numbers, NaN where there is none.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column, or has text for a number.
    """
    return read_numbers(path, COLUMNS, COLUMNS[len(NAMES) :])


@dataclass(frozen=True)
class _Measured:
    """One metric of one checkpoint: its score and standard error (NaN: none), and each question's value by question."""

    score: float
    error: float
    values: pd.Series

    @property
    def is_mean(self) -> bool:
        """Whether the score is the mean over the questions."""
        return len(self.values) > 0 and bool(np.isclose(self.values.mean(), self.score, rtol=1e-6, atol=1e-9))


@dataclass(frozen=True)
class _Checkpoint:
    """The measured benchmarks of a checkpoint: the tasks of its JSON file, and its answers one by one."""

    path: str
    tasks: list[dict]
    answers: pd.DataFrame

    @property
    def asked(self) -> list[dict]:
        """What it was asked, without what it answered."""
        return [{key: task[key] for key in task if key not in ("results", "n-samples")} for task in self.tasks]

    def measured(self, place: int, task: str, metric: str) -> _Measured:
        """A metric of a task or group of one of the config's tasks."""
        results = self.tasks[place]["results"].get(task, {})
        require(results, (metric,), f"{self.path}: tasks[{place}].results.{task}", "key")
        name, _, kind = metric.partition(",")
        error = results.get(f"{name}_stderr,{kind}")
        own = self.answers[(self.answers["entry"] == place) & (self.answers["metric"] == metric)]
        if (own["task"] == task).any():  # else it is a group, whose questions are those of all its tasks
            own = own[own["task"] == task]
        values = own["value"].set_axis(own["task"] + ":" + own["question"])
        if not values.index.is_unique:
            raise InputError(f"{_samples(self.path)}: {task}, {metric}: a question was answered twice")
        return _Measured(results[metric], error if isinstance(error, int | float) else float("nan"), values)


def _read(path: str) -> _Checkpoint:
    content = read_json(path)
    require(content, ("lm_eval", "tasks"), path, "key")
    for number, task in enumerate(content["tasks"]):
        keys = ("task", "results", "n-shot", "higher_is_better", "n-samples")
        require(task, keys, f"{path}: tasks[{number}]", "key")
    return _Checkpoint(path, content["tasks"], read_parquet(_samples(path), SAMPLE_COLUMNS, allow_empty=True))


def _samples(path: str) -> Path:
    return Path(path).with_suffix(".parquet")


def _rows(run: Run, base: Run | None, read: Callable[[str], _Checkpoint], resamples: int, seed: int) -> Iterator[dict]:
    """The rows of a run, beside its start and the baseline run."""
    seeds = run.seeds_with("lm_eval")
    own = [read(run.files[number]["lm_eval"]) for number in seeds]
    starts = [read(run.files[number]["lm_eval_start"]) for number in seeds]
    others = [] if base is None or base is run else [read(base.files[number]["lm_eval"]) for number in seeds]
    for checkpoint in (*own, *starts, *others):
        if checkpoint.asked != own[0].asked:
            raise InputError(
                f"{checkpoint.path}: its tasks are not those of {own[0].path}; let one config measure both"
            )
    names = {name: getattr(run, name) for name in PLACE} | {"seeds": " ".join(map(str, seeds))}
    same = [one.path for one in own] == [one.path for one in starts]
    sides = {"score": own, "difference": [] if same else starts, "baseline_difference": others}
    for place, entry in enumerate(own[0].tasks):
        for task, metric in _headings(entry):
            found = {name: [one.measured(place, task, metric) for one in side] for name, side in sides.items()}
            start = float(np.mean([one.measured(place, task, metric).score for one in starts]))
            paired = all(one.is_mean for side in found.values() for one in side)
            estimated = _paired(found, seeds, resamples, seed) if paired else _by_errors(found)
            told = {"task": task, "metric": metric, "num_fewshot": entry["n-shot"].get(task, "")}
            told |= {"higher_is_better": entry["higher_is_better"].get(task, {}).get(metric.partition(",")[0], "")}
            told |= {"settings": _settings(entry), "questions": _questions(entry, task)}
            told |= {"start_score": bootstrap.rounded(start), "interval": PAIRED if paired else BY_ERRORS}
            yield names | told | estimated


def _paired(found: dict[str, list[_Measured]], seeds: list[int], resamples: int, seed: int) -> dict[str, float]:
    """Estimates by questions that both sides answered, the same ones of all seeds."""
    values = {
        name: {number: one.values for number, one in zip(seeds, side, strict=True)}
        for name, side in found.items()
        if side
    }
    questions = pd.Index(sorted({question for side in values.values() for question in bootstrap.all_prompts(side)}))
    cells = {name: bootstrap.cell_matrix(side, seeds, questions) for name, side in values.items()}
    measured = {name: own if name == "score" else cells["score"] - own for name, own in cells.items()}
    return bootstrap.estimates(measured, resamples, seed)


def _by_errors(found: dict[str, list[_Measured]]) -> dict[str, float]:
    """Estimates by lm-eval's standard errors, which do not cancel over seeds: all answer the same questions."""
    own = found["score"]
    estimated = _normal([one.score for one in own], [own], "score")
    for name in ESTIMATES[1:]:
        if other := found[name]:
            differences = [one.score - two.score for one, two in zip(own, other, strict=True)]
            estimated |= _normal(differences, [own, other], name)
    return estimated


def _normal(values: Sequence[float], sides: Sequence[list[_Measured]], name: str) -> dict[str, float]:
    """The mean of values, one for each seed, with a normal interval."""
    between = np.var(values, ddof=1) / len(values) if len(values) > 1 else 0.0
    error = (between + sum(np.mean([one.error**2 for one in side]) for side in sides)) ** 0.5
    middle, half = float(np.mean(values)), NormalDist().inv_cdf((1 + bootstrap.LEVEL) / 2) * error
    ends = {"": middle, "_low": middle - half, "_high": middle + half}
    return {f"{name}{end}": bootstrap.rounded(value) for end, value in ends.items()}


def _settings(entry: dict) -> str:
    """What a task is asked by, besides its examples, in words."""
    limit = entry.get("limit")
    told = [] if limit is None else [f"the first {limit:.0%}" if limit < 1 else f"at most {limit:.0f} a task"]
    return ", ".join(told + (["chat template"] if entry.get("apply_chat_template") else []))


def _headings(entry: dict) -> list[tuple[str, str]]:
    """(task, metric) of what a task of the config has rows for: the task or group itself, else the tasks inside."""
    scores = {name: _metrics(results) for name, results in entry["results"].items()}
    shown = [entry["task"]] if scores.get(entry["task"]) else [name for name in scores if scores[name]]
    return [(name, metric) for name in shown for metric in scores[name]]


def _metrics(results: dict) -> list[str]:
    """Names of the metrics of a task, "metric,filter"."""
    return [
        name
        for name, value in results.items()
        if "," in name and "_stderr," not in name and isinstance(value, int | float)
    ]


def _questions(entry: dict, task: str) -> int:
    """How many questions a task or group asked."""
    counts = entry["n-samples"]
    return counts[task]["effective"] if task in counts else sum(count["effective"] for count in counts.values())
