"""TRL's DPOTrainer, which reads the reference's log-probabilities from the dataset."""

from trl import DPOConfig

from pipeline.training.policy import Start
from pipeline.training.state import continued
from sail import ReferenceColumnsDPOTrainer


def trainer(start: Start) -> ReferenceColumnsDPOTrainer:
    """The trainer of a DPO run."""
    args = start.arguments(DPOConfig, precompute_ref_log_probs=True)
    return continued(ReferenceColumnsDPOTrainer)(
        start.model, args=args, train_dataset=start.dataset, processing_class=start.tokenizer
    )
