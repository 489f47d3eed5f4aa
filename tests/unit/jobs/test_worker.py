"""Jobs as forks of a worker: like the script alone, whoever of worker, fork, script and owner is killed."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline.jobs import handover
from pipeline.jobs.handover import WARM, worker_key
from pipeline.jobs.ownership import OWNER
from pipeline.jobs.worker import Worker

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
PATIENCE = 30  # seconds
# What takes long to import: it notes its process, and how much CPU time it took; it has a logger, as libraries do.
HEAVY = """
import logging, os, time
logging.getLogger("heavy").addHandler(logging.StreamHandler())
process, end = os.getpid(), time.process_time() + 0.3
memory = bytearray(200 * 2**20)
while time.process_time() < end:
    pass
"""
WORKER = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from pipeline.jobs.worker import serve
def warm_up():
    import heavy
serve(int(sys.argv[1]), warm_up)
"""
JOB = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from pipeline.jobs.io import InputError, run
def main():
    import os, pathlib, resource, signal, time
    import heavy
    own = os.getpid()
    pathlib.Path("job.pid").write_text(str(own))
    what, *rest = sys.argv[1:]
    if what == "say":
        print(os.getcwd(), rest, os.environ["TOLD"], sys.stdin.read(), os.umask(0), flush=True)
        print("forked" if heavy.process != own else "alone", flush=True)
        raise SystemExit(3)
    if what == "cost":
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(used.ru_utime + used.ru_stime, len(os.listdir("/proc/self/task")))
    if what == "log":
        import logging
        logging.getLogger("heavy").error("in \\x1b[1mbold\\x1b[0m")
    if what == "wrong":
        raise InputError("the file") if rest else ValueError("the code")
    if what == "obey":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    if what in ("obey", "wait") and (heavy.process != own or rest):
        pathlib.Path("waiting").touch()
        time.sleep(60)
    print("done")
if __name__ == "__main__":
    run(main, warm=True, first=sys.argv[1] != "later")
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "pidfd_send_signal"), reason="forks of a worker need Linux")


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def environment(**more) -> dict[str, str]:
    return os.environ | {OWNER: str(os.getpid()), WARM: "1", "TOLD": "this", "OMP_NUM_THREADS": "1"} | more


def job(folder: Path, *arguments: str, options=(), **more) -> subprocess.Popen:
    command = [sys.executable, *options, "job.py", *arguments]
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    return subprocess.Popen(
        command, cwd=folder, env=environment(**more), stderr=subprocess.STDOUT, text=True, umask=0o27, **pipes
    )


def outcome(folder: Path, *arguments: str, **more) -> tuple[int, str]:
    process = job(folder, *arguments, **more)
    text = process.communicate("asked", timeout=PATIENCE)[0]
    return process.returncode, text


def fork_of(folder: Path) -> int:
    """The process of a job that waits."""
    wait_for((folder / "waiting").exists)
    return int((folder / "job.pid").read_text())


