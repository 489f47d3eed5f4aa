"""DPP: the policy answers and labels."""

from pipeline.training.sail import sail_trainer as trainer

__all__ = ["trainer"]
