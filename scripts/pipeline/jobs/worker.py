"""The process that has imported the libraries and forks for each job of a run: see `pipeline.jobs.handover`.

It waits for a job without having imported anything, imports in the environment of the first one, and ends with
Snakemake, its forks with it. A fork ends when the script that handed the job over has ended. It runs no thread of its
own, computes nothing and touches no GPU, so that a fork is a process like any other.
"""

import atexit
import contextlib
import ctypes
import gc
import json
import os
import random
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from pipeline.jobs.handover import KILLED, NUMBER, REFUSED, address, agrees, lasting, peer, worker_key

PATIENCE = 10  # seconds for a script to send its request
PR_SET_PDEATHSIG = 1


class Worker:
    """What forks for the jobs of a run.

    Args:
        owner: process id of the run's Snakemake, which has to be this process's parent.
        warm_up: imports the libraries.
    """

    def __init__(self, owner: int, warm_up: Callable[[], object]):
        self.owner, self.warm_up = owner, warm_up
        self.key = self.environment = None  # of what was imported
        self.forks: dict[int, tuple[int, socket.socket]] = {}  # {handle of a fork: its process, who waits for it}

    def serve(self) -> list[str]:
        """Fork for each request until the owner ends, and this process with it. Returns in each fork.

        Returns:
            The command line of the fork's job.
        """
        end_with_parent(self.owner)
        with socket.socket(socket.AF_UNIX) as listening, contextlib.suppress(KeyboardInterrupt):
            listening.bind(address(self.owner))
            listening.listen(100)
            while True:
                waiting = {connection: handle for handle, (_, connection) in self.forks.items()}
                ready = select.select([listening, *self.forks, *waiting], [], [])[0]
                for handle in {waiting.get(one, one) for one in ready if one is not listening}:
                    self._end(handle, ended=handle in ready)
                if listening in ready and (arguments := self._accept(listening)):
                    return arguments
        os._exit(0)

    def _end(self, handle: int, ended: bool) -> None:
        """Say how a fork ended to who waits for it; kill it, where nobody waits any more."""
        process, connection = self.forks.pop(handle)
        if not ended:
            try:
                os.killpg(process, signal.SIGKILL)
            except ProcessLookupError:  # it has no group of its own yet
                os.kill(process, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with contextlib.suppress(OSError):
            connection.sendall(struct.pack(NUMBER, code if code >= 0 else KILLED - code))
        connection.close()
        os.close(handle)

    def _accept(self, listening: socket.socket) -> list[str] | None:
        """Fork for a request; the fork's command line in the fork, else None."""
        connection, _ = listening.accept()
        connection.settimeout(PATIENCE)
        files: list[int] = []
        try:
            if peer(connection) != os.getuid():
                raise PermissionError("another user's")
            size, files, *_ = socket.recv_fds(connection, struct.calcsize(NUMBER), 3)
            request = json.loads(connection.recv(*struct.unpack(NUMBER, size), socket.MSG_WAITALL))
            fits = self._fits(request)
            process = os.fork() if fits else REFUSED
            if fits and process == 0:
                self._become(connection, listening, files, request)
                return request["arguments"]
            while files:
                os.close(files.pop())
            connection.sendall(struct.pack(NUMBER, process))
        except (OSError, ValueError, struct.error):
            for file in files:
                os.close(file)
            connection.close()
            return None
        if process:
            connection.settimeout(None)
            self.forks[os.pidfd_open(process)] = process, connection
        else:
            connection.close()
        return None

    def _fits(self, request: dict) -> bool:
        """Whether what was imported is what the job would import itself; the first job decides what that is."""
        if self.key is None:
            before = worker_key()
            if before != request["key"] or not request["first"]:
                return False
            self.environment = lasting(request["environment"])
            os.environ.clear()
            os.environ.update(self.environment)
            self.warm_up()
            gc.collect()
            gc.freeze()  # so that forks share the memory of what is imported
            self.key = before if worker_key() == before else ""
        return request["key"] == self.key and agrees(request["environment"], self.environment)

    def _become(self, connection: socket.socket, listening: socket.socket, files: list[int], request: dict) -> None:
        """Make this fork the process that was asked for: its folder, environment, output, and nothing of the worker."""
        end_with_parent(os.getppid())
        os.setsid()
        for handle, (_, other) in self.forks.items():
            os.close(handle)
            other.close()
        connection.close()
        listening.close()
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        sys.stdout.reconfigure(line_buffering=os.isatty(1))
        os.chdir(request["folder"])
        os.umask(request["mask"])
        os.environ.clear()
        os.environ.update(request["environment"])
        random.seed()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it had ended before
        os._exit(1)


def run_job(arguments: list[str]) -> None:
    """Run a script as Python would, and end this process as Python would: it never returns.

    Imported modules are not taken down one by one, which takes longer than many a job.
    """
    code = 1
    try:
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except KeyboardInterrupt:
        code = KILLED + signal.SIGINT
        sys.excepthook(*sys.exc_info())
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            threading._shutdown()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def serve(owner: int, warm_up: Callable[[], object]) -> None:
    """Be the worker of a run; in each fork, do its job."""
    try:
        arguments = Worker(owner, warm_up).serve()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    run_job(arguments)
