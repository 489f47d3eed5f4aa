"""A reward model as a judge."""

from pathlib import Path

from pipeline.jobs.io import InputError, read_yaml
from pipeline.models.devices import named_device
from pipeline.rewards.scorer import RewardModel


def reward_scorer(spec: Path | None, path: str | None, device_name: str):
    """The scores of a reward model, (prompts, responses) -> list of floats, higher is better.

    Raises:
        InputError: the spec or the path is missing.
    """
    if not spec or not path:
        raise InputError("a judge of kind reward needs --reward-spec and --reward-model")
    device = named_device(device_name)
    return RewardModel(path, read_yaml(spec), device).score
