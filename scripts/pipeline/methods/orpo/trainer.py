"""TRL's ORPOTrainer on pairs in tokens."""

from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from pipeline.training.policy import Start
from pipeline.training.reference_free import TokenPairs, id_columns
from pipeline.training.state import continued


class TokenORPOTrainer(TokenPairs, ORPOTrainer):
    """ORPOTrainer on pairs in tokens."""


def trainer(start: Start) -> ORPOTrainer:
    """The trainer of an ORPO run."""
    return continued(TokenORPOTrainer)(
        start.model,
        args=start.arguments(ORPOConfig, remove_unused_columns=False),
        train_dataset=id_columns(start.dataset),
        processing_class=start.tokenizer,
    )
