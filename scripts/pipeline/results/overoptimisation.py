"""Rewards of policies over their trainings: by the reward model that labels, and by the judge, against KL."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.checkpoint_scores import CHECKPOINT_COLUMNS, CHECKPOINT_LOGPS
from pipeline.jobs.io import InputError, read_parquet
from pipeline.metrics import bootstrap
from pipeline.results.csv_tables import read_numbers
from pipeline.results.run_table import Run, RunTable

NAMES = ["dataset", "model", "run", "method", "g", "seeds"]
ESTIMATES = ["kl", "labelling_score", "judge_score"]
COLUMNS = [
    *(*NAMES, "step", "last", "prompts", "sqrt_kl"),
    *(name + end for name in ESTIMATES for end in ("", "_low", "_high")),
]


def overoptimisation_table(table: RunTable, resamples: int = bootstrap.RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """One row per run and checkpoint, however it is decoded, seeds aggregated, in the order of runs and steps.

    kl is the mean over (seed, prompt) cells of log π(y|x) − log π_ref(y|x) of the policy's own plain samples, in nats;
    sqrt_kl its square root, 0 where the estimate is below 0. labelling_score and judge_score are mean scores of these
    samples, judge_score empty where the judge gives none. `last` tells the policy itself from its earlier checkpoints;
    g is the share of rows that the reward model labels, 0 where a run has none. Intervals are two-level bootstraps.

    Raises:
        InputError: no run has checkpoints, or those of a run's seeds are after different steps.
    """
    rows = [row for run in table.first.runs if run.seeds_with("checkpoints") for row in _rows(run, resamples, seed)]
    if not rows:
        raise InputError(f"{table.path}: no run has measured checkpoints")
    return pd.DataFrame(rows, columns=COLUMNS)


def read_overoptimisation(path: str | Path) -> pd.DataFrame:
    """The table as written: names are text, `last` is true or false, the rest numbers, NaN where there is none.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column, or has text for a number.
    """
    numbers = set(COLUMNS) - {"dataset", "model", "run", "method", "seeds", "last"}
    frame = read_numbers(path, COLUMNS, numbers)
    return frame.assign(last=frame["last"] == "True")


def _rows(run: Run, resamples: int, seed: int) -> list[dict]:
    seeds = run.seeds_with("checkpoints")
    paths = {number: run.files[number]["checkpoints"] for number in seeds}
    found = {number: read_parquet(path, CHECKPOINT_COLUMNS) for number, path in paths.items()}
    steps = sorted(found[seeds[0]]["step"].unique().tolist())
    for number, frame in found.items():
        if sorted(frame["step"].unique().tolist()) != steps:
            raise InputError(f"{paths[number]}: its checkpoints are not after the steps {steps}, as another seed's are")
    names = {"dataset": run.dataset, "model": run.model, "run": run.run, "method": run.method}
    names |= {"g": run.hyperparameters.get("g") or 0.0, "seeds": " ".join(map(str, seeds))}
    rows = []
    for step in steps:
        frames = {number: frame[frame["step"] == step].set_index("prompt_id") for number, frame in found.items()}
        prompts = bootstrap.all_prompts(frames)
        measured = {name: bootstrap.cell_matrix(_values(frames, name), seeds, prompts) for name in ESTIMATES}
        row = names | {"step": step, "last": step == steps[-1], "prompts": len(prompts)}
        row |= bootstrap.estimates(measured, resamples, seed)
        rows.append(row | {"sqrt_kl": bootstrap.rounded(np.sqrt(max(row["kl"], 0.0)))})
    return rows


def _values(frames: dict[int, pd.DataFrame], name: str) -> dict[int, pd.Series]:
    """Per seed a measurement by prompt."""
    if name != "kl":
        return {number: frame[name].astype(float) for number, frame in frames.items()}
    own, reference = CHECKPOINT_LOGPS
    return {number: frame[own] - frame[reference] for number, frame in frames.items()}
