"""The state of jobs: where it is, who may use it, when it goes; full disks."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import clean_state
from pipeline.jobs import io, partial
from pipeline.jobs.io import InputError, atomic_folder, scratch_folder, write_text
from pipeline.jobs.ownership import OWNER, enter_folder
from pipeline.jobs.partial import PartialResults
from pipeline.jobs.refusals import full_disk
from pipeline.jobs.state import JobState, all_states, finished_states, remove_states, state_place

SCRIPTS = Path(io.__file__).parents[2]


class KilledError(Exception):
    pass


def start(code: str, **environment) -> subprocess.Popen:
    """A process of its own that runs code, which prints a line when it is ready."""
    variables = os.environ | {"PYTHONPATH": str(SCRIPTS)} | environment
    process = subprocess.Popen([sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline(), "it ended before it was ready"
    return process


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def test_the_state_is_outside_the_outputs():
    assert state_place("results/a/b.parquet").as_posix() == "results/.state/a/b.parquet"
    assert state_place("/x/results/y/results/a").as_posix() == "/x/results/y/results/.state/a"
    assert state_place("/tmp/out/b.parquet").as_posix() == "/tmp/out/.state/b.parquet"


def test_a_failed_job_keeps_its_state_and_a_finished_one_does_not(tmp_path):
    output = tmp_path / "results" / "a" / "model"
    with pytest.raises(KilledError), JobState(output, "key") as state:
        (state.folder / "checkpoint").write_text("half")
        raise KilledError
    assert all_states(tmp_path / "results") == [tmp_path / "results/.state/a/model"]
    with JobState(output, "key") as state:
        assert (state.folder / "checkpoint").read_text() == "half"
    assert list(tmp_path.rglob("*")) == [tmp_path / "results"]


def test_a_job_that_fails_before_there_is_anything_to_keep_leaves_nothing(tmp_path):
    with pytest.raises(InputError), JobState(tmp_path / "out", "key"):
        raise InputError("wrong from the start")
    assert list(tmp_path.iterdir()) == []


def test_a_job_with_another_key_does_not_see_the_state(tmp_path):
    with pytest.raises(KilledError), JobState(tmp_path / "out", "one") as state:
        (state.folder / "checkpoint").write_text("half")
        raise KilledError
    with pytest.raises(KilledError), JobState(tmp_path / "out", "two") as state:
        assert not list(state.folder.iterdir()) and not (state.place / "one").exists()
        (state.folder / "checkpoint").write_text("half")
        raise KilledError


def write_results(folder: Path) -> list[Path]:
    write_text("{}", folder / "manifest.json")
    with atomic_folder(folder / "model") as temporary:
        (temporary / "weights").write_text("weights")
    return [folder / "manifest.json", folder / "model"]


def test_a_finished_job_that_snakemake_did_not_note_is_not_done_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(OWNER, str(os.getpid()))
    folder = tmp_path / "results" / "sft"
    with JobState(folder, "key") as state:
        assert not state.restored([folder / "manifest.json", folder / "model"])
        (state.folder / "checkpoint").write_text("half")
        results = write_results(folder)
        state.finish(results)
    assert not (state.folder / "checkpoint").exists()
    (folder / "manifest.json").unlink()
    with JobState(folder, "key") as state:
        assert state.restored(results)
    assert "finished before" in capsys.readouterr().out
    assert (folder / "manifest.json").read_text() == "{}" and (folder / "model/weights").read_text() == "weights"
    assert sorted(path.name for path in folder.rglob("*")) == ["manifest.json", "model", "weights"]
    with pytest.raises(KilledError), JobState(tmp_path / "results" / "other", "key") as state:
        (state.folder / "checkpoint").write_text("half")
        raise KilledError
    assert remove_states(finished_states(tmp_path / "results")) == 1
    assert all_states(tmp_path / "results") == [tmp_path / "results/.state/other"]
    assert (folder / "model/weights").read_text() == "weights"


WORK = """
import sys, time
from pathlib import Path
from pipeline.jobs.state import JobState
with JobState(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("{output}"), "key") as state:
    print("ready", flush=True)
    time.sleep(600)
"""


def test_one_process_at_a_time_works_on_a_job(tmp_path, capsys):
    process = start(WORK.format(output=tmp_path / "out"))
    entered = []

    def enter():
        with JobState(tmp_path / "out", "key"):
            entered.append(time.monotonic())

    thread = threading.Thread(target=enter)
    thread.start()
    time.sleep(0.5)
    assert not entered and remove_states(all_states(tmp_path)) == 0
    kill(process)
    thread.join(timeout=10)
    assert entered and "another process does this job" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_clean_state_removes_what_nobody_works_on(tmp_path, capsys):
    results = tmp_path / "results"
    process = start(WORK.format(output=results / "busy"))
    with pytest.raises(KilledError), JobState(results / "a", "key") as state:
        (state.folder / "checkpoint").write_text("half")
        raise KilledError
    write_text("done", results / "a")
    (results / ".a.x.tmp").write_text("half")
    clean_state.main(["--results", str(results)])
    assert "removed 1 of 2 states" in capsys.readouterr().out
    kill(process)
    clean_state.main(["--results", str(results)])
    assert [path.relative_to(results).as_posix() for path in results.rglob("*")] == ["a"]


# what killed writers leave

WRITER = """
import time
from pipeline.jobs.io import atomic_folder, atomic_path, scratch_folder
root = "{root}"
with atomic_path(root + "/a") as one, atomic_folder(root + "/b") as two, scratch_folder(root, ".prepare-x") as three:
    for path in (one, two / "c", three / "d"):
        path.write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    process = start(WRITER.format(root=tmp_path))

    def write():
        write_text("whole", tmp_path / "a")
        with atomic_folder(tmp_path / "b") as temporary:
            (temporary / "c").write_text("whole")
        with scratch_folder(tmp_path, ".prepare-x"):
            pass

    write()
    assert len([path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]) == 3, "a living writer was robbed"
    kill(process)
    write()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "c"]
    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "c").read_text() == "whole"


