"""What is said at the start: the jobs, the device, and how long by the times of earlier jobs."""

import time

import pytest

from pipeline.jobs.forecast import (
    PlannedJob,
    benchmark_seconds,
    describe,
    describe_device,
    duration,
    expected_seconds,
    gpu_names,
    span,
)


def write_time(path, *seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{value}\t0:00:01\t100.0\n" for value in seconds)
    path.write_text("s\th:m:s\tmax_rss\n" + rows, encoding="utf-8")
    return path


def planned(folder, rule, name, *needs, threads=1, gpus=0):
    return PlannedJob(rule, str(folder / rule / f"{name}.tsv"), threads, gpus, needs)


def time_of(jobs, cores, gpus, folder):
    return span(jobs, expected_seconds(jobs, folder), cores, gpus)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (570, "9 min 30 s"), (600, "10 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)
def test_durations_are_for_readers(seconds, text):
    assert duration(seconds) == text


def test_a_benchmark_files_time_is_the_mean_of_its_rows(tmp_path):
    assert benchmark_seconds(write_time(tmp_path / "a.tsv", 2.0, 4.0)) == 3.0
    for name, text in {"none": "", "broken": "s\th\nabc\t1\n", "other": "x\ty\n1\t2\n", "head": "s\th:m:s\n"}.items():
        (tmp_path / name).write_text(text)
        assert benchmark_seconds(tmp_path / name) is None
    assert benchmark_seconds(tmp_path / "nowhere.tsv") is None


def test_jobs_one_after_the_other_take_their_sum_and_side_by_side_their_share(tmp_path):
    for name, seconds in {"a": 10, "b": 20, "c": 30}.items():
        write_time(tmp_path / f"train/{name}.tsv", seconds)
    chain = [planned(tmp_path, "train", "a"), planned(tmp_path, "train", "b", 0), planned(tmp_path, "train", "c", 1)]
    assert time_of(chain, 2, None, tmp_path) == 60
    apart = [planned(tmp_path, "train", name) for name in "abc"]
    assert time_of(apart, 2, None, tmp_path) == 30
    assert time_of(apart, 1, None, tmp_path) == 60
    assert time_of(apart, None, None, tmp_path) == 30  # as many nodes as there are jobs
    wide = [planned(tmp_path, "train", name, threads=2) for name in "abc"]
    assert time_of(wide, 2, None, tmp_path) == time_of(wide, 1, None, tmp_path) == 60
    on_gpu = [planned(tmp_path, "train", name, gpus=1) for name in "abc"]
    assert time_of(on_gpu, 8, 1, tmp_path) == 60


def test_a_job_that_never_ran_takes_what_its_rules_others_took(tmp_path):
    for name, seconds in {"small/a": 10, "small/b": 20, "c": 90}.items():
        write_time(tmp_path / f"train/{name}.tsv", seconds)
    jobs = [
        planned(tmp_path, "train", "new"),
        planned(tmp_path, "judge", "new", 0),
        PlannedJob("all", None, 1, 0, (1,)),
    ]
    assert expected_seconds(jobs, tmp_path) == [20, None, 0] and time_of(jobs, 1, None, tmp_path) == 20


def test_without_benchmarks_nothing_is_claimed(tmp_path):
    jobs = [planned(tmp_path, "train", "a"), PlannedJob("all")]
    seconds = expected_seconds(jobs, tmp_path / "nowhere")
    assert seconds == [None, 0]
    assert describe("mine", "cpu (CPU)", "2 cores", jobs, seconds, 2, None) == (
        "Config mine on device cpu (CPU): 1 train\nHow long that takes is not known: no such job ran here before"
    )


def test_the_text_has_jobs_device_and_time(tmp_path):
    write_time(tmp_path / "train/a.tsv", 95)
    jobs = [
        *(PlannedJob("write_policy_spec"), planned(tmp_path, "train", "a"), planned(tmp_path, "train", "b")),
        *(planned(tmp_path, "judge", "a"), PlannedJob("all")),
    ]
    text = describe("mine", "t4 (1 × Tesla T4)", "2 cores", jobs, expected_seconds(jobs, tmp_path), 2, None)
    assert text.splitlines() == [
        "Config mine on device t4 (1 × Tesla T4): 2 train, 1 judge",
        "About 1 min 35 s on 2 cores, by the times of earlier jobs; not counted, as none ran before: 1 judge",
    ]


def test_ten_thousand_jobs_take_no_noticeable_time(tmp_path):
    jobs = []
    for number in range(10_000):
        if number < 1000:
            write_time(tmp_path / f"train/{number}.tsv", 10)
        jobs.append(planned(tmp_path, "train", str(number), *([number - 1] if number % 10 else [])))
    started = time.perf_counter()
    seconds = time_of(jobs, 4, None, tmp_path)
    assert time.perf_counter() - started < 30
    assert seconds == 10 * 10_000 / 4


def test_a_device_is_told_without_torch(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho Tesla T4\necho Tesla T4\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert gpu_names() == ["Tesla T4", "Tesla T4"]
    assert describe_device("auto", "auto", 2) == "auto (2 × Tesla T4)"
    assert describe_device("cpu", "cpu", 2) == "cpu (CPU, 2 cores)"
    program.write_text("#!/bin/sh\nexit 9\n")
    assert describe_device("auto", "auto", None) == "auto (CPU)"
    assert describe_device("t4", "cuda", 2) == "t4"
