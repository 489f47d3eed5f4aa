"""A reward model as a judge."""

from argparse import Namespace
from pathlib import Path

import pandas as pd

from pipeline.jobs.io import InputError, read_yaml
from pipeline.judges.tables import check_scores, judge_by_score
from pipeline.models.devices import named_device
from pipeline.rewards.scorer import RewardModel


def judge(table: pd.DataFrame, spec: dict, arguments: Namespace, **names) -> pd.DataFrame:
    """Verdicts by the reward model's higher score.

    Raises:
        InputError: too many scores are no finite numbers.
    """
    scorer = reward_scorer(arguments.reward_spec, arguments.reward_model, arguments.device)
    return check_scores(judge_by_score(table, scorer, spec["name"], arguments.reward_model, **names), spec)


def reward_scorer(spec: Path | None, path: str | None, device_name: str):
    """The scores of a reward model, (prompts, responses) -> list of floats, higher is better.

    Raises:
        InputError: the spec or the path is missing.
    """
    if not spec or not path:
        raise InputError("a judge of kind reward needs --reward-spec and --reward-model")
    device = named_device(device_name)
    return RewardModel(path, read_yaml(spec), device).score
