"""Where judge and reward model disagree: on the runs' own responses, pair by pair."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.pair_scores import PAIR_SCORES
from pipeline.jobs.io import read_parquet
from pipeline.metrics import bootstrap
from pipeline.report.bad_answers import address
from pipeline.report.section import Section
from pipeline.report.shares import shares
from pipeline.results.run_table import CHOSEN, Run, RunTable, read_scores

Read = Callable[[Run, int, str], pd.DataFrame]
Scores = Callable[[Run, int], pd.Series]
RESAMPLES = 1_000
APART = "reward-not-judge"  # the filter of the responses view


def agreement_section(table: RunTable, pairs: dict[str, Path], read: Read) -> Section | None:
    """The section, None where no two compared responses have scores.

    Args:
        pairs: per dataset a scored split, whose chosen responses have scores.
        read: gives the verdicts of a run, seed and opponent, as `read_verdict_details` does.
    """
    boards, scores, chosen = [], cache(read_scores), cache(lambda dataset: _chosen_scores(pairs.get(dataset)))
    for group in table.groups:
        rows = []
        for run in table.runs_of(group):
            for opponent in run.baselines:
                row = _row(table, run, opponent, chosen(group[0]), read, scores)
                rows += [row] if row else []
        if rows:
            boards.append({"title": table.title_of(group), "rows": rows})
    if not boards:
        return None
    title = "Where judge and reward model disagree"
    return Section("agreement", title, "agreement.jinja", {"boards": boards}, "Agreement")


def _row(table: RunTable, run: Run, opponent: str, chosen: pd.Series | None, read: Read, scores: Scores) -> dict | None:
    """How often the two agree on the pairs that both decide, and how often each of them prefers the run."""
    judge, reward = {}, {}
    for seed in run.seeds:
        other = chosen if opponent == CHOSEN else _opponents_scores(table, run, opponent, seed, scores)
        if "scores" not in run.files[seed] or other is None:
            continue
        means = bootstrap.order_means(read(run, seed, opponent))
        judge[seed] = pd.Series(np.sign(means - 1 / 2), index=means.index)
        reward[seed] = np.sign((scores(run, seed) - other).reindex(means.index))
    if not judge:
        return None
    seeds = list(judge)
    prompts = bootstrap.all_prompts(judge)
    verdicts, margins = (bootstrap.cell_matrix(values, seeds, prompts) for values in (judge, reward))
    decided = (verdicts != 0) & (margins != 0) & np.isfinite(verdicts) & np.isfinite(margins)
    if not decided.any():
        return None
    measured = {
        "agreement": np.where(decided, verdicts == margins, np.nan),
        "judge": np.where(decided, verdicts > 0, np.nan),
        "reward": np.where(decided, margins > 0, np.nan),
    }
    apart = decided & (margins > 0) & (verdicts < 0)
    links = []
    for seed, count in zip(seeds, apart.sum(axis=1).tolist(), strict=True):
        right = opponent if opponent == CHOSEN else f"{opponent}:{seed}"
        href = address(table.title_of(run.group), run.run, seed, right=right, filter=APART)
        links += [{"seed": seed, "count": count, "href": href}] if count else []
    return {"run": run.run, "opponent": opponent, "pairs": int(decided.sum()), "links": links} | shares(
        measured, RESAMPLES
    )


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
