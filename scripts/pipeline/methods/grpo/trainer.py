"""TRL's GRPOTrainer on the prompts of the pairs."""

from trl import GRPOConfig, GRPOTrainer

from pipeline.training.online import Grouped, grouped_trainer
from pipeline.training.policy import Start


class ResumableGRPOTrainer(Grouped, GRPOTrainer):
    """GRPOTrainer on prompts in tokens, with its generations in its checkpoints."""


def trainer(start: Start) -> GRPOTrainer:
    """The trainer of a GRPO run."""
    return grouped_trainer(start, ResumableGRPOTrainer, GRPOConfig)
