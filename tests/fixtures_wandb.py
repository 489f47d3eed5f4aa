"""Reads back what an offline run of Weights & Biases wrote: LevelDB's log format with wandb's own records in it."""

import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wandb.proto import wandb_internal_pb2

BLOCK = 32768  # bytes; a record is cut where a block ends
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
PATIENCE = 60  # seconds


@dataclass
class OfflineRun:
    """A run as its file has it."""

    project: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    config: dict = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)  # with the key _step
    summary: dict = field(default_factory=dict)
    exit_code: int | None = None


def offline_files(folder: Path) -> list[Path]:
    """The files of the offline runs below a folder."""
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


def read_offline_run(path: Path) -> OfflineRun:
    """The run that a .wandb file holds, once its last record is there: wandb's service may write it after `finish`."""
    until = time.monotonic() + PATIENCE
    while (run := _parse(path)).exit_code is None and time.monotonic() < until:
        time.sleep(0.1)
    return run


def _parse(path: Path) -> OfflineRun:
    run = OfflineRun()
    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found = record.run
            run.project, run.name, run.group, run.job_type = (
                *(found.project, found.display_name),
                *(found.run_group, found.job_type),
            )
            run.config |= _values(found.config.update)
        elif kind == "config":
            run.config |= _values(record.config.update)
        elif kind == "history":
            run.history.append(_values(record.history.item) | {"_step": record.history.step.num})
        elif kind == "summary":
            run.summary |= _values(record.summary.update)
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _values(items) -> dict:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(content: bytes) -> Iterator[bytes]:
    assert content[:4] == b":W&B"
    at, parts = 7, []
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:  # too little for a header is filled with zeros
            at += BLOCK - at % BLOCK
            continue
        checksum, length, kind = struct.unpack("<IHB", content[at : at + 7])
        if at + 7 + length > len(content):  # still being written
            return
        data = content[at + 7 : at + 7 + length]
        assert zlib.crc32(data, zlib.crc32(bytes([kind]))) == checksum or kind == 0, "a record is damaged"
        at += 7 + length
        parts.append(data)
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []
