"""What a script prints: progress bars as lines when it goes to a file, one file per process, and never a secret.

Secrets are environment variables, or lines of a file .env in the working directory, which git ignores.
"""

import atexit
import contextlib
import fcntl
import glob
import logging
import os
import re
import stat
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import AnyStr, TextIO

from dotenv import dotenv_values, load_dotenv

from pipeline.jobs.processes import processes

SECRETS = ("OPENAI_API_KEY", "HF_TOKEN", "WANDB_API_KEY")
SECRET_NAME = re.compile(r"(^|_)(API_?KEY|ACCESS_?KEY|SECRET(_KEY)?|TOKEN|PASSWORD|PASSWD)$", re.IGNORECASE)
SHORTEST = 8  # characters; what is shorter, such as "true", is in many words
HIDDEN = "[secret]"
SECONDS = 10.0  # between two lines of a progress bar
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def secret_values(environment: Mapping[str, str | None] = os.environ) -> list[str]:
    """Values of the secrets among variables: of `SECRETS`, and of any NAME_TOKEN, NAME_API_KEY, NAME_PASSWORD, ….

    Longer values come first, so that one which is part of another does not keep that from being found.
    """
    named = (value or "" for name, value in environment.items() if name in SECRETS or SECRET_NAME.search(name))
    found = {value for value in named if len(value) >= SHORTEST}
    return sorted(found, key=lambda value: (-len(value), value))


def known_secrets(folder: str | Path = ".") -> list[str]:
    """Values of the secrets in the environment and in a folder's .env, which is left where it is."""
    return secret_values({**dotenv_values(Path(folder) / ".env"), **os.environ})


def redact(text: AnyStr, secrets: Iterable[str] | None = None) -> AnyStr:
    """A text, or the bytes of one, with every secret replaced: of the environment, or those that are given.

    A secret is found in the spellings of JSON and of addresses too: "\\u002d", "\\/", "%2D".
    """
    for value in secret_values() if secrets is None else secrets:
        if len(value) >= SHORTEST:
            found, hidden = (value, HIDDEN) if isinstance(text, str) else (value.encode(), HIDDEN.encode())
            text = text.replace(found, hidden)
            if any(mark in text for mark in (("\\", "%") if isinstance(text, str) else (b"\\", b"%"))):
                text = _spellings(value, isinstance(text, bytes)).sub(hidden, text)
    return text


@cache
def _spellings(value: str, as_bytes: bool) -> re.Pattern:
    """A pattern of all spellings of a secret."""
    pattern = ""
    for char in value:
        unit = char.encode("utf-16-be").hex()
        escaped = "".join(rf"\\{{1,9}}u(?i:{unit[at : at + 4]})" for at in range(0, len(unit), 4))
        percent = "".join(f"%(?i:{byte:02x})" for byte in char.encode())
        slashes = r"\\{0,9}" if char == "/" else ""
        pattern += f"(?:{slashes}{re.escape(char)}|{escaped}|{percent})"
    return re.compile(pattern.encode() if as_bytes else pattern)


@contextlib.contextmanager
def prepared_console() -> Iterator[None]:
    """Load the secrets, and see to it that nothing this process prints holds one of them.

    Output that goes to a file, not to a terminal, passes through a `LogStream`. Of several processes each writes a file
    of its own beside the first one's, which says where they are and, inside the block, which of them failed.
    """
    load_dotenv(Path(".env"))  # into the environment, where a variable of that name is not set already
    separated = _separate_log()
    sys.excepthook = _print_error
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not stream.isatty() and not isinstance(stream, LogStream):
            setattr(sys, name, LogStream(stream))
            _redirect_loggers(stream, getattr(sys, name))
    try:
        yield
    except BaseException as error:
        if separated and not (isinstance(error, SystemExit) and not error.code):
            main_log, path = separated
            with contextlib.suppress(OSError):
                os.write(main_log, f"process {processes()[0]} ended with an error, which is in {path}\n".encode())
        raise


def _redirect_loggers(before: object, after: object) -> None:
    """Let loggers that print to a stream, as libraries have that were imported earlier, print to another one."""
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", []):
            if getattr(handler, "stream", None) is before:
                handler.setStream(after)


def _separate_log() -> tuple[int, Path] | None:
    """Turn the output of a process that is not the first one to a file of its own, where it goes to a file.

    Returns:
        The handle of the file that it went to, and the new file; None where nothing was changed.
    """
    rank, count = processes()
    if count == 1 or (log := _file_behind(1)) is None:
        return None
    logs = {other: log.with_name(f"{log.stem}.rank{other}{log.suffix}") for other in range(1, count)}
    if rank:
        main_log = os.dup(1)
        sys.stdout.flush()
        with logs[rank].open("wb", buffering=0) as file:
            for handle in (1, 2):  # what other programs and libraries write goes there too
                if _file_behind(handle) == log:
                    os.dup2(file.fileno(), handle)
        return main_log, logs[rank]
    for path in set(log.parent.glob(f"{glob.escape(log.stem)}.rank*{log.suffix}")) - set(logs.values()):
        path.unlink(missing_ok=True)  # of a run of more processes
    print(f"the logs of the other processes: {', '.join(map(str, logs.values()))}", flush=True)
    return None


def _file_behind(handle: int) -> Path | None:
    """The regular file that an open handle writes to; None where there is none, or where it cannot be found out."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode):
            if hasattr(fcntl, "F_GETPATH"):  # macOS
                path = Path(os.fsdecode(fcntl.fcntl(handle, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
            else:
                path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            return path if os.path.samestat(path.stat(), status) else None
    return None


def _print_error(kind, error, trace) -> None:
    print(redact("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


class LogStream:
    """A text stream for a log: whole lines, without secrets; progress bars as a line from time to time.

    A progress bar writes itself again and again after a carriage return. Of these texts the last one is kept, and
    before it one every `seconds`.

    Args:
        stream: where the lines go.
        seconds: the least between two lines of progress.
    """

    def __init__(self, stream: TextIO, seconds: float = SECONDS):
        self.stream, self.seconds = stream, seconds
        self.line = ""
        self.last = time.monotonic()  # when a line of progress was written
        self.lock = threading.RLock()
        atexit.register(self.finish)

    def write(self, text: str) -> int:
        """Take text; whole lines of it are written on."""
        with self.lock:
            parts = re.split(r"(\r\n|\n|\r)", self.line + text)
            self.line = parts.pop()
            for line, end in zip(parts[::2], parts[1::2], strict=True):
                self._emit(line, progress=end == "\r")
        return len(text)

    def _emit(self, line: str, progress: bool) -> None:
        line = ESCAPES.sub("", line)
        if progress and (not line.strip() or time.monotonic() - self.last < self.seconds):
            return
        if progress:
            self.last = time.monotonic()
        self.stream.write(redact(line.rstrip() if progress else line) + "\n")
        self.stream.flush()

    def flush(self) -> None:
        """Nothing to do: lines are written on when they are whole."""

    def finish(self) -> None:
        """Write what is left without an end of line."""
        with self.lock:
            if self.line.strip() and not self.stream.closed:
                self._emit(self.line, progress=False)
            self.line = ""

    def __getattr__(self, name: str):
        return getattr(self.stream, name)
