"""How judge and reward model agree on a dataset's own labelled pairs, whose labels say who is right."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.pair_scores import PAIR_SCORES
from pipeline.columns.verdicts import COMPARED_COLUMNS
from pipeline.jobs.io import InputError, read_parquet
from pipeline.metrics import bootstrap
from pipeline.results.shares import shares

RESAMPLES = 1_000


def read_labelled_agreement(judges: list[dict], judged: list[str], pairs: dict[str, Path]) -> list[dict]:
    """A row of `labelled_agreement` for each judge that was measured on pairs which the reward model scored.

    Args:
        judges: the measured judges, as `pipeline.report.judge_quality.read_judge_quality` gives them.
        judged: the verdicts that each of them was measured by.
        pairs: per dataset its scored split.

    Raises:
        InputError: there are not as many files as judges, or one is missing or lacks a column.
    """
    if len(judged) not in (0, len(judges)):
        raise InputError(f"{len(judges)} measured judges and {len(judged)} files of their verdicts: give one for each")
    rows = []
    for judge, path in zip(judges, judged, strict=False):
        if judge["dataset"] in pairs:
            verdicts = read_parquet(path, COMPARED_COLUMNS)
            scored = read_parquet(pairs[judge["dataset"]], ["prompt_id", *PAIR_SCORES])
            rows.append(labelled_agreement(judge["dataset"], judge["judge"], verdicts, scored))
    return [row for row in rows if row]


def labelled_agreement(dataset: str, judge: str, verdicts: pd.DataFrame, scored: pd.DataFrame) -> dict | None:
    """How judge, reward model and label agree on a dataset's own pairs; None where none has both.

    Args:
        verdicts: prompt_id and preference, for the chosen response against the rejected one.
        scored: prompt_id, chosen_score, rejected_score.

    Returns:
        dataset, judge, pairs (that both decide); in per cent with intervals: judge_right, reward_right (by the
        label), agreement, both, judge_only, reward_only, neither.
    """
    means = bootstrap.order_means(verdicts)
    frame = scored.drop_duplicates("prompt_id").set_index("prompt_id").reindex(means.index)
    judged = np.sign(means.to_numpy(dtype=float) - 1 / 2)
    margin = np.sign((frame["chosen_score"] - frame["rejected_score"]).to_numpy(dtype=float))
    decided = np.isfinite(judged) & np.isfinite(margin) & (judged != 0) & (margin != 0)
    if not decided.any():
        return None
    by_judge, by_reward = judged > 0, margin > 0
    measured = {
        "judge_right": by_judge,
        "reward_right": by_reward,
        "agreement": by_judge == by_reward,
        "both": by_judge & by_reward,
        "judge_only": by_judge & ~by_reward,
        "reward_only": by_reward & ~by_judge,
        "neither": ~by_judge & ~by_reward,
    }
    cells = {name: np.where(decided, value, np.nan)[None] for name, value in measured.items()}
    return {"dataset": dataset, "judge": judge, "pairs": int(decided.sum())} | shares(cells, RESAMPLES)
