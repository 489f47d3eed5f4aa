"""What benchmarks have in common: their command lines, cases in processes of their own, turns, and tables."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipeline.jobs.io import InputError

SCRIPT = Path(__file__).resolve().parents[1] / "benchmark.py"


def parser_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark: --output, and --case, by which a process is told what to measure."""
    parser = argparse.ArgumentParser(
        f"benchmark.py {name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    output = Path(f"results/benchmark_{name}.json")
    parser.add_argument("--output", type=Path, default=output, help="JSON to write")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    return parser


def in_a_process(name: str, case: Any, options: Iterable = (), watch: Callable[[int], None] | None = None) -> Any:
    """Measure a case of a benchmark in a process of its own, so that its memory is its own too.

    Args:
        name: the benchmark's.
        case: as its --case, written as JSON.
        options: further ones.
        watch: called with the process's id about twenty times in a second.

    Returns:
        What the process wrote as its last line, in JSON.

    Raises:
        InputError: it failed; with the end of what it said.
    """
    command = [sys.executable, str(SCRIPT), name, *map(str, options), "--case", json.dumps(case)]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        while watch is not None and process.poll() is None:
            watch(process.pid)
            time.sleep(0.05)
        failed = process.wait()
        for file in (output, errors):
            file.seek(0)
        if failed:
            raise InputError(f"{name} {case} failed:\n{errors.read()[-2000:]}")
        return json.loads(output.read().splitlines()[-1])


def in_turn(cases: dict[str, Any], repeats: int, measure: Callable[[Any], dict]) -> dict[str, list[dict]]:
    """Measure cases in turns, so that what else the machine does meets them all alike.

    Args:
        cases: {label: case}.

    Returns:
        {label: what `measure(case)` gave, a value per repeat}.
    """
    measured: dict[str, list[dict]] = {label: [] for label in cases}
    for repeat in range(repeats):
        for label, case in cases.items():
            found = measure(case)
            measured[label].append(found)
            told = {name: value for name, value in found.items() if not isinstance(value, list)}
            print(f"{repeat + 1}/{repeats} {label}: {told}", file=sys.stderr, flush=True)
    return measured


def median_of(measurements: list[dict], name: str) -> float:
    """The median of one of the measured values."""
    return statistics.median(found[name] for found in measurements)


def spread(name: str, ratios: list[float]) -> dict[str, float]:
    """The median and the range of ratios within turns, as columns `name`, `name`_min and `name`_max."""
    return {name: statistics.median(ratios), f"{name}_min": min(ratios), f"{name}_max": max(ratios)}


def as_range(row: dict, name: str) -> str:
    """Such columns as text."""
    return f"{row[name]:.2f} ({row[f'{name}_min']:.2f}-{row[f'{name}_max']:.2f})"


def markdown_table(header: list[str], rows: Iterable[Iterable]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])
