"""DPR: the policy answers, the reward model labels."""

from pipeline.training.sail import sail_trainer as trainer

__all__ = ["trainer"]
