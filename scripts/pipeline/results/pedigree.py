"""What runs were made from: the records of all jobs that a run's files rest on, followed from record to record.

A record names the files that its job read; beside each of those lies the record of the job that made it. So a policy's
record leads to those of the reference, the SFT model, the reward model and the data. A file without a record, as one of
another project, is left out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.jobs.io import InputError, read_json
from pipeline.jobs.records import RECORD, record_path
from pipeline.results.run_table import Run, RunTable

# Scripts by what their jobs are, in the order of a run.
STAGES = {
    "prepare_data.py": "data",
    "train_sft.py": "sft",
    "train_reward.py": "reward_model",
    "compute_reference.py": "reference",
    "sample_candidates.py": "candidates",
    "train_policy.py": "training",
    "generate_responses.py": "responses",
    "choose_responses.py": "responses",
    "decode_responses.py": "responses",
    "read_responses.py": "responses",
    "score_responses.py": "scores",
    "judge_responses.py": "verdicts",
}
SHARED = ("data", "sft", "reward_model", "reference", "candidates")  # one job for several runs
KEYS = ("script", "spec", "inputs", "outputs", "packages", "machine", "seconds", "finished")


@dataclass(frozen=True, eq=False)
class Job:
    """A job by its record.

    Attributes:
        stage: one of STAGES' values.
        path: of the record.
        record: as `pipeline.jobs.records` writes it.
    """

    stage: str
    path: str
    record: dict

    @property
    def seconds(self) -> float:
        """What it took."""
        return float(self.record["seconds"])

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computed."""
        return (self.record.get("device") or {}).get("type") == "cuda"

    @property
    def processes(self) -> int:
        """Of the job, one for each GPU."""
        return int((self.record.get("device") or {}).get("processes", 1))


@dataclass(frozen=True)
class Pedigree:
    """The jobs of one run, all its seeds and decodings together, each once.

    Attributes:
        made: that its policies and their verdicts rest on, the trainings themselves included.
        asked: that gave its responses, scores and verdicts.
    """

    made: list[Job]
    asked: list[Job]

    def of(self, stage: str) -> list[Job]:
        """The jobs of a stage."""
        return [job for job in (*self.made, *self.asked) if job.stage == stage]


class Shares:
    """Equal shares of the jobs that several trainings or runs rest on.

    Args:
        made: the jobs that each of them rests on.
    """

    def __init__(self, made: Iterable[Sequence[Job]]):
        self._users = Counter(job.path for jobs in made for job in jobs)

    def seconds(self, jobs: Iterable[Job]) -> float:
        """One's share of jobs, all of those that no other rests on."""
        return sum(job.seconds / self._of(job) for job in jobs)

    def gpu_seconds(self, jobs: Iterable[Job]) -> float:
        """The same of those that a GPU computed, each GPU counted."""
        return sum(job.seconds * job.processes / self._of(job) for job in jobs if job.on_gpu)

    def _of(self, job: Job) -> int:
        return self._users[job.path] or 1


def pedigree(runs: Sequence[Run]) -> Pedigree:
    """The jobs of a run.

    Args:
        runs: its entries of the run table, one for each decoding.

    Raises:
        InputError: a record is not readable, or lacks a key.
    """
    asked: dict[str, Job] = {}
    made: dict[str, Job] = {}
    for run, seed in [(one, seed) for one in runs for seed in one.seeds]:
        files = run.files[seed]
        paths = [files[kind] for kind in ("responses", "scores") if kind in files] + list(run.verdicts[seed].values())
        for job in _jobs(paths):
            asked[job.path] = job
            if job.stage == "responses":
                made |= {found.path: found for found in _ancestors(job)}
            elif job.stage == "verdicts":  # the reward model that judges
                made |= {found.path: found for found in _ancestors(job) if found.stage in SHARED}
        made |= {job.path: job for job in training_jobs(run, seed)}
    return Pedigree(list(made.values()), list(asked.values()))


def training_jobs(run: Run, seed: int) -> list[Job]:
    """The training of a run's seed, and all jobs that it rests on; none where there is no record of it."""
    own = _jobs([run.files[seed]["cost"]]) if "cost" in run.files[seed] else []
    return [*own, *(above for job in own for above in _ancestors(job))]


def all_jobs(table: RunTable) -> list[Job]:
    """The jobs of all runs, each once, in the order of the stages."""
    whole = pedigree(table.runs)
    found = {job.path: job for job in (*whole.made, *whole.asked)}
    for job in list(found.values()):
        if job.stage in ("scores", "verdicts"):
            found |= {above.path: above for above in _ancestors(job)}
    order = list(dict.fromkeys(STAGES.values()))
    return sorted(found.values(), key=lambda job: (order.index(job.stage), job.path))


def _ancestors(job: Job) -> list[Job]:
    """All jobs whose files a job read, directly or not, but responses of other runs and trainings of as many steps."""
    found: dict[str, Job] = {}
    waiting = [job]
    while waiting:
        read = waiting.pop().record["inputs"]
        for above in _jobs(path for path in read if Path(path).name != "cost.json"):
            if above.path not in found and above.stage not in ("responses", "scores", "verdicts"):
                found[above.path] = above
                waiting.append(above)
    return list(found.values())


def _jobs(paths: Iterable[str]) -> list[Job]:
    return [job for path in paths if (job := _job_of(path))]


def _job_of(output: str) -> Job | None:
    """The job that made a file or folder: its record lies beside it, or in its folder."""
    for path in (record_path(output), Path(output).parent / RECORD):
        if path.is_file():
            return _read(str(path))
    return None


@cache
def _read(path: str) -> Job | None:
    record = read_json(path)
    if missing := [key for key in KEYS if key not in record]:
        raise InputError(f"{path}: no key {missing[0]!r}; a record has {', '.join(KEYS)}")
    stage = STAGES.get(record["script"])
    return Job(stage, path, record) if stage else None
