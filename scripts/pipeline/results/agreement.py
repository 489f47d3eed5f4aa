"""How often judge, reward model and labels agree on the runs' own responses, pair by pair."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.pair_scores import PAIR_SCORES
from pipeline.jobs.io import read_parquet
from pipeline.metrics import bootstrap
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import CHOSEN, Run, RunTable, read_scores, read_verdict_details
from pipeline.results.shares import shares

Read = Callable[[Run, int, str], pd.DataFrame]
Scores = Callable[[Run, int], pd.Series]
RunLabels = dict[tuple[Run, int, str], pd.Series]
RESAMPLES = 1_000


def find_agreement(
    table: RunTable, pairs: dict[str, Path], read: Read = read_verdict_details, labels: RunLabels | None = None
) -> list[dict]:
    """A row for each run and opponent whose responses have verdicts and scores, in the order of the run table.

    Args:
        pairs: per dataset a scored split, whose chosen responses have scores.
        read: gives the verdicts of a run, seed and opponent, as `read_verdict_details` does.
        labels: of the responses, per run, seed and opponent: 1 prefers the run's, by prompt_id; none when None.

    Returns:
        group, run, method, opponent, pairs (that both decide); agreement, judge and reward (how often each prefers the
        run) in per cent with intervals, chance (how often two would agree that know nothing of each other), seeds (each
        one's agreement), apart (by seed, how many pairs the reward model decides for the run and the judge against it);
        labelled (how many of the pairs a label decides) and, where it is any, judge_right and reward_right (by
        the label) and judge_apart (how often the label is the judge's where the two disagree).
    """
    scores, chosen, rows = cache(read_scores), cache(lambda dataset: _chosen_scores(pairs.get(dataset))), []
    for run in table.runs:
        for opponent in run.baselines:
            row = _row(table, run, opponent, chosen(run.dataset), read, scores, labels or {})
            rows += [row] if row else []
    return rows


def with_kl(row: dict, seeds: pd.DataFrame) -> dict:
    """A row of `find_agreement` with the KL of the run, its seeds' mean, and of each seed, from a seed table."""
    found = rows_of(seeds, row["group"])
    found = found[(found["run"] == row["run"]) & (found["baseline"] == row["opponent"])]
    kl = dict(zip(found["seed"], found["kl"].astype(float), strict=True))
    each = [seed | {"kl": kl.get(seed["seed"], np.nan)} for seed in row["seeds"]]
    return row | {"seeds": each, "kl": float(np.mean([seed["kl"] for seed in each]))}


def _row(
    table: RunTable,
    run: Run,
    opponent: str,
    chosen: pd.Series | None,
    read: Read,
    scores: Scores,
    labels: RunLabels,
) -> dict | None:
    judge, reward, label = {}, {}, {}
    for seed in run.seeds:
        other = chosen if opponent == CHOSEN else _opponents_scores(table, run, opponent, seed, scores)
        if "scores" not in run.files[seed] or other is None:
            continue
        means = bootstrap.order_means(read(run, seed, opponent))
        judge[seed] = pd.Series(np.sign(means - 1 / 2), index=means.index)
        reward[seed] = np.sign((scores(run, seed) - other).reindex(means.index))
        label[seed] = np.sign(labels.get((run, seed, opponent), pd.Series(dtype=float)) - 1 / 2)
    if not judge:
        return None
    seeds = list(judge)
    prompts = bootstrap.all_prompts(judge)
    verdicts, margins, told = (bootstrap.cell_matrix(values, seeds, prompts) for values in (judge, reward, label))
    decided = (verdicts != 0) & (margins != 0) & np.isfinite(verdicts) & np.isfinite(margins)
    if not decided.any():
        return None
    measured = {
        "agreement": np.where(decided, verdicts == margins, np.nan),
        "judge": np.where(decided, verdicts > 0, np.nan),
        "reward": np.where(decided, margins > 0, np.nan),
    }
    known = decided & (told != 0) & np.isfinite(told)
    if known.any():
        measured["judge_right"] = np.where(known, verdicts == told, np.nan)
        measured["reward_right"] = np.where(known, margins == told, np.nan)
        measured["judge_apart"] = np.where(known & (verdicts != margins), verdicts == told, np.nan)
    row = {"group": run.group, "run": run.run, "method": run.method, "opponent": opponent}
    row |= {"pairs": int(decided.sum()), "labelled": int(known.sum())} | shares(measured, RESAMPLES)
    by_judge, by_reward = row["judge"] / 100, row["reward"] / 100
    row["chance"] = 100 * (by_judge * by_reward + (1 - by_judge) * (1 - by_reward))
    each = zip(seeds, measured["agreement"], strict=True)
    row["seeds"] = [{"seed": seed, "agreement": 100 * bootstrap.cell_mean(cells)} for seed, cells in each]
    apart = (decided & (margins > 0) & (verdicts < 0)).sum(axis=1).tolist()
    return row | {"apart": dict(zip(seeds, apart, strict=True))}


def _chosen_scores(pairs: Path | None) -> pd.Series | None:
    """Scores of a scored split's chosen responses by prompt."""
    if pairs is None:
        return None
    frame = read_parquet(pairs, ["prompt_id", *PAIR_SCORES]).drop_duplicates("prompt_id")
    return frame.set_index("prompt_id")["chosen_score"]


def _opponents_scores(table: RunTable, run: Run, opponent: str, seed: int, scores: Scores) -> pd.Series | None:
    """Scores of the responses of the run that a run is compared with; None where there are none."""
    other = next((one for one in table.runs_of(run.group) if one.run == opponent), None)
    return scores(other, seed) if other and "scores" in other.files.get(seed, {}) else None
