"""What a call of Snakemake will run, on which device, and about how long, from the times of earlier jobs."""

import csv
import statistics
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path

MOST_FILES = 100  # benchmark files of other jobs that a rule's usual time is taken from
UNCOUNTED = ("write_",)  # rules that take no time worth telling


@dataclass(frozen=True)
class PlannedJob:
    """A job that is to run.

    Attributes:
        rule: its rule's name.
        benchmark: where its time is written to, None for a job without.
        threads: CPU threads that it takes.
        gpus: GPUs that it takes.
        needs: positions of the jobs before it that it waits for.
        number: Snakemake's, by which its messages name the job.
        names: its wildcards.
        output: its first output; empty where it has none.
    """

    rule: str
    benchmark: str | None = None
    threads: int = 1
    gpus: int = 0
    needs: tuple[int, ...] = ()
    number: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    output: str = ""


def expected_seconds(jobs: Sequence[PlannedJob], benchmarks: str | Path) -> list[float | None]:
    """The time of each job: that of its own last run, else the median of its rule's other jobs.

    Args:
        benchmarks: folder of the rules' benchmark files.

    Returns:
        In the order of the jobs; None where neither is known, 0 for a job without a benchmark.
    """
    times = []
    for job in jobs:
        seconds = benchmark_seconds(Path(job.benchmark)) if job.benchmark else 0.0
        times.append(_usual_seconds(Path(benchmarks), job.rule) if seconds is None else seconds)
    _usual_seconds.cache_clear()
    return times


def span(jobs: Sequence[PlannedJob], seconds: Sequence[float | None], cores: int | None, gpus: int | None) -> float:
    """Seconds that jobs take together: as the longest chain of them, or as all of them on the cores or GPUs there are.

    Args:
        jobs: each after those that it waits for.
        seconds: that each takes; None, which is not known, counts nothing.
        cores: that they share, by threads; None where there is no limit.
        gpus: likewise.
    """
    chains = [0.0] * len(jobs)
    work = {"cores": 0.0, "gpus": 0.0}
    for i, (job, known) in enumerate(zip(jobs, seconds, strict=True)):
        one = known or 0.0
        chains[i] = one + max((chains[before] for before in job.needs), default=0.0)
        work["cores"] += one * (min(job.threads, cores) if cores else 0)
        work["gpus"] += one * job.gpus
    return max([*chains, work["cores"] / (cores or 1), work["gpus"] / gpus if gpus else 0.0])


@cache
def _usual_seconds(benchmarks: Path, rule: str) -> float | None:
    files = islice((benchmarks / rule).rglob("*.tsv"), MOST_FILES)
    times = [seconds for path in files if (seconds := benchmark_seconds(path)) is not None]
    return statistics.median(times) if times else None


def benchmark_seconds(path: Path) -> float | None:
    """The mean time that a benchmark file of Snakemake tells, in seconds; None where there is none in it."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            times = [float(row["s"]) for row in csv.DictReader(handle, delimiter="\t")]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return statistics.fmean(times) if times else None


def describe(
    tag: str,
    device: str,
    where: str,
    jobs: Sequence[PlannedJob],
    seconds: Sequence[float | None],
    *limits: int | None,
    basis: str = "by the times of earlier jobs",
) -> str:
    """Some lines for the user.

    Args:
        tag: of the config.
        device: name of the device, and what it is here.
        where: what the jobs share: "2 cores".
        jobs, seconds, limits: as `span` takes them.
        basis: what the seconds are known by.
    """
    counts = Counter(job.rule for job in jobs if not job.rule.startswith(UNCOUNTED) and job.benchmark)
    unknown = Counter(job.rule for job, one in zip(jobs, seconds, strict=True) if one is None)
    text = f"Config {tag} on device {device}: {_listed(counts) or 'specs alone'}"
    if not any(seconds):
        return text + ("\nHow long that takes is not known: no such job ran here before" if unknown else "")
    text += f"\nAbout {duration(span(jobs, seconds, *limits))} on {where}, {basis}"
    return text + (f"; not counted, as none ran before: {_listed(unknown)}" if unknown else "")


def _listed(counts: Counter) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def duration(seconds: float) -> str:
    """Seconds for readers: "40 s", "9 min 30 s", "3 h 20 min", "2 d 4 h"."""
    whole = max(round(seconds), 1)
    for name, size, part, smaller in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def describe_device(name: str, accelerator: str, cores: int | None) -> str:
    """A device's name and what it is on this machine, found without torch.

    Args:
        accelerator: of its entry: auto, cpu or cuda.
        cores: that Snakemake was given.
    """
    gpus = [] if accelerator == "cpu" else gpu_names()
    if gpus:
        return f"{name} ({', '.join(f'{count} × {gpu}' for gpu, count in Counter(gpus).items())})"
    if accelerator == "cuda":
        return name
    return f"{name} (CPU)" if cores is None else f"{name} (CPU, {cores} cores)"


def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs of this machine, as nvidia-smi tells them."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in output.splitlines() if line.strip()]
