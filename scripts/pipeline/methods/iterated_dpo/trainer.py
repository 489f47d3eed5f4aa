"""TRL's DPOTrainer in rounds, on the policy's own responses."""

from pipeline.training.iterated import iterated_trainer as trainer

__all__ = ["trainer"]
