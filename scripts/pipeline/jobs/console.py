"""What a script prints: progress bars as lines when it goes to a file, and never a secret.

Secrets are environment variables, or lines of a file .env in the working directory, which git ignores.
"""

import atexit
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from dotenv import dotenv_values, load_dotenv

SECRETS = ("OPENAI_API_KEY", "HF_TOKEN", "WANDB_API_KEY")
SECRET_NAME = re.compile(r"(^|_)(API_?KEY|ACCESS_?KEY|SECRET(_KEY)?|TOKEN|PASSWORD|PASSWD)$", re.IGNORECASE)
SHORTEST = 8  # characters; what is shorter, such as "true", is in many words
HIDDEN = "[secret]"
SECONDS = 10.0  # between two lines of a progress bar
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def load_secrets(folder: str | Path = ".") -> None:
    """Put the lines of a folder's .env into the environment, where a variable of that name is not set already."""
    load_dotenv(Path(folder) / ".env")


def secret_values(environment: Mapping[str, str | None] = os.environ) -> list[str]:
    """Values of the secrets among variables: of `SECRETS`, and of any NAME_TOKEN, NAME_API_KEY, NAME_PASSWORD, ….

    Longer values come first, so that one which is part of another does not keep that from being found.
    """
    found = {
        value
        for name, value in environment.items()
        if value and len(value) >= SHORTEST and (name in SECRETS or SECRET_NAME.search(name))
    }
    return sorted(found, key=lambda value: (-len(value), value))


def known_secrets(folder: str | Path = ".") -> list[str]:
    """Values of the secrets in the environment and in a folder's .env, which is left where it is."""
    return secret_values({**dotenv_values(Path(folder) / ".env"), **os.environ})


def redact(text: str) -> str:
    """The text with every secret of the environment replaced."""
    for value in secret_values():
        text = text.replace(value, HIDDEN)
    return text


def prepare_console() -> None:
    """Load the secrets, and see to it that nothing this process prints holds one of them.

    Output that goes to a file, not to a terminal, passes through a `LogStream`.
    """
    load_secrets()
    sys.excepthook = _print_error
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not stream.isatty() and not isinstance(stream, LogStream):
            setattr(sys, name, LogStream(stream))


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
        self.said = time.monotonic()
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
        if progress and (not line.strip() or time.monotonic() - self.said < self.seconds):
            return
        if progress:
            self.said = time.monotonic()
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
