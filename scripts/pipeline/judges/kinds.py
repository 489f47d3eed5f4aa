"""Any kind of judge on a table of responses."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.jobs.io import InputError, read_yaml
from pipeline.jobs.parts import load_part, part_names

if TYPE_CHECKING:
    import pandas as pd


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
    spec = read_yaml(arguments.spec)
    if spec["kind"] not in part_names("judge_kinds"):
        *others, last = part_names("judge_kinds")
        known = f"{', '.join(others)} and {last}"
        raise InputError(f"{arguments.spec}: there is no kind {spec['kind']!r}; there are {known}")
    part = load_part("judge_kinds", spec["kind"], "judge")
    return part.judge(table, spec, arguments, run=run, seed=seed, baseline=baseline)
