"""The embedded world's own scores, which know every fact."""

from argparse import Namespace
from collections.abc import Callable
from functools import partial

import pandas as pd

from pipeline.data import fair_world, world
from pipeline.jobs.io import InputError
from pipeline.judges.tables import check_scores, judge_by_score
from pipeline.models.templates import Text


def judge(table: pd.DataFrame, spec: dict, arguments: Namespace, **names) -> pd.DataFrame:
    """Verdicts by the higher gold score, in the world's second edition with its parts."""
    if spec.get("edition") == 2:
        scorer, names["parts"] = partial(gold, fair_world.gold_score), partial(gold, fair_world.gold_parts)
    else:
        scorer = partial(gold, world.gold_score)
    return check_scores(judge_by_score(table, scorer, spec["name"], "gold", **names), spec)


def gold(measure: Callable, prompts: list[Text], responses: list[str]) -> list:
    """What an edition of the embedded world says of each response.

    Raises:
        InputError: a prompt is not one of the world's.
    """
    try:
        return [measure(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"the gold judge knows the embedded world alone: {error}") from error
