"""What each training cost: its steps, its seconds with its share of what several trainings need, its tokens."""

from collections.abc import Sequence

import pandas as pd

from pipeline.columns.cost import COST_TOKENS
from pipeline.results.pedigree import SHARED, Job, Shares, training_jobs
from pipeline.results.run_table import Run, RunTable, read_cost

KEYS = ["dataset", "model", "run", "seed"]
PARTS = [f"{stage}_seconds" for stage in SHARED]
MEASURED = [
    *("steps", "tokens", *COST_TOKENS, "training_seconds", "sampling_seconds"),
    *(*PARTS, "device_seconds", "alone_seconds", "gpu_hours"),
]


def training_costs(table: RunTable) -> pd.DataFrame:
    """One row per training, which is one seed of a run, however it is decoded; none of a run without trainings.

    A reward model, an SFT model, a reference or prepared data that several trainings need is shared out equally to
    them. What a run's responses and verdicts took is no part of it.

    Returns:
        KEYS and MEASURED; NaN where it is not known, which without records are the seconds beside the training's own.
        tokens are those trained on and sampled; training_seconds hold sampling_seconds; PARTS are the training's
        shares, device_seconds these and its own, alone_seconds what it would have taken as the only training;
        gpu_hours count each GPU of a job.
    """
    trainings = [(run, seed) for run in table.first.runs for seed in run.seeds_with("cost")]
    jobs = [training_jobs(run, seed) for run, seed in trainings]
    shares = Shares(jobs)
    rows = [
        {name: getattr(run, name) for name in KEYS[:3]} | {"seed": seed} | _own(run, seed) | _with_shares(made, shares)
        for (run, seed), made in zip(trainings, jobs, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*KEYS, *MEASURED]).astype(dict.fromkeys(MEASURED, float))


def _own(run: Run, seed: int) -> dict[str, float | None]:
    """What the training itself took."""
    cost = read_cost(run, seed)
    own = {"steps": cost["steps"], "training_seconds": cost["seconds"], "sampling_seconds": cost["rollout_seconds"]}
    known = {name: cost.get(name) for name in COST_TOKENS}
    return own | known | {"tokens": None if None in known.values() else sum(known.values())}


def _with_shares(jobs: Sequence[Job], shares: Shares) -> dict[str, float]:
    """What else it needed; nothing where its records are missing.

    Args:
        jobs: the training, and all that it rests on.
        shares: of those that other trainings rest on too.
    """
    if not jobs:
        return {}
    parts = {f"{stage}_seconds": shares.seconds(job for job in jobs if job.stage == stage) for stage in SHARED}
    return parts | {
        "device_seconds": shares.seconds(jobs),
        "alone_seconds": sum(job.seconds for job in jobs),
        "gpu_hours": shares.gpu_seconds(jobs) / 3600,
    }