@contextmanager
def worker_of(folder: Path):
    """A worker whose owner is this process, once it takes jobs."""
    process = subprocess.Popen([sys.executable, "worker.py", str(os.getpid())], cwd=folder, start_new_session=True)
    try:
        address = handover.address(os.getpid())[1:]
        wait_for(lambda: f"@{address}" in Path("/proc/net/unix").read_text() or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"heavy": HEAVY, "worker": WORKER, "job": JOB}.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def test_a_fork_is_the_script_with_what_it_was_given_and_anything_that_differs_is_done_alone(folder):
    with worker_of(folder) as worker:
        assert outcome(folder, "later")[1] == "done\n"  # which does not ask it to import anything
        alone = outcome(folder, "say", "a b", **{WARM: "0"})
        assert outcome(folder, "say", "a b") == (3, alone[1].replace("alone", "forked"))
        assert f"{folder} ['a b'] this asked {0o27}\nalone\n" == alone[1] and alone[0] == 3
        assert outcome(folder, "say", TOLD="that")[1].endswith("alone\n")
        assert outcome(folder, "say", OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")[1].endswith("forked\n")
        assert outcome(folder, "say", OMP_NUM_THREADS="2", OMP_WAIT_POLICY="passive")[1].endswith("alone\n")
        assert outcome(folder, "say", options=("-Xdev", "-Wignore"))[1].endswith("alone\n")
        assert outcome(folder, "log") == outcome(folder, "log", **{WARM: "0"}) == (0, "in bold\ndone\n")
        code, told = outcome(folder, "wrong")
        assert code == 1 and told.endswith("ValueError: the code\n")
        assert outcome(folder, "wrong", "input") == (1, "error: the file\n")
        used, threads = map(float, outcome(folder, "cost")[1].split()[:2])
        assert used < 0.25 and threads == 2  # its own work, without the imports; one thread looks after the owner
        assert worker.poll() is None
    assert outcome(folder, "say")[1].endswith("alone\n")


def test_signals_reach_the_fork_and_it_ends_with_its_script(folder):
    with worker_of(folder) as worker:
        script = job(folder, "obey")
        fork_of(folder)
        script.terminate()
        assert script.wait(PATIENCE) == 7
        (folder / "waiting").unlink()
        script = job(folder, "wait")
        fork = fork_of(folder)
        script.kill()
        script.wait()
        wait_for(lambda: not is_alive(fork))
        (folder / "waiting").unlink()
        script = job(folder, "wait")
        os.kill(fork_of(folder), signal.SIGKILL)
        assert script.wait(PATIENCE) == 128 + signal.SIGKILL
        assert worker.poll() is None and outcome(folder, "say")[1].endswith("forked\n")


def test_a_worker_that_is_killed_costs_the_job_that_it_was_at(folder):
    with worker_of(folder) as worker:
        script = job(folder, "wait")
        fork = fork_of(folder)
        worker.kill()
        assert script.communicate(timeout=PATIENCE)[0] == "done\n" and script.returncode == 0
        assert not is_alive(fork) and int((folder / "job.pid").read_text()) == script.pid


def test_nothing_outlives_the_owner(folder):
    owner = f"""
import os, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "worker.py", str(os.getpid())], start_new_session=True)
while b"-%d\\n" % os.getpid() not in open("/proc/net/unix", "rb").read():
    time.sleep(0.01)
script = subprocess.Popen([sys.executable, "job.py", "wait"], env=os.environ | {{{OWNER!r}: str(os.getpid())}})
print(worker.pid, script.pid, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", owner], cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    )
    left = [*map(int, process.stdout.readline().split()), fork_of(folder)]
    assert len(left) == 3 and all(map(is_alive, left))
    process.kill()
    process.communicate()
    wait_for(lambda: not any(map(is_alive, left)))


def test_a_fork_without_a_group_of_its_own_is_killed_with_its_script():
    fork = subprocess.Popen(["sleep", str(PATIENCE)])
    worker, (connection, other) = Worker(os.getpid(), print), socket.socketpair()
    handle, started = os.pidfd_open(fork.pid), time.monotonic()
    worker.forks[handle] = fork.pid, connection
    with other:
        worker._end(handle, ended=False)
        assert struct.unpack(handover.NUMBER, other.recv(8)) == (128 + signal.SIGKILL,)
    assert time.monotonic() - started < PATIENCE / 2


def test_a_request_that_is_none_leaves_no_file_open(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as script:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        script.connect(str(tmp_path / "socket"))
        before = set(os.listdir("/proc/self/fd"))
        socket.send_fds(script, [struct.pack(handover.NUMBER, 4)], [listening.fileno()] * 3)
        script.sendall(b"none")
        assert Worker(os.getpid(), print)._accept(listening) is None
        assert set(os.listdir("/proc/self/fd")) == before


def test_the_key_is_of_the_code_the_packages_and_the_interpreter(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "SCRIPTS", tmp_path)
    monkeypatch.setattr(handover, "LOCK", tmp_path / "lock")
    keys = [worker_key()]
    for path, text in (("a.py", "x = 1"), ("a.py", "x = 2"), ("lock", "torch==1"), ("b/c.py", "")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        keys.append(worker_key())
    monkeypatch.setattr(sys, "executable", "/another/python")
    assert len({*keys, worker_key()}) == len(keys) + 1 and worker_key() == worker_key()
