"""What processes that share a job need of accelerate: where each runs, results brought together."""

from datetime import timedelta
from typing import Any

from pipeline.jobs.processes import processes

# Processes wait for the slowest, which may take longer than the libraries' own limits.
PATIENCE = timedelta(days=7)


def own_torch_device(kind: str) -> str:
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
