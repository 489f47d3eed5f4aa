"""The embedded world's own scores, which know every fact."""

from argparse import Namespace

import pandas as pd

from pipeline.data.world import gold_score
from pipeline.jobs.io import InputError
from pipeline.judges.tables import check_scores, judge_by_score
from pipeline.models.templates import Text


def judge(table: pd.DataFrame, spec: dict, arguments: Namespace, **names) -> pd.DataFrame:
    """Verdicts by the higher gold score."""
    return check_scores(judge_by_score(table, gold_scores, spec["name"], "gold", **names), spec)


def gold_scores(prompts: list[Text], responses: list[str]) -> list[float]:
    """The embedded world's gold scores.

    Raises:
        InputError: a prompt is not one of the world's.
    """
    try:
        return [gold_score(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"the gold judge knows the embedded world alone: {error}") from error
