"""DPR: the policy answers, the reward model labels."""

from pipeline.training.policy import Start
from pipeline.training.sail import sail_trainer
from sail import SAILTrainer


def trainer(start: Start) -> SAILTrainer:
    """The trainer of a run of this method."""
    return sail_trainer(start)
