"""TRL's RLOOTrainer on the prompts of the pairs."""

from trl import RLOOConfig, RLOOTrainer

from pipeline.training.online import Grouped, grouped_trainer
from pipeline.training.policy import Start


class ResumableRLOOTrainer(Grouped, RLOOTrainer):
    """RLOOTrainer on prompts in tokens, with its generations in its checkpoints."""


def trainer(start: Start) -> RLOOTrainer:
    """The trainer of a RLOO run."""
    return grouped_trainer(start, ResumableRLOOTrainer, RLOOConfig)
