"""Time the plan of a sweep, `snakemake -n`, for several numbers of runs, and what it takes in memory.

    python scripts/benchmark.py sweep --output results/benchmark_sweep.json

Each run is a task of its own, with all its stages, on the embedded world. Nothing is there yet, so all is planned.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import markdown_table, parser_of
from pipeline.jobs.io import InputError, read_yaml, write_json, write_yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")
FIRST_BETA, STEP = 0.05, 0.001


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("sweep", __doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[10, 100, 1000], help="numbers of runs")
    arguments = parser.parse_args(argv)
    if min(arguments.runs) < 1:
        parser.error("--runs must be at least 1")
    with tempfile.TemporaryDirectory() as scratch:
        plans = [measure(runs, Path(scratch) / str(runs)) for runs in arguments.runs]
    rows = []
    for before, plan in zip([None, *plans], plans, strict=False):
        more = before and 1000 * (plan["cpu_seconds"] - before["cpu_seconds"]) / (plan["runs"] - before["runs"])
        cells = [plan["runs"], plan["jobs"], f"{plan['seconds']:.1f}", f"{plan['cpu_seconds']:.1f}"]
        cells += ["" if more is None else f"{more:.1f}", f"{plan['peak_mib']:.0f}"]
        rows.append(cells)
    print(markdown_table(["runs", "jobs", "seconds", "CPU seconds", "CPU ms per run more", "peak MiB"], rows))
    write_json({"plans": plans}, arguments.output)


def sweep(runs: int) -> dict:
    """The embedded default's config with that many tasks, each of them one run: a plain one, and DPR at many β."""
    config = read_yaml(ROOT / "config" / "config.yaml")
    tasks = [{"method": "dpr", "beta": round(FIRST_BETA + STEP * number, 6), "g": 0.3} for number in range(runs - 1)]
    return config | {"tag": f"sweep{runs}", "seeds": [1], "baseline": "dpo", "tasks": [{"method": "dpo"}, *tasks]}


def measure(runs: int, folder: Path) -> dict:
    """Plan a sweep in a copy of the workflow.

    Returns:
        runs, jobs, seconds, cpu_seconds, peak_mib (of Snakemake's process).
    """
    folder.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)
    write_yaml(sweep(runs), folder / "sweep.yaml")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--configfile", "sweep.yaml"]
    started = time.perf_counter()
    with (folder / "plan.txt").open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        text = output.read()
    if os.waitstatus_to_exitcode(status):
        raise InputError(f"the plan of {runs} runs failed:\n{text[-3000:]}")
    jobs = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("total "))
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return {"runs": runs, "jobs": jobs, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak}
