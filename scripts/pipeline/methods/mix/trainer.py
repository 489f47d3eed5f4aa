"""Any mixture of DDP, DPP and DPR rows."""

from pipeline.training.sail import sail_trainer as trainer

__all__ = ["trainer"]
