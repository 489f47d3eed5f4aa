"""Of the benchmark on a GPU: what a training's steps take in time, tokens and memory, and what the cards can do."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch

from pipeline.models.devices import Device
from pipeline.training import speed

# Dense peak in TFLOP/s with half precision, accumulated in float32; the first name that a card's own holds counts.
PEAKS = (
    ("B200", 2250),
    ("GH200", 989),
    ("H200", 989),
    ("H100 PCIe", 756),
    ("H100 NVL", 835),
    ("H100", 989),
    ("A100", 312),
    ("L40S", 362),
    ("L40", 181),
    ("RTX 6000 Ada", 364),
    ("RTX PRO 6000", 504),
    ("A40", 150),
    ("A6000", 155),
    ("A10", 125),
    ("L4", 121),
    ("RTX 4090", 165),
    ("RTX 3090", 71),
    ("V100", 125),
    ("T4", 65),
)
WITHOUT_BF16 = ("V100", "T4")


def peak_flops(card: str, precision: str) -> float | None:
    """A card's dense peak by its name; None where it is not known.

    Args:
        precision: bf16 or fp16.
    """
    for name, teraflops in PEAKS:
        if name.lower() in card.lower():
            return None if precision == "bf16" and name in WITHOUT_BF16 else teraflops * 1e12
    return None


class Clock(speed.Clock):
    """When the optimizer steps of a training end, how long its rollouts had taken by then, and the tokens it computed.

    Args:
        trainer: not yet trained; rollouts that it made before do not count.
        deadline: by `time.monotonic`; the step in which it passes is the last.

    Attributes:
        computed: tokens that went through the model to be trained on, padding included.
    """

    def __init__(self, trainer: Any, deadline: float = float("inf")):
        super().__init__(trainer)
        self.deadline, self.computed = deadline, 0
        trainer.model.get_input_embeddings().register_forward_pre_hook(self._count)

    def _count(self, module: torch.nn.Module, inputs: tuple) -> None:
        if torch.is_grad_enabled():
            self.computed += inputs[0].numel()

    def on_step_end(self, args, state, control, **kwargs):
        super().on_step_end(args, state, control, **kwargs)
        control.should_training_stop |= time.monotonic() > self.deadline

    def seconds(self, hyperparameters: dict) -> tuple[float, float]:
        """Seconds of a step with its rollouts, and of these alone.

        The first step, which warms up, is left out, and the median of the others taken. A refill serves several steps:
        its seconds are shared out by the pairs that a step takes.

        Raises:
            TimeoutError: there was no second step.
        """
        spent = [end - rollouts for end, rollouts in self.ends]
        if len(spent) < 2:
            raise TimeoutError("the time was over before the second step")
        share = hyperparameters.get("p", 0.0) + hyperparameters.get("g", 0.0)
        sampled = self.trainer._prompts_drawn if share else 1
        rollouts = self.ends[-1][1] / sampled * share * hyperparameters["global_batch_size"]
        return statistics.median(after - before for before, after in pairwise(spent)) + rollouts, rollouts


@contextmanager
def memory(device: Device, most_gib: float | None = None) -> Iterator[dict[str, float]]:
    """The peak memory of what is done meanwhile: {allocated_gib, reserved_gib}, filled in at the end; 0 on a CPU.

    Args:
        most_gib: that torch may hold on the GPU meanwhile.
    """
    used = {"allocated_gib": 0.0, "reserved_gib": 0.0}
    if device.type != "cuda":
        yield used
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    torch.cuda.set_per_process_memory_fraction(min((most_gib or total) / total, 1.0))
    try:
        yield used
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    used["allocated_gib"] = torch.cuda.max_memory_allocated() / 2**30
    used["reserved_gib"] = torch.cuda.max_memory_reserved() / 2**30
