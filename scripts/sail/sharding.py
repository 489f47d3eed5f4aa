"""Parameters that are sharded over processes (FSDP2, ZeRO-3): a forward pass of one rank needs the others."""

from collections.abc import Iterator
from contextlib import contextmanager

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.fsdp import FSDPModule


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether each process holds a part of the parameters only.

    Raises:
        ValueError: FSDP of the first version, whose parameters cannot be gathered for a whole refill.
    """
    if accelerator.distributed_type == DistributedType.FSDP:
        if not accelerator.is_fsdp2:
            raise ValueError("rollouts need FSDP of version 2: set fsdp_version: 2 in the accelerate config")
        return True
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        return accelerator.state.deepspeed_plugin.zero_stage == 3
    return False


@contextmanager
def whole_parameters(model: nn.Module, accelerator: Accelerator) -> Iterator[None]:
    """Gather a model's FSDP2 shards once, so that generation needs no other rank for its tokens.

    Ranks sample responses of different lengths, and a rank that is done takes part in no further gathering.
    """
    shards = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for module in shards:
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()
    try:
        yield
    finally:
        # The root, which comes first, keeps its parameters after a forward pass in any case.
        for module in shards[1:]:
            module.set_reshard_after_forward(accelerator.state.fsdp_plugin.reshard_after_forward, recurse=False)
        for module in shards:
            module.reshard()
