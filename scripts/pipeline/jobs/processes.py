"""The processes that share a job under `accelerate launch`: who is who, and what each does.

What is shared is cut the same way whatever the number of processes, so that results do not depend on it.
"""

import os
from collections.abc import Sequence


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
