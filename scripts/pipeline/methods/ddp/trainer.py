"""DDP: the policy labels the dataset's pairs again."""

from pipeline.training.sail import sail_trainer as trainer

__all__ = ["trainer"]
