"""Records of what results were made from: written beside them, read by nobody but people.

What a job is made from also names its state: a killed job goes on from the state of the very same job.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from pipeline.jobs.io import file_hash, joint_hash, read_json, visible_files, write_json
from pipeline.jobs.processes import is_first_process, processes
from pipeline.jobs.provenance import SCRIPTS, code_fingerprint

PACKAGES = ("torch", "transformers", "trl", "datasets", "accelerate", "peft", "tokenizers", "numpy", "pandas")
PACKAGES += ("pyarrow", "snakemake")
RECORD = "provenance.json"
# Options that say where a job is watched and what runs beside it, and change nothing of what it computes.
WATCHING = {"wandb", "side_by_side"}


class Record:
    """What a job is made from, and what it took.

    Args:
        script: the entry script's file.
        arguments: its command line.
        inputs: names of the arguments that are files, folders, hub ids, or lists of them, that it reads.
        outputs: names of the arguments that say where it writes; they tell nothing of what it computes.
        spec: the resolved config that it works by.
        device: a `pipeline.models.devices.Device`, if one is used.
        entries: entries of datasets ("dataset") and models ("model") whose `path` it reads, where they have one.
        files: further files that it reads.
    """

    def __init__(
        self,
        script: str,
        arguments: Namespace,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        spec: dict,
        device=None,
        entries: Sequence[tuple[str, dict]] = (),
        files: Sequence[str | Path] = (),
    ):
        self.started = time.monotonic()
        values = vars(arguments)
        self.script, self.spec, self.device = Path(script).name, spec, device
        self.code = code_fingerprint(self.script, spec, *(entry for _, entry in entries))
        self.options = {name: values[name] for name in values if name not in (*inputs, *outputs, "device")}
        self.outputs = [path for name in outputs for path in _listed(values[name])]
        kinds = {path: "dataset" if name == "dataset" else "model" for name in inputs for path in _listed(values[name])}
        named = {str(entry["path"]): (kind, entry.get("revision")) for kind, entry in entries if entry.get("path")}
        # A hub id is not hashed: its commit is known once it is in the cache, which may be later.
        everything = {path: (kind, None) for path, kind in kinds.items()} | named
        everything |= {str(file): ("", None) for file in files}
        self.local = [path for path in everything if Path(path).expanduser().exists()]
        self.hub = {path: found for path, found in everything.items() if path not in self.local}

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file and folder that is read; a folder's is of the names and hashes of its files."""
        return {path: content_hash(Path(path).expanduser()) for path in self.local}

    @property
    def key(self) -> str:
        """A hash of all that the results depend on, wherever inputs and outputs are."""
        device = self.device
        parts = {
            "code": self.code,
            "spec": self.spec,
            "hashes": list(self.hashes.values()),
            "hub": self.hub,
            "options": {name: value for name, value in self.options.items() if name not in WATCHING},
            "packages": packages(),
            "device": device
            and [device.type, str(device.dtype), device.attention, device.batch_sizes, *device.switches],
            "processes": processes()[1],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]

    def write(self, path: str | Path | None = None, seconds: float | None = None) -> None:
        """Write the record, beside the first output unless told where.

        Args:
            seconds: what the job took in all, where it was continued; else counted from this object's making.
        """
        if not is_first_process():
            return
        device = self.device
        record = {
            "script": self.script,
            "code": self.code,
            "commit": commit(),
            "spec": self.spec,
            "options": json.loads(json.dumps(self.options, default=str)),
            "inputs": self.hashes,
            "hub": {
                path: {"kind": kind, "revision": revision, "commit": hub_commit(path, revision, kind)}
                for path, (kind, revision) in self.hub.items()
            },
            "outputs": self.outputs,
            "packages": {"python": platform.python_version(), **packages()},
            "device": device and device.record(),
            "machine": machine(device),
            "seconds": round(time.monotonic() - self.started if seconds is None else seconds, 3),
            "cpu_seconds": round(cpu_seconds(), 3),
            "peak_memory_mib": round(peak_memory_mib(), 1),
            "peak_device_memory_mib": peak_device_memory_mib(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_json(record, path or record_path(self.outputs[0]))


def record_path(output: str | Path) -> Path:
    """Where the record of an output is: in a folder, or beside a file under its name."""
    output = Path(output)
    return output / RECORD if output.is_dir() else output.with_name(f"{output.stem}.{RECORD}")


def content_hash(path: Path) -> str:
    """SHA-256 of a file; of a folder, of the names and hashes of its files."""
    return file_hash(path) if path.is_file() else joint_hash(folder_hashes(path))


def folder_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder but hidden ones and records: a checkpoint's from its manifest where it has one.

    The manifest is taken at its word only where no file of the checkpoint is newer.
    """
    names = {name: file for name, file in visible_files(folder).items() if not name.endswith(RECORD)}
    manifest = folder.parent / "manifest.json"
    if folder.name == "model" and manifest.is_file():
        known, written = read_json(manifest).get("files", {}), manifest.stat().st_mtime
        if set(known) == set(names) and all(file.stat().st_mtime <= written for file in names.values()):
            return known
    return {name: file_hash(file) for name, file in names.items()}


def hub_commit(name: str, revision: str | None = None, kind: str = "model") -> str | None:
    """The commit of a hub repository that the local cache has for a revision; None where it has none.

    Args:
        name: hub id.
        revision: branch, tag or commit; the main branch where there is none.
        kind: "model" or "dataset".
    """
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    if revision and re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    reference = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type=kind) / "refs" / (revision or "main")
    return reference.read_text(encoding="ascii").strip() if reference.is_file() else None


def packages() -> dict[str, str]:
    """Versions of the packages that results depend on, of those that are there: scripts run without Snakemake too."""
    found = {name: next(iter(importlib.metadata.distributions(name=name)), None) for name in PACKAGES}
    return {name: distribution.version for name, distribution in found.items() if distribution}


def machine(device=None) -> dict:
    """What the job ran on."""
    found = {"system": platform.platform(), "architecture": platform.machine(), "cpus": os.cpu_count()}
    return found | {"accelerator": device.description if device else "cpu", "processes": processes()[1]}


def cpu_seconds() -> float:
    """CPU time of this process and its children so far; of a fork of the run's worker, without the worker's imports."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def peak_memory_mib() -> float:
    """Largest memory of this process, or of one of its children, in MiB so far."""
    return max(own_peak_mib(), _peak_of(resource.RUSAGE_CHILDREN))


def own_peak_mib() -> float:
    """Largest memory of this process in MiB so far; what started it does not count, as it does in Linux's rusage."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    return _peak_of(resource.RUSAGE_SELF)


def _peak_of(who: int) -> float:
    peak = resource.getrusage(who).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def peak_device_memory_mib() -> float | None:
    """Largest memory that torch held on the GPU, in MiB; None where it used none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return round(torch.cuda.max_memory_allocated() / 2**20, 1)


def commit() -> str | None:
    """The commit of the code, with "-dirty" where tracked files differ from it; None outside a git checkout."""
    command = ["git", "-C", str(SCRIPTS), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _listed(value) -> list[str]:
    return [] if value is None else [str(part) for part in value] if isinstance(value, list) else [str(value)]
