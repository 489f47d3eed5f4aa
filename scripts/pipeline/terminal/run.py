"""How far a run is: which jobs are done, running and left, and how long what is left takes."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.jobs.forecast import PlannedJob, duration, span

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
OVERDUE = 0.1  # of the time that a job took already: what a job that takes longer than expected still takes
UNKNOWN = "?"


@dataclass(frozen=True)
class Count:
    """How far the jobs of a rule are, or all jobs.

    Attributes:
        name: of the rule.
        total: how many jobs there are.
        done, running, failed: how many of these are.
        left: that run or will run.
        lost: that will not run, as others failed.
        time: what those take, for readers; empty where none is left.
    """

    name: str
    total: int
    done: int
    running: int
    failed: int
    left: int
    lost: int
    time: str


@dataclass
class Run:
    """The jobs of a run, each after those that it waits for.

    Args:
        jobs: the plan.
        seconds: that each is expected to take, None where that is not known.
        cores: that they share, by threads; None where there is no limit.
        gpus: likewise.
        keep_going: whether jobs start after one failed.
        clock: seconds, from any start.
    """

    jobs: Sequence[PlannedJob] = ()
    seconds: Sequence[float | None] = ()
    cores: int | None = None
    gpus: int | None = None
    keep_going: bool = False
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self):
        planned, expected = self.jobs, self.seconds
        self.jobs, self.seconds = [], []
        self.alone: list[PlannedJob] = []  # the same, as if none waited for another
        self.places: dict[int, int] = {}
        self.states: list[str] = []
        self.started: dict[int, float] = {}
        self.names: dict[int, str] = {}
        self.taken: dict[str, list[float]] = {}
        self.lock = threading.Lock()  # held for no longer than it takes to read or write this object
        for job, seconds in zip(planned, expected, strict=True):
            self._add(job, seconds)

    def _add(self, job: PlannedJob, seconds: float | None) -> None:
        self.places[job.number] = len(self.jobs)
        self.jobs.append(job)
        self.alone.append(replace(job, needs=()))
        self.seconds.append(seconds)
        self.states.append(WAITING)

    def start(self, number: int, rule: str, name: str) -> None:
        """A job has started, maybe again; one that was not planned, after a checkpoint, is counted from now on."""
        with self.lock:
            if number not in self.places:
                self._add(PlannedJob(rule, number=number), None)
            self.states[self.places[number]] = RUNNING
            self.started[number], self.names[number] = self.clock(), name

    def finish(self, number: int) -> float | None:
        """A job is done, after so many seconds; None where it did not start here."""
        with self.lock:
            if number not in self.started:
                return None
            i, seconds = self.places[number], self.clock() - self.started[number]
            self.states[i] = DONE
            self.taken.setdefault(self.jobs[i].rule, []).append(seconds)
        return seconds

    def fail(self, number: int) -> None:
        """A job has failed; it may start again."""
        with self.lock:
            if number in self.places:
                self.states[self.places[number]] = FAILED

    def counts(self) -> list[Count]:
        """How far the jobs of each rule are, in the order in which the rules' first jobs can start; all jobs last."""
        with self.lock:
            usual = {rule: statistics.median(times) for rule, times in self.taken.items()}
            states = self._states()
            times = [self._time_left(i, state, usual) for i, state in enumerate(states)]
            rules: dict[str, list[int]] = {}
            for i, job in enumerate(self.jobs):
                rules.setdefault(job.rule, []).append(i)
            found = [self._count(rule, places, states, times, self.alone) for rule, places in rules.items()]
            return [*found, self._count("all jobs", range(len(self.jobs)), states, times, self.jobs)]

    def _states(self) -> list[str | None]:
        """None where a job will not run, as one failed."""
        stopped = FAILED in self.states and not self.keep_going
        states: list[str | None] = []
        for job, state in zip(self.jobs, self.states, strict=True):
            lost = stopped or any(states[other] in (FAILED, None) for other in job.needs)
            states.append(None if state == WAITING and lost else state)
        return states

    def _time_left(self, i: int, state: str | None, usual: Mapping[str, float]) -> float | None:
        if state not in (WAITING, RUNNING):
            return 0.0
        job, seconds = self.jobs[i], self.seconds[i]
        seconds = usual.get(job.rule) if seconds is None else seconds
        if seconds is None or state == WAITING:
            return seconds
        spent = self.clock() - self.started[job.number]
        return max(seconds - spent, OVERDUE * spent)

    def _count(self, name, places, states, times, jobs) -> Count:
        of = [states[i] for i in places]
        left = sum(state in (WAITING, RUNNING) for state in of)
        seconds = span([jobs[i] for i in places], [times[i] for i in places], self.cores, self.gpus)
        unknown = any(times[i] is None for i in places)
        text = (f"> {duration(seconds)}" if seconds else UNKNOWN) if unknown else duration(seconds)
        now = map(of.count, (DONE, RUNNING, FAILED))
        return Count(name, len(of), *now, left, of.count(None), text if left else "")
