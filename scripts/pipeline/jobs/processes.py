"""The processes that share a job under `accelerate launch`: who is who, where each runs, results brought together.

What is shared is cut the same way whatever the number of processes, so that results do not depend on it.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

# Processes wait for the slowest, which may take longer than the libraries' own limits.
PATIENCE = timedelta(days=7)


def processes() -> tuple[int, int]:
    """The rank of this process and how many there are, as `accelerate launch` tells them."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def is_first_process() -> bool:
    """Whether this is the process that writes results."""
    return processes()[0] == 0


def own_share(items: Sequence) -> list:
    """The items that this process does: every n-th, of n processes."""
    rank, count = processes()
    return list(items[rank::count])


def own_place(kind: str) -> str:
    """The torch device of this process, of the kind cpu or cuda: of several on CUDA each has its own."""
    return str(shared_state(kind).device) if processes()[1] > 1 else kind


def gathered(own: dict, kind: str) -> dict[Any, Any]:
    """The mappings of all processes as one, which all have; they wait here for each other.

    Args:
        own: what this process has, under keys that no other has.
        kind: of device, cpu or cuda.
    """
    if processes()[1] == 1:
        return own
    shared_state(kind)
    from accelerate.utils import gather_object

    return {key: value for part in gather_object([own]) for key, value in part.items()}


def shared_state(kind: str):
    """accelerate's state of the processes, which is made by whoever asks first."""
    from accelerate import PartialState

    return PartialState(cpu=kind == "cpu", timeout=PATIENCE)
