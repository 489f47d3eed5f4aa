"""What the results were made from: code, versions, machines, models, decoding, judges, hashes, config, command."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml

from pipeline.report.section import Section
from pipeline.results.pedigree import Job

DIRTY = "-dirty"


def made_from_section(jobs: list[Job], config: dict | None = None) -> Section | None:
    """The section; None where there are no records.

    Args:
        jobs: all that the runs rest on.
        config: the whole config, as `pipeline.config.resolved.resolved_config` gives it.
    """
    if not jobs:
        return None
    records = [job.record for job in jobs]
    commits = Counter(record.get("commit") or "not in a git repository" for record in records)
    versions: dict[str, Counter] = {}
    for record in records:
        for name, version in record["packages"].items():
            versions.setdefault(name, Counter())[version] += 1
    finished = sorted(record["finished"] for record in records)
    hashes: dict[str, Counter] = {}
    for record in records:
        for path, content in record["inputs"].items():
            hashes.setdefault(_short(path), Counter())[content] += 1
    values = {
        "command": _command(commits, config),
        "facts": {
            "commit": _counted(commits, "jobs"),
            "made": [f"{finished[0]} to {finished[-1]}" if finished[0] != finished[-1] else finished[0]],
            "machine": _counted(Counter(_machine(record) for record in records), "jobs"),
            "versions": [f"{name} {_versions(found)}" for name, found in versions.items()],
        },
        "notes": _notes(commits, versions, hashes),
        "parts": {
            "models": _entries(record["spec"].get("model") for record in records),
            "reward models": _rewards(jobs),
            "decoding": _entries(record["spec"].get("decoding") for record in records),
            "judges": _entries(job.record["spec"] for job in jobs if job.stage == "verdicts"),
            "from the hub": _hub(records),
        },
        "hashes": [(path, list(found)) for path, found in sorted(hashes.items())],
        "config": yaml.safe_dump(_readable(config), sort_keys=False, allow_unicode=True, width=110) if config else "",
    }
    return Section("made-from", "What it was made from", "made_from.jinja", values, "Made from")


def _command(commits: Counter, config: dict | None) -> str:
    """The shell lines that make the results again, as far as the records tell them."""
    commit = next(iter(commits)).removesuffix(DIRTY)
    lines = [f"git checkout {commit}"] if len(commits) == 1 and " " not in commit else []
    return "\n".join([*lines, f"snakemake {'--configfile config.yaml ' if config else ''}--cores all"])


def _notes(commits: Counter, versions: dict[str, Counter], hashes: dict[str, Counter]) -> list[str]:
    """What keeps the results from being those of one state of everything."""
    notes = []
    if len(commits) > 1:
        notes.append("The jobs ran at different commits; where values depend on what changed, jobs ran again.")
    if any(commit.endswith(DIRTY) for commit in commits):
        notes.append("Tracked files differed from the commit (-dirty): the code is not all in it.")
    mixed = [name for name, found in versions.items() if len(found) > 1]
    if mixed:
        notes.append(f"Not all jobs had the same versions of {', '.join(mixed)}.")
    changed = [path for path, found in hashes.items() if len(found) > 1]
    if changed:
        notes.append(f"Jobs read different contents of {', '.join(changed)}: it changed in between.")
    return notes


def _counted(found: Counter, of: str) -> list[str]:
    return list(found) if len(found) == 1 else [f"{name} ({count} {of})" for name, count in found.most_common()]


def _versions(found: Counter) -> str:
    return " and ".join(found)


def _machine(record: dict) -> str:
    """A machine in words; its name is not in the records."""
    machine, device = record["machine"], record.get("device") or {}
    words = [str(machine.get("system", "")), f"{machine.get('cpus', '?')} CPUs"]
    if device.get("type") == "cuda":
        words.append(f"{device.get('processes', 1)} × {device.get('description', 'GPU')} in {device.get('dtype', '')}")
    return ", ".join(words)


def _entries(entries: Iterable[dict | None]) -> dict[str, dict]:
    """Entries by name, each once; without what says nothing."""
    found: dict[str, dict] = {}
    for entry in entries:
        if isinstance(entry, dict) and entry:
            rest = {key: value for key, value in entry.items() if key != "name" and value is not None}
            found.setdefault(str(entry.get("name", "")), _readable(rest))
    return found


def _rewards(jobs: list[Job]) -> dict[str, dict]:
    return _entries(job.record["spec"] for job in jobs if job.stage in ("reward_model", "scores"))


def _hub(records: list[dict]) -> dict[str, dict]:
    """Hub ids that were read, with the commits that the cache had."""
    found: dict[str, dict] = {}
    for record in records:
        for name, entry in (record.get("hub") or {}).items():
            found[_short(name)] = {key: value for key, value in entry.items() if value}
    return found


def _readable(value):
    """A value with the user's home folder as ~."""
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return _short(value) if isinstance(value, str) else value


def _short(path: str) -> str:
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path
