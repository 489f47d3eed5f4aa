"""SAIL for TRL: online DPO (DDP, DPP, DPR and any mix) by replacing two names of a DPO script."""

from importlib import import_module

from sail.versions import check_trl

check_trl()

_EXPORTS = {
    "ReferenceColumnsDPOTrainer": "sail.reference",
    "SAILConfig": "sail.config",
    "SAILTrainer": "sail.trainer",
}

__all__ = ["ReferenceColumnsDPOTrainer", "SAILConfig", "SAILTrainer"]


def __getattr__(name: str):
    """Import on first use: TRL takes seconds, and the objective and the sampling do not need it."""
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'sail' has no attribute {name!r}")
