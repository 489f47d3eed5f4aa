"""What is done, running and left of a run, and the time that is left by the times of earlier jobs and of this run's."""

import time

import pytest

from pipeline.jobs.forecast import PlannedJob, expected_seconds
from pipeline.terminal.run import Run


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def sample(clock, seconds=(2, 10, 10, 10, 4), **limits):
    """A job that prepares, three that train after it, one that judges after these."""
    jobs = [PlannedJob("prepare", number=1), *(PlannedJob("train", needs=(0,), number=n) for n in (2, 3, 4))]
    jobs.append(PlannedJob("judge", needs=(1, 2, 3), number=5))
    return Run(jobs, seconds, clock=clock, **limits)


def told(run):
    return {count.name: (count.done, count.running, count.failed, count.left, count.time) for count in run.counts()}


def go(run, clock, number, rule, seconds):
    run.start(number, rule, rule)
    clock.now += seconds
    return run.finish(number)


def test_at_first_everything_is_left(clock):
    assert [(count.name, count.total) for count in sample(clock).counts()] == [
        *(("prepare", 1), ("train", 3), ("judge", 1), ("all jobs", 5)),
    ]
    assert told(sample(clock)) == {
        "prepare": (0, 0, 0, 1, "2 s"),
        "train": (0, 0, 0, 3, "10 s"),  # there is no limit, they run side by side
        "judge": (0, 0, 0, 1, "4 s"),
        "all jobs": (0, 0, 0, 5, "16 s"),
    }
    on_two = told(sample(clock, cores=2))
    assert on_two["train"][-1] == "15 s" and on_two["all jobs"][-1] == "18 s"
    assert told(sample(clock, cores=1))["all jobs"][-1] == "36 s"


def test_the_time_left_falls_while_a_job_runs_and_grows_when_it_is_overdue(clock):
    run = sample(clock)
    assert go(run, clock, 1, "prepare", 2) == 2
    run.start(2, "train", "train")
    clock.now += 7
    assert told(run)["train"] == (0, 1, 0, 3, "10 s")  # the two that wait
    for number in (3, 4):
        run.start(number, "train", "train")
    clock.now += 2
    assert told(run)["train"] == (0, 3, 0, 3, "8 s")
    clock.now += 91
    assert told(run)["train"][-1] == "10 s"  # a tenth of the 100 s that the first one took already
    assert told(run)["prepare"] == (1, 0, 0, 0, "")


def test_what_never_ran_before_is_not_guessed(clock):
    run = sample(clock, (None,) * 5, cores=1)
    assert {text for *_, text in told(run).values()} == {"?"}
    go(run, clock, 1, "prepare", 3)
    go(run, clock, 2, "train", 20)
    assert told(run)["train"] == (1, 0, 0, 2, "40 s"), "the others take what this one took"
    assert told(run)["judge"][-1] == "?" and told(run)["all jobs"][-1] == "> 40 s"
    run.start(3, "train", "train")
    clock.now += 5
    assert told(run)["train"][-1] == "35 s"


def test_a_jobs_own_last_time_counts_more_than_its_rules(clock):
    run = sample(clock, (2, 10, 30, None, 4), cores=1)
    go(run, clock, 1, "prepare", 2)
    go(run, clock, 2, "train", 12)
    assert told(run)["train"][-1] == "42 s"  # 30 and the 12 that the first one took


def test_nothing_starts_after_a_failure_unless_asked(clock):
    run = sample(clock)
    go(run, clock, 1, "prepare", 2)
    for number in (2, 3):
        run.start(number, "train", "train")
    run.fail(2)
    assert told(run)["train"] == (0, 1, 1, 1, "10 s") and told(run)["judge"] == (0, 0, 0, 0, "")
    assert run.counts()[-1].lost == 2
    run.finish(3)
    assert told(run)["all jobs"] == (2, 0, 1, 0, "")


def test_what_waits_for_a_failed_job_is_lost_and_the_rest_goes_on(clock):
    run = sample(clock, keep_going=True)
    go(run, clock, 1, "prepare", 2)
    run.start(2, "train", "train")
    run.fail(2)
    assert told(run)["train"] == (0, 0, 1, 2, "10 s")
    assert [count.lost for count in run.counts()] == [0, 0, 1, 1]
    run.start(2, "train", "train")  # it is tried again
    assert told(run)["train"] == (0, 1, 0, 3, "10 s") and run.counts()[-1].lost == 0


def test_jobs_that_no_plan_had_are_counted_from_their_start(clock):
    run = Run(clock=clock)
    assert told(run) == {"all jobs": (0, 0, 0, 0, "")}
    run.start(7, "new", "new x=1")
    assert told(run)["new"] == (0, 1, 0, 1, "?") and run.names == {7: "new x=1"}
    clock.now += 3
    assert run.finish(7) == 3
    assert told(run)["all jobs"] == (1, 0, 0, 0, "")


def test_news_of_a_job_that_never_started_here_changes_nothing(clock):
    run = sample(clock)
    before = told(run)
    assert run.finish(99) is None
    run.fail(99)
    assert told(run) == before


def test_benchmark_files_give_the_expected_times(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/a.tsv").write_text("s\th:m:s\n30.0\t0:00:30\n")
    jobs = [PlannedJob("train", str(tmp_path / f"train/{name}.tsv"), number=i) for i, name in enumerate("ab")]
    run = Run(jobs, expected_seconds(jobs, tmp_path), cores=1)
    assert told(run)["train"][-1] == "1 min"


def test_ten_thousand_jobs_are_counted_in_no_noticeable_time(clock):
    jobs = [PlannedJob(f"rule{i % 20}", needs=(i - 1,) if i % 10 else (), number=i) for i in range(10_000)]
    run = Run(jobs, [10.0] * len(jobs), cores=4, clock=clock)
    started = time.perf_counter()
    assert run.counts()[-1].time == "6 h 56 min"
    assert time.perf_counter() - started < 10
