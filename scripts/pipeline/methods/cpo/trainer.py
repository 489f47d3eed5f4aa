"""TRL's CPOTrainer, which is SimPO's too, on pairs in tokens."""

from trl.experimental.cpo import CPOConfig, CPOTrainer

from pipeline.training.policy import Start
from pipeline.training.reference_free import TokenPairs, id_columns
from pipeline.training.state import continued


class TokenCPOTrainer(TokenPairs, CPOTrainer):
    """CPOTrainer on pairs in tokens."""


def trainer(start: Start) -> CPOTrainer:
    """The trainer of a CPO run."""
    return continued(TokenCPOTrainer)(
        start.model,
        args=start.arguments(CPOConfig, remove_unused_columns=False),
        train_dataset=id_columns(start.dataset),
        processing_class=start.tokenizer,
    )
