"""What benchmarks have in common: their command lines, cases in processes of their own, turns, and tables."""

import argparse
import json
import operator
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
RANGE = "{ratio:.2f} ({ratio_min:.2f}-{ratio_max:.2f})"  # format of a ratio of `compare`


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


def options_of(arguments: argparse.Namespace, *names: str) -> list:
    """Options of a command line, to be handed on to another process."""
    return [part for name in names for part in (f"--{name.replace('_', '-')}", getattr(arguments, name))]


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


def compare(
    cases: dict[str, Any],
    repeats: int,
    measure: Callable[[Any], dict],
    ratio: Callable[[float, float], float] = operator.truediv,
) -> list[dict]:
    """Measure cases `in_turn`; the first is what the others are measured against.

    Args:
        measure: gives seconds and peak_mib of a case, and what else there is.
        ratio: of a case's seconds and those of the first case in the same turn.

    Returns:
        Of each case: case (its label), seconds and peak_mib (medians), ratio (median) with ratio_min and ratio_max, and
        measurements, what `measure` gave.
    """
    measured = in_turn(cases, repeats, measure)
    first, rows = next(iter(measured.values())), []
    for label, values in measured.items():
        ratios = [ratio(value["seconds"], one["seconds"]) for value, one in zip(values, first, strict=True)]
        row = {"case": label} | {name: median_of(values, name) for name in ("seconds", "peak_mib")}
        row |= {"ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}
        rows.append(row | {"measurements": values})
    return rows


def formatted_table(rows: list[dict], columns: dict[str, str]) -> str:
    """Rows as a Markdown table; columns are {heading: format of a row's cell, such as "{seconds:.1f}"}."""
    return markdown_table(list(columns), [[form.format_map(row) for form in columns.values()] for row in rows])


def markdown_table(header: list[str], rows: Iterable[Iterable]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])
