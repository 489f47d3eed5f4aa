"""How many threads a job that runs a model has, and how many such jobs are on the machine at a time."""

from pipeline.config.settings import Settings


def own_threads(settings: Settings, loaded: bool, usual: int, cores: int | None, gpus: bool) -> int:
    """Threads of each process of a job.

    Args:
        loaded: whether its model is loaded, not one that the workflow trains from scratch.
        usual: its threads where the model is not loaded, or a GPU computes.
        cores: that Snakemake may use on this machine; None where jobs run elsewhere.
        gpus: whether this machine has a GPU.
    """
    entry = settings.device_entry()
    on_cpu = entry["accelerator"] == "cpu" or (entry["accelerator"] == "auto" and not gpus)
    if not loaded or not on_cpu or cores is None:
        return usual
    return max(int(entry["cpu_share"] * cores) // entry["processes"], 1)


def side_by_side(settings: Settings, loaded: bool, threads: int, cores: int | None) -> int:
    """Jobs on this machine at a time, by the cores that each takes; 0 where the model is not loaded.

    Args:
        threads: of each process.
    """
    if not loaded:
        return 0
    return max(cores // (threads * settings.device_entry()["processes"]), 1) if cores else 1
