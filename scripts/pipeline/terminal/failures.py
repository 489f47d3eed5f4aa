"""What is said of a job that failed: where its log is, and the log's last lines."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.jobs.console import ESCAPES, redact

LINES = 15  # of a log
WIDTH = 300  # characters of a line
BYTES = 65_536  # at the end of a log that are looked at
COMMAND = re.compile(r"^Command '.*' (?=returned non-zero|died with)", re.DOTALL | re.MULTILINE)


def last_lines(path: str | Path, lines: int = LINES) -> list[str]:
    """The last lines of a log, without secrets and control characters, long ones cut; if there are none, the reason."""
    try:
        with Path(path).open("rb") as handle:
            handle.seek(max(handle.seek(0, os.SEEK_END) - BYTES, 0))
            text = handle.read().decode("utf-8", errors="replace")
    except OSError as error:
        return [f"({error.strerror})"]
    # of a progress bar's texts, which a carriage return parts, the last one
    found = [line.rstrip("\r").rpartition("\r")[2] for line in redact(ESCAPES.sub("", text)).split("\n")]
    kept = ["".join(c if c.isprintable() or c == "\t" else " " for c in line)[:WIDTH] for line in found if line.strip()]
    return kept[-lines:] or ["(it is empty)"]


def describe_failure(record: Mapping, name: str, command: str | None = None) -> str:
    """A block of lines on a failed job, with the last ones of each of its logs.

    Args:
        record: fields of Snakemake's record: rule_name, jobid, rule_msg, conda_env, log, aux.
        name: of the job, with its wildcards.
        command: shell line, where it is to be told.
    """
    found = [f"Error in rule {record['rule_name']}:", f"    job {record['jobid']}: {name}"]
    extra = {"message": record["rule_msg"], "conda-env": record["conda_env"], **record["aux"], "shell": command}
    found += [f"    {key}: {value}" for key, value in extra.items() if value]
    for log in record["log"]:
        found += [f"    log: {log}", *(f"        {line}" for line in last_lines(log))]
    if not record["log"]:
        found.append("    log: none")
    return "\n".join(found)


def shorten(message: str) -> str:
    """An error's text without the command, which names all files of the job; the rest is as it was."""
    return COMMAND.sub("The command ", message)
