"""Scores of the runs' responses beside those of the dataset's pairs, on the same prompts and by the same scorer."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.pair_scores import PAIR_SCORES
from pipeline.jobs.io import InputError, read_parquet
from pipeline.metrics import bootstrap
from pipeline.results.csv_tables import read_csv, require
from pipeline.results.measurements import unfinished_share
from pipeline.results.run_table import Run, RunTable, by_prompt, read_scores

ESTIMATES = ("response_score", "chosen_score", "rejected_score", "minus_chosen", "minus_rejected", "above_chosen")
COLUMNS = [
    *("dataset", "model", "decoding", "run", "seeds", "prompts", "unfinished_share"),
    *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")),
]


def comparison_table(
    table: RunTable, pairs: dict[str, Path], resamples: int = bootstrap.RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """One row per run that has scores, seeds aggregated, in the order of the run table.

    response_score, chosen_score and rejected_score are means over (seed, prompt) cells; minus_chosen and minus_rejected
    the mean of the response's score minus that of the pair's response, prompt by prompt; above_chosen the share of
    responses that score higher than the chosen one, equal scores counting one half; unfinished_share the per cent of
    responses that were cut before their end. Intervals are two-level bootstraps (see `pipeline.metrics.bootstrap`).

    Args:
        pairs: per dataset the scored split of the runs' prompts: prompt_id, chosen_score, rejected_score; one pair per
            prompt.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: a dataset has no scored split, a prompt stands twice in it, or a run's prompt is not in it.
    """
    columns = ["prompt_id", *PAIR_SCORES]
    scored = {dataset: by_prompt(read_parquet(path, columns), path) for dataset, path in pairs.items()}
    rows = []
    for run in table.runs:
        if not run.seeds_with("scores"):
            continue
        if run.dataset not in scored:
            raise InputError(f"{table.path}: run {run.run!r} has scores, but no scored split of {run.dataset} is given")
        rows.append(_row(run, scored[run.dataset], pairs[run.dataset], resamples, seed))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(run: Run, pairs: pd.DataFrame, path: Path, resamples: int, seed: int) -> dict:
    seeds = run.seeds_with("scores")
    scores = {number: read_scores(run, number) for number in seeds}
    prompts = bootstrap.all_prompts(scores)
    missing = prompts.difference(pairs.index)
    if len(missing):
        raise InputError(f"{path}: no prompt {missing[0]!r}, whose response {run.run} has a score of; score them anew")
    response = bootstrap.cell_matrix(scores, seeds, prompts)
    known = np.where(np.isfinite(response), 0.0, np.nan)
    chosen, rejected = (pairs.loc[prompts, name].to_numpy() + known for name in PAIR_SCORES)
    above = bootstrap.outcomes(response - chosen)
    cells = (response, chosen, rejected, response - chosen, response - rejected, above)
    row = {name: getattr(run, name) for name in COLUMNS[:4]}
    row |= {"seeds": " ".join(map(str, seeds)), "prompts": len(prompts)}
    row["unfinished_share"] = bootstrap.rounded(unfinished_share(run, seeds))
    return row | bootstrap.estimates(dict(zip(ESTIMATES, cells, strict=True)), resamples, seed)


def read_comparison(path: str | Path) -> list[dict]:
    """The rows of a comparison table as written; empty fields are NaN.

    Raises:
        InputError: the file is missing, is no CSV, or lacks a column.
    """
    frame = read_csv(path, dtype=dict.fromkeys(COLUMNS[:5], str), na_values=[""])
    require(frame, COLUMNS, path)
    return frame.fillna({"decoding": ""}).to_dict("records")
