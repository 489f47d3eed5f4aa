"""What scripts that make a policy's trainer are given: arguments, tables, the reward model."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.columns.candidates import TRAINED_COLUMNS
from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.columns.reference import REFERENCE_LOGPS
from pipeline.jobs.io import InputError, read_json, read_parquet
from pipeline.jobs.records import record_path

if TYPE_CHECKING:
    import pandas as pd

# The arguments that are inputs of a record.
INPUTS = ("spec", "data", "reference", "unlabelled", "unlabelled_reference", "model", "reward_spec", "reward_model")
INPUTS += ("candidates",)


@dataclass(frozen=True)
class Candidates:
    """Responses of what policies start from to the prompts of the train split, several to each, with their scores.

    Attributes:
        table: columns TRAINED_COLUMNS.
        seconds: that sampling and scoring them took.
    """

    table: "pd.DataFrame"
    seconds: float

    @property
    def cost(self) -> dict[str, float]:
        """What they took before the training: seconds, and tokens sampled."""
        return {"seconds": self.seconds, "tokens": int(self.table["response_tokens"].sum())}


def add_policy_arguments(parser: argparse.ArgumentParser, spec: str, seed: str, steps: str) -> None:
    """The arguments INPUTS, --seed and --steps.

    Args:
        spec, seed, steps: what these are, for the help.
    """
    parser.add_argument("--spec", type=Path, required=True, help=f"{spec}, YAML")
    parser.add_argument("--seed", type=int, required=True, help=seed)
    parser.add_argument("--data", type=Path, required=True, help="train split, parquet")
    parser.add_argument("--reference", type=Path, required=True, help="reference log-probabilities, parquet")
    parser.add_argument("--unlabelled", type=Path, help="pairs without a preference, parquet, for DDP's rows (r > 0)")
    parser.add_argument("--unlabelled-reference", type=Path, help="reference log-probabilities of these, parquet")
    parser.add_argument("--model", required=True, help="SFT model, folder")
    parser.add_argument("--reward-spec", type=Path, help="reward model spec, YAML, where the training asks it")
    parser.add_argument("--reward-model", help="reward model, hub id or folder")
    parser.add_argument("--candidates", type=Path, help="scored responses to the train prompts, parquet, for rft")
    parser.add_argument("--steps", type=Path, help=f"{steps}, JSON")


def read_pairs(
    arguments: argparse.Namespace, unlabelled: bool
) -> "tuple[pd.DataFrame, pd.DataFrame, tuple[pd.DataFrame, pd.DataFrame] | None]":
    """The train split and its reference log-probabilities, and where wanted both of the pairs without a preference.

    Raises:
        InputError: a file is missing or lacks a column, or the pairs without a preference are wanted and not given.
    """
    columns = ["row", *REFERENCE_LOGPS]
    frame, reference = read_parquet(arguments.data, PAIR_COLUMNS), read_parquet(arguments.reference, columns)
    if not unlabelled:
        return frame, reference, None
    if not (arguments.unlabelled and arguments.unlabelled_reference):
        raise InputError(f"{arguments.spec}: unlabelled needs --unlabelled and --unlabelled-reference")
    aside = read_parquet(arguments.unlabelled_reference, columns)
    return frame, reference, (read_parquet(arguments.unlabelled, PAIR_COLUMNS), aside)


def read_candidates(path: Path | None) -> Candidates | None:
    """The candidates in a file, and what they took by its record; None without a file.

    Raises:
        InputError: it is missing or lacks a column.
    """
    if path is None:
        return None
    record = record_path(path)
    seconds = float(read_json(record)["seconds"]) if record.is_file() else 0.0
    return Candidates(read_parquet(path, TRAINED_COLUMNS), seconds)


def reward_of(arguments: argparse.Namespace, entry: dict, device) -> Any:
    """The reward model that labels a training's pairs, None where it has none.

    Args:
        entry: its spec, {} of a training that asks none.
        device: a `pipeline.models.devices.Device`.
    """
    if not entry:
        return None
    from pipeline.rewards.scorer import RewardModel

    return RewardModel(arguments.reward_model, entry, device)
