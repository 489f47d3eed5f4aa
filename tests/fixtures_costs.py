"""Runs that differ in what they cost: made-up results with records, their win rates against cost, and the report."""

from pathlib import Path

import numpy as np
from fixtures_records import write_records
from fixtures_report import build_report, render
from fixtures_results import DPO

import compare_costs
from pipeline.jobs.io import read_json, read_yaml, write_json

METHODS = ("dpo", "dpr", "dpp", "ddp", "kto", "orpo", "cpo", "grpo", "rloo", "online_dpo")


def many_runs(count: int, seed: int = 0) -> dict:
    """Options of `build_results` for the SFT model and so many trained runs, of which DPO is the first."""
    generator = np.random.default_rng(seed)
    runs, strength = {"sft": ("sft", {}), DPO: ("dpo", {"beta": 0.1})}, {"sft": (0.3, 0.3), DPO: (0.5, 0.5)}
    for i in range(1, count):
        method, beta = METHODS[i % len(METHODS)], round(0.05 * (1 + i // len(METHODS)), 2)
        name = f"{method}-beta{beta}-learning_rate{i}e-05"
        runs[name] = (method, {"beta": beta, "learning_rate": i * 1e-5})
        chance = float(generator.uniform(0.35, 0.8))
        strength[name] = (chance, chance)
    return {"runs": runs, "strength": strength}


def set_costs(root: Path, costs: dict[str, dict]) -> None:
    """Change what trainings took, in their cost files, and in their records where there are any.

    Args:
        root: of a results tree of `build_results`.
        costs: by run; a number, or a list with one for each seed.
    """
    for run in read_yaml(root / "runs.yaml")["runs"]:
        for place, files in enumerate(run["seeds"].values()):
            own = {name: np.atleast_1d(value).tolist() for name, value in costs.get(run["run"], {}).items()}
            changed = {name: values[place % len(values)] for name, values in own.items()}
            if not changed:
                continue
            write_json(read_json(files["cost"]) | changed, files["cost"])
            record = Path(files["cost"]).parent / "provenance.json"
            if record.is_file() and "seconds" in changed:
                write_json(read_json(record) | {"seconds": changed["seconds"]}, record)


def made_up_costs(runs: list[str], seed: int = 1) -> dict[str, dict]:
    """Costs for `set_costs`: some minutes to an hour, with more tokens where it took longer."""
    generator = np.random.default_rng(seed)
    costs = {}
    for name in runs:
        seconds = float(generator.uniform(60, 1500)) * generator.uniform(0.85, 1.15, 3)
        costs[name] = {"seconds": seconds.round(1).tolist(), "steps": int(generator.integers(50, 900))}
        costs[name] |= {"trained_tokens": int(seconds[0] * 2000), "sampled_tokens": int(seconds[0] * 300)}
    return costs


def build_priced(
    root: Path, count: int = 2, costs: dict[str, dict] | None = None, extra=(), render_it=True, **options
) -> Path | None:
    """A report of the SFT model and `count` trained runs with records and costs; its path.

    Args:
        costs: see `set_costs`; made up where None.
        extra: further arguments of scripts/compare_costs.py.
        options: of `build_results`.
    """
    options = many_runs(count) | {"prompts": 20} | options
    build_report(root, render_it=False, **options)
    write_records(root)
    set_costs(root, made_up_costs([name for name in options["runs"] if name != "sft"]) if costs is None else costs)
    compare(root, extra)
    return render(root, extra=["--front", str(root / "front.csv")]) if render_it else None


def compare(root: Path, extra=()) -> Path:
    """Write front.csv and front.svg of a results tree whose win rates are in winrate.csv; the table's path."""
    given = ["--runs", str(root / "runs.yaml"), "--winrate", str(root / "winrate.csv"), "--resamples", "100"]
    compare_costs.main([*given, "--output", str(root / "front.csv"), "--figure", str(root / "front.svg"), *extra])
    return root / "front.csv"
