from sail.config import SAILConfig as SAILConfig
from sail.reference import ReferenceColumnsDPOTrainer as ReferenceColumnsDPOTrainer
from sail.trainer import SAILTrainer as SAILTrainer

__all__ = ["ReferenceColumnsDPOTrainer", "SAILConfig", "SAILTrainer"]
