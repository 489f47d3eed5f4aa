"""Python processes that start with their libraries imported: forks of one that waits.

Snakemake takes a second to import, torch and what stands on it five, and the tests start a hundred processes that need
them. A fork is a process of its own in all else: its folder, environment, arguments, output and exit code.
"""

import atexit
import gc
import marshal
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

SHIM = """#!{python} -IS
import os, sys
if sys.argv[1:2] and sys.argv[1].startswith("scripts/"):
    sys.path[:0] = [{folder!r}]
    from forks import request
    sys.exit(request({place!r}, sys.argv[1:], os.getcwd(), dict(os.environ), (0, 1, 2)))
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


class Forks:
    """A process that has imported modules and forks for each command line.

    Args:
        modules: names of what is imported.
        environment: of the process, as libraries read some of it when they are imported.
    """

    def __init__(self, modules: list[str], environment: Mapping[str, str]):
        self.folder = tempfile.TemporaryDirectory()
        self.place = f"{self.folder.name}/socket"
        command = [sys.executable, __file__, self.place, *modules]
        self.process = subprocess.Popen(command, env=dict(environment), stdin=subprocess.PIPE)
        while not os.path.exists(self.place):
            assert self.process.poll() is None, "the libraries could not be imported"
            time.sleep(0.01)

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the process, once its forks have ended."""
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def run(
        self,
        arguments: list[str],
        folder: Path,
        environment: Mapping[str, str],
        output: int,
        seconds: int,
        source: int | None = None,
    ) -> int:
        """Run `python` with these arguments.

        Args:
            folder: to run in.
            environment: all of it; PYTHONEXECUTABLE is what `sys.executable` is to be.
            output: file descriptor for what it prints, errors included.
            seconds: after which it is killed, with a TimeoutError.
            source: file descriptor for what it reads; nothing where it is None.

        Returns:
            Its exit code.
        """
        with open(os.devnull) as nothing:
            files = (nothing.fileno() if source is None else source, output, output)
            return request(self.place, arguments, str(folder), dict(environment), files, seconds)

    def as_python(self) -> Path:
        """A program `python` that forks for the scripts of the pipeline, and is Python else."""
        path = Path(self.folder.name) / "bin" / "python"
        path.parent.mkdir()
        path.write_text(SHIM.format(python=sys.executable, place=self.place, folder=str(Path(__file__).parent)))
        path.chmod(0o755)
        return path


def request(place, arguments, folder, environment, files, seconds=None) -> int:
    """Have the process at a socket fork; the exit code of the fork. It is killed when this process ends before."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(place)
        message = marshal.dumps((arguments, folder, environment))
        socket.send_fds(connection, [struct.pack("q", len(message))], files)
        connection.sendall(message)
        return struct.unpack("q", connection.recv(8, socket.MSG_WAITALL))[0]


def serve(place: str) -> list[str]:
    """Answer requests, until standard input ends. Returns in each fork, as the process that was asked for.

    Returns:
        Its arguments.
    """
    signal.signal(signal.SIGCHLD, lambda *_: reap())
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{place}.new")
        listening.listen(100)
        os.rename(f"{place}.new", place)
        while True:
            if sys.stdin in select.select([listening, sys.stdin], [], [])[0]:
                sys.exit()
            connection, _ = listening.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, *_ = socket.recv_fds(connection, 8, 3)
    message = connection.recv(*struct.unpack("q", size), socket.MSG_WAITALL)
    if worker := os.fork():
        watch(worker, connection)
    connection.close()
    arguments, folder, environment = marshal.loads(message)
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = os.environ.pop("PYTHONEXECUTABLE", sys.executable)
    return arguments


def reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def watch(worker: int, connection: socket.socket) -> None:
    """Say how a fork ended to who asked for it, and end; kill it when nobody asks any more."""
    ended = os.pidfd_open(worker)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(worker, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    connection.sendall(struct.pack("q", code if code >= 0 else 128 - code))
    os._exit(0)


def main(place: str, *modules: str) -> None:
    sys.path.pop(0)
    for module in modules:
        import_module(module)
    gc.freeze()  # so that forks share the memory of what is imported
    first, *rest = serve(place)
    code = 1
    try:
        if first == "-m":
            sys.path.insert(0, os.getcwd())
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(first).resolve().parent))
            sys.argv = [first, *rest]
            runpy.run_path(first, run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    # the end of a process, but for the taking down of all that was imported, which takes longer than most of them
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
