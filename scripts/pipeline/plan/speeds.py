"""How long work takes: fitted to the records of earlier jobs here, or by stated speeds where there are none.

A job's time is its start (Python, libraries, what Snakemake measured beyond the job's own time), a second or so to
read what it needs, and its work. Of work, earlier jobs of the same rule and method give the factor by which it takes
longer or shorter than at the usual speed of such a device; the median counts.
"""

import json
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pipeline.jobs.forecast import MOST_FILES, benchmark_seconds
from pipeline.plan.work import Work

# Operations a second of a thread, or of a GPU (name: TFLOP at half precision), of which trainings reach a part.
CPU_THREAD, THREADS_HELP = 50e9, 0.8
PEAKS = {"h200": 990, "h100": 990, "a100": 312, "l40": 181, "4090": 165, "a6000": 155, "a40": 150, "l4": 121}
PEAKS |= {"v100": 112, "a10": 125, "3090": 71, "t4": 65}
OTHER_PEAK, REACHED = 100, 0.3
PASS = {"cpu": 0.005, "cuda": 0.002}  # seconds of a pass through a layer, besides
START = {"cpu": 9.0, "cuda": 25.0}  # seconds
READING = 1.0  # of a job's own seconds, in which it reads files and counts tokens; at most half of them
KINDS = ("sft", "reward_models", "reference", "policies", "responses", "scores", "bt", "judge_quality", "verdicts")
KINDS += ("candidates",)


@dataclass(frozen=True)
class Machine:
    """What a job computes on.

    Attributes:
        type: cpu or cuda.
        name: of the accelerator.
        threads: of each process, on a CPU.
        processes: of a job.
    """

    type: str
    name: str = ""
    threads: int = 1
    processes: int = 1

    def seconds(self, work: Work) -> float:
        """What work takes at the usual speed of such a device, start apart."""
        if self.type == "cpu":
            speed = CPU_THREAD * max(self.threads, 1) ** THREADS_HELP
        else:
            named = self.name.lower().replace(" ", "")
            peak = next((peak for part, peak in PEAKS.items() if part in named), OTHER_PEAK)
            speed = peak * 1e12 * REACHED
        return (work.operations / speed + work.passes * PASS[self.type]) / self.processes


@dataclass(frozen=True)
class Earlier:
    """An earlier job.

    Attributes:
        rule: its rule.
        method: of its run; empty where it has none, or is no training.
        machine: that it ran on.
        work: what it did.
        seconds: that this took.
        start: seconds before that; None where nobody measured it.
    """

    rule: str
    method: str
    machine: Machine
    work: Work
    seconds: float
    start: float | None = None


class Speeds:
    """What earlier jobs tell of this machine.

    Args:
        jobs: the earlier ones; those on another type of device, or in another number of processes, tell nothing.
        machine: that the planned jobs run on.
    """

    def __init__(self, jobs: Iterable[Earlier], machine: Machine):
        self.machine = machine
        alike = (machine.type, machine.processes)
        used = [job for job in jobs if (job.machine.type, job.machine.processes) == alike]
        self.factors: dict[tuple[str, ...], list[float]] = {}
        self.starts: dict[tuple[str, ...], list[float]] = {}
        for job in used:
            usual, reading = job.machine.seconds(job.work), min(READING, job.seconds / 2)
            for key in ((job.rule, job.method), (job.rule,), ()):
                if usual > 0 and job.seconds > 0:
                    self.factors.setdefault(key, []).append((job.seconds - reading) / usual)
                if job.start is not None:
                    self.starts.setdefault(key, []).append(job.start + reading)

    @property
    def are_guessed(self) -> bool:
        """Whether no earlier job says anything."""
        return not self.factors

    def seconds(self, rule: str, method: str, work: Work, threads: int = 1) -> float:
        """What a job of a rule will take.

        Args:
            method: of its run, for trainings; else empty.
            threads: of each process.
        """
        machine = replace(self.machine, threads=threads)
        keys = ((rule, method), (rule,), ())
        factor = next((statistics.median(self.factors[key]) for key in keys if key in self.factors), 1.0)
        starts = (statistics.median(self.starts[key]) for key in keys if key in self.starts)
        return next(starts, START[machine.type]) + factor * machine.seconds(work)


def read_records(results: Path) -> Iterator[tuple[dict, float | None]]:
    """The records of earlier jobs that ran a model, at most MOST_FILES of each kind.

    Returns:
        Each with the seconds that Snakemake measured from the start to the end of its job, None where it did not.
    """
    for kind in KINDS:
        for path in islice((results / kind).rglob("*provenance.json"), MOST_FILES):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                outputs = [Path(output).relative_to("results") for output in record["outputs"]]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if path.parent.name != "model" and outputs:
                yield record, _whole_seconds(results / "benchmarks" / record["script"].removesuffix(".py"), outputs[0])


def _whole_seconds(benchmarks: Path, output: Path) -> float | None:
    """By the benchmark file of the job that made an output; that of several seeds' scores has no seed in its name."""
    name = output.with_suffix("").parts[1:]
    for parts in (name, [part for part in name if not part.startswith("seed")]):
        if (seconds := benchmark_seconds(benchmarks.joinpath(*parts[:-1], f"{parts[-1]}.tsv"))) is not None:
            return seconds
    return None


def machine_of(record: Mapping) -> Machine | None:
    """What a recorded job ran on; None where it ran no model."""
    device = record.get("device")
    if not device:
        return None
    threads = (record.get("options") or {}).get("threads") or os.cpu_count() or 1
    return Machine(device["type"], str(device.get("description", "")), int(threads), int(device.get("processes", 1)))