# jobs and their Snakemake

JOB = "from pipeline.jobs import io; import time; io.run(lambda: (print('ready', flush=True), time.sleep(600)))"


def test_a_job_ends_with_the_process_that_started_it():
    owner = start("import time; print('ready', flush=True); time.sleep(600)")
    job = start(JOB, **{OWNER: str(owner.pid)})
    assert job.poll() is None
    owner.kill()  # not waited for, so that it stays a zombie, as under a parent that does not care
    assert job.wait(timeout=20) == -signal.SIGKILL
    owner.wait()
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS), OWNER: str(owner.pid)}
    late = subprocess.run([sys.executable, "-c", JOB], env=environment)
    assert late.returncode == -signal.SIGKILL


def test_a_job_of_nobody_goes_on(monkeypatch):
    monkeypatch.delenv(OWNER, raising=False)
    job = start(JOB)
    time.sleep(0.3)
    assert job.poll() is None
    kill(job)


RUN = """
import sys, time
from pathlib import Path
from pipeline.jobs.ownership import enter_folder
handle = enter_folder(Path("{folder}"))
Path("{folder}/locks").mkdir(exist_ok=True)
Path("{folder}/locks/0.input.lock").write_text("results/a")
print("ready", flush=True)
time.sleep(600)
"""


def test_the_lock_of_a_dead_run_is_removed_and_that_of_a_living_one_is_not(tmp_path):
    lock = tmp_path / "locks" / "0.input.lock"
    process = start(RUN.format(folder=tmp_path))
    os.close(enter_folder(tmp_path))
    assert lock.exists()
    kill(process)
    handle = enter_folder(tmp_path)
    assert not lock.exists()
    os.close(handle)


def test_the_lock_of_a_run_on_another_machine_stays(tmp_path):
    lock = tmp_path / "locks" / "0.input.lock"
    kill(start(RUN.format(folder=tmp_path)))
    (tmp_path / "alive").write_text("elsewhere 01234567-89ab-cdef-0123-456789abcdef")
    os.close(enter_folder(tmp_path))
    assert lock.exists()


# partial results


def test_partial_results_come_back_in_order_with_what_is_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.setattr(partial, "SAVE_SECONDS", 0.0)
    first = PartialResults(tmp_path / "x")
    keys = [12, 3, *range(20, 30)]
    for value, key in enumerate(keys):
        first.add({key: [value, 0.1 * value]}, lambda value=value: {"next": value + 1})
    monkeypatch.setattr(partial, "SAVE_SECONDS", 100.0)
    first.add({2: "never saved"})
    again = PartialResults(tmp_path / "x")
    saved = {key: [value, 0.1 * value] for value, key in enumerate(keys)}
    assert [*again.values.items()] == [*saved.items()] and again.found == 12 and again.state == {"next": 12}
    again.add({2: "more"})
    assert again.values == saved | {2: "more"} and again.found == 12 and PartialResults(None).values == {}


def test_processes_that_share_a_folder_keep_their_partial_results_apart(tmp_path, monkeypatch):
    ranks = [PartialResults(tmp_path) for _ in range(2)]
    for rank, kept in enumerate(ranks):
        monkeypatch.setenv("RANK", str(rank))
        kept.add({f"of {rank}": torch.tensor(rank)})
        kept.save()
        kept.save()
    assert PartialResults(tmp_path).values == {"of 0": torch.tensor(0), "of 1": torch.tensor(1)}
    assert len(list(tmp_path.iterdir())) == 2


def test_random_states_come_back():
    state = partial.random_state()
    drawn = torch.rand(3)
    partial.restore_random_state(state)
    assert torch.equal(torch.rand(3), drawn)


# full disks


def raised(action) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error


def wrapped():
    try:
        raise OSError(errno.ENOSPC, "No space left on device", "a.parquet")
    except OSError as error:
        raise ValueError("could not write") from error


def test_a_full_disk_is_known_by_its_errors():
    assert "a.parquet" in full_disk(raised(wrapped))
    assert full_disk(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert full_disk(RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0"))
    assert full_disk(OSError(errno.ENOENT, "No such file")) is None and full_disk(ValueError("x")) is None


def test_a_full_disk_ends_a_script_with_one_line(capsys):
    with pytest.raises(SystemExit, match=r"^error: no space left on the disk, .*a\.parquet.*continues$"):
        io.run(wrapped)


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        io.run(lambda: 1 / 0)


def test_end_with_watches_the_process_that_it_is_told(tmp_path):
    owner = start("import time; print('ready', flush=True); time.sleep(600)")
    watch = f"import time; from pipeline.jobs.ownership import end_with; end_with({owner.pid})"
    code = f"{watch}; print('ready', flush=True); time.sleep(600)"
    worker = start(code)
    kill(owner)
    assert worker.wait(timeout=20) == -signal.SIGKILL
