"""Training in several processes: one order of the data for all, weights gathered from their parts."""

from accelerate.utils import broadcast_object_list
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler

from pipeline.jobs.processes import is_first_process, processes
from sail.internals import wrap_train_sampler
from sail.sharding import is_sharded


class SharedOrder(Sampler):
    """The first process's order of the data for all processes, which take turns in it.

    Args:
        sampler: draws from the global random state, which processes that sample responses do not have in common.
    """

    def __init__(self, sampler: Sampler):
        self.sampler = sampler

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next order is for."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __iter__(self):
        order = [list(self.sampler)]
        broadcast_object_list(order)
        return iter(order[0])


def share_order(trainer) -> None:
    """Let a trainer of several processes group rows of like length as one process does: over the global batch.

    The random order of a trainer that does not group rows is accelerate's own, which is the same for all.
    """
    count = processes()[1]
    if count == 1:
        return

    def shared(sampler):
        grouped = getattr(sampler, "sampler", sampler)
        if not isinstance(grouped, LengthGroupedSampler):
            return sampler
        grouped.batch_size *= count
        return SharedOrder(sampler)

    wrap_train_sampler(trainer, shared)


def whole_weights(trainer) -> dict:
    """What a checkpoint is written from where each process has a part of the weights only (FSDP2, ZeRO-3).

    All processes call this.

    Returns:
        {state_dict: weights by name, empty but in the first process}; {} where the model itself is whole.
    """
    if not is_sharded(trainer.accelerator):
        return {}
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return {"state_dict": weights if is_first_process() else {}}
