"""Any kind of judge on a table of responses: gold, reward, openai."""

import argparse
from pathlib import Path

import pandas as pd

from pipeline.jobs.io import InputError, read_yaml
from pipeline.judges.tables import gold_scores, judge_by_score


def add_judge_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which judge it is and how it is reached."""
    parser.add_argument("--spec", type=Path, required=True, help="judge's spec, YAML")
    parser.add_argument(
        "--service", type=Path, help="judge.yaml, which says how a judge of kind openai is reached and paid"
    )
    parser.add_argument("--store", type=Path, help="folder of the replies that are paid for, for kind openai")
    parser.add_argument("--reward-spec", type=Path, help="reward model spec, YAML, for a judge of kind reward")
    parser.add_argument("--reward-model", help="reward model, hub id or folder, for a judge of kind reward")
    parser.add_argument("--device", default="auto", help="name of an entry of config/devices.yaml")


def judge_pairs(table: pd.DataFrame, arguments: argparse.Namespace, run: str, seed: int, baseline: str) -> pd.DataFrame:
    """Verdicts on the responses of a run and of a baseline.

    Args:
        table: prompt_id, prompt, response, baseline_response.
        arguments: with what `add_judge_arguments` adds.

    Returns:
        `pipeline.columns.verdicts.VERDICT_COLUMNS`.

    Raises:
        InputError: the judge is of no known kind, lacks an argument, or cannot judge.
    """
    judge = read_yaml(arguments.spec)
    if judge["kind"] == "openai":
        from pipeline.config.judges import read_service
        from pipeline.judges.verdicts import judge_by_model

        if not arguments.service or not arguments.store:
            raise InputError("a judge of kind openai needs --service and --store")
        return judge_by_model(table, judge, read_service(arguments.service), arguments.store, run, seed, baseline)
    if judge["kind"] == "gold":
        scorer, model = gold_scores, "gold"
    elif judge["kind"] == "reward":
        from pipeline.judges.reward import reward_scorer

        scorer = reward_scorer(arguments.reward_spec, arguments.reward_model, arguments.device)
        model = arguments.reward_model
    else:
        raise InputError(f"{arguments.spec}: there is no kind {judge['kind']!r}; there are gold, reward and openai")
    return judge_by_score(table, scorer, judge["name"], model, run, seed, baseline)
