"""TRL's KTOTrainer on pairs taken apart by TRL, which brings the reference's log-probabilities."""

from trl import KTOConfig, KTOTrainer

from pipeline.training.policy import Start
from pipeline.training.state import continued
from pipeline.training.unpaired import unpaired


class UnpairedKTOTrainer(KTOTrainer):
    """KTOTrainer on a dataset in tokens with the reference's log-probabilities; nothing else is changed."""

    def _prepare_dataset(self, dataset, processing_class, args, dataset_name):
        return dataset

    def _precompute_ref_logps(self, dataset, name, batch_size):
        return dataset


def trainer(start: Start) -> KTOTrainer:
    """The trainer of a KTO run: a step has the pairs of the global batch, that is twice as many responses."""
    args = start.arguments(KTOConfig, precompute_ref_log_probs=True)
    args.per_device_train_batch_size *= 2
    dataset = unpaired(start, args.loss_type == "kto")
    return continued(UnpairedKTOTrainer)(
        start.model, args=args, train_dataset=dataset, processing_class=start.tokenizer
    )
