"""Scores of a policy's checkpoints: by the reward model that labels, and by the judge."""

from argparse import Namespace
from pathlib import Path

import pandas as pd

from pipeline.columns.checkpoint_scores import CHECKPOINT_COLUMNS
from pipeline.jobs.io import read_yaml
from pipeline.judges.kinds import judge_pairs
from pipeline.models.templates import as_text
from pipeline.rewards.finite import check_finite
from pipeline.rewards.scorer import RewardModel


def score_checkpoints(
    table: pd.DataFrame, frame: pd.DataFrame, labels: RewardModel, arguments: Namespace, kept: Path
) -> pd.DataFrame:
    """The responses of checkpoints with both scores.

    Args:
        table: step, prompt_id, response, and what else CHECKPOINT_COLUMNS has but the scores.
        frame: prompt_id, prompt, chosen of their prompts.
        labels: the reward model that labels pairs.
        arguments: what `pipeline.judges.kinds.judge_pairs` reads of a command line.
        kept: folder for finished scores of the labelling reward model.

    Returns:
        CHECKPOINT_COLUMNS; judge_score is NaN where the judge is one that is asked and paid, not one that scores.

    Raises:
        InputError: a score is no finite number.
    """
    pairs = table[["prompt_id", "step", "response"]].merge(frame, on="prompt_id", how="left", validate="many_to_one")
    scores = labels.score_once([as_text(prompt) for prompt in pairs["prompt"]], pairs["response"].tolist(), kept)
    check_finite(scores, "the responses of checkpoints")
    judged = float("nan")
    if read_yaml(arguments.spec)["kind"] != "openai":
        named = pairs["step"].astype(str) + ":" + pairs["prompt_id"].astype(str)  # a prompt stands there once a step
        asked = pairs.assign(prompt_id=named, baseline_response=pairs["chosen"])
        judged = judge_pairs(asked, arguments, "checkpoints", 0, "chosen")["score_run"].to_numpy()
    return table.assign(labelling_score=scores, judge_score=judged)[CHECKPOINT_COLUMNS]
