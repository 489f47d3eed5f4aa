"""A job as a fork of a process that has imported its libraries: the job's side, see `pipeline.jobs.worker`.

Libraries for neural networks take seconds of CPU time to import, often longer than a small job's work. Under Snakemake,
where models run on a CPU, a script hands its command line to the worker of that run before it imports them, waits, and
ends as the fork ended. Where there is no worker, or one that imported other code or has another environment, the script
does the job itself: the results are the same.
"""

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.jobs.ownership import OWNER

WARM = "PIPELINE_WARM"  # variable of the environment: "1" where jobs are forks of the run's worker
# Variables that no library reads when it is imported, or that shells give every command.
PASSING = {"_", "SHLVL", "PWD", "OLDPWD", OWNER, WARM}
# Variables by which Snakemake tells libraries a job's threads. Torch takes them from --threads, and computes the rest
# with one; how its threads wait for each other it reads when it is imported, which is the same to one thread.
THREADS, WAITING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY"
COUNTS = {THREADS, *(f"{library}_NUM_THREADS" for library in ("GOTO", "OPENBLAS", "MKL", "NUMEXPR"))}
COUNTS |= {"VECLIB_MAXIMUM_THREADS"}
SCRIPTS = Path(__file__).resolve().parents[2]
LOCK = SCRIPTS.parent / "envs" / "requirements.lock"
REFUSED = 0  # in place of a fork's process id
NUMBER = "q"
PEER = "iII"  # process, user and group at the other end of a socket
ASKED, KILLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), 128
LAST = 10  # seconds that a fork may take to end after its worker


def address(owner: int) -> str:
    """The abstract address of the socket of a run's worker: it is gone with the worker.

    Args:
        owner: process id of the run's Snakemake.
    """
    return f"\0online-dpo-{os.getuid()}-{owner}"


def worker_key() -> str:
    """A hash of all that a process has from its imports: the code of scripts/, the packages, the interpreter."""
    digest = hashlib.sha256()
    for path in sorted(SCRIPTS.rglob("*.py")):
        digest.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    installed = Path(sysconfig.get_path("purelib"))
    parts = [sys.version, sys.executable, sys.flags, sorted(sys._xoptions.items()), installed.stat().st_mtime_ns]
    digest.update(repr(parts).encode() + (LOCK.read_bytes() if LOCK.is_file() else b""))
    return digest.hexdigest()


def lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that libraries are imported in for a job, and for those whose environment `agrees`."""
    return {name: value for name, value in environment.items() if name not in PASSING} | dict.fromkeys(COUNTS, "1")


def agrees(environment: Mapping[str, str], imported: Mapping[str, str]) -> bool:
    """Whether libraries that were imported in a `lasting` environment are as a job's own would be."""
    asked = lasting(environment)
    waiting = imported.get(WAITING) if environment.get(THREADS) == "1" else asked.get(WAITING)
    return asked | {WAITING: waiting} == {**imported, WAITING: imported.get(WAITING)}


def hand_over(first: bool = True) -> int | None:
    """Have the run's worker do this script's job, if there is a worker that fits.

    Args:
        first: whether the worker is to import the libraries, if it has not done so yet.

    Returns:
        The exit code of its fork; None where the job is still to be done, by this process.
    """
    warm, owner = os.environ.pop(WARM, ""), int(os.environ.get(OWNER) or 0)
    if (
        warm != "1"
        or owner <= 1
        or int(os.environ.get("WORLD_SIZE", 1)) > 1
        or not hasattr(signal, "pidfd_send_signal")
    ):
        return None
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address(owner))
        if peer(connection) != os.getuid():
            return None
        os.umask(mask := os.umask(0o077))
        request = {"key": worker_key(), "first": first, "arguments": sys.argv, "folder": os.getcwd(), "mask": mask}
        return _forked(connection, json.dumps(request | {"environment": dict(os.environ)}).encode())
    return None


def peer(connection: socket.socket) -> int:
    """The user at the other end of a socket."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(PEER))
    return struct.unpack(PEER, found)[1]


def receive_number(connection: socket.socket) -> int | None:
    """A number from the other end; None where it was closed."""
    size = struct.calcsize(NUMBER)
    data = connection.recv(size, socket.MSG_WAITALL)
    return struct.unpack(NUMBER, data)[0] if len(data) == size else None


def _forked(connection: socket.socket, request: bytes) -> int | None:
    socket.send_fds(connection, [struct.pack(NUMBER, len(request))], [0, 1, 2])
    connection.sendall(request)
    if not (process := receive_number(connection)):
        return None
    fork = os.pidfd_open(process)
    with _passed_on(fork):
        try:
            code = receive_number(connection)
        except OSError:
            code = None
        if code is None:  # the worker was killed, and its forks with it
            select.select([fork], [], [], LAST)
    return code


@contextlib.contextmanager
def _passed_on(fork: int) -> Iterator[None]:
    """Signals that ask this process to end go to the fork instead, whose end is then this one's."""

    def pass_on(number: int, _) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fork, number)

    before = {number: signal.signal(number, pass_on) for number in ASKED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(fork)
