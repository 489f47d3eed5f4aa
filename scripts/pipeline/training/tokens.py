"""Tokens of a training."""

import torch

from sail.internals import trained_tokens


def counted_tokens(trainer) -> tuple[int, int]:
    """Tokens that a training has read so far and that its policy has sampled, over all processes, each of which asks.

    Both responses of a pair count, each with its prompt; of what is sampled the responses do. The first is 0 where the
    trainer does not count.
    """
    sampled = torch.tensor(int(getattr(trainer, "rollout_tokens", 0)), device=trainer.accelerator.device)
    return trained_tokens(trainer), int(trainer.accelerator.reduce(sampled, "sum").item())
