"""Sets of prompts beside the eval split: made-up results of the same runs on each, their win rates, and the report."""

from pathlib import Path

import numpy as np
import pandas as pd
from fixtures_costs import build_priced, many_runs
from fixtures_report import render
from fixtures_results import DPO, DPR, build_results, verdict_frame

import compute_winrate
from pipeline.jobs.io import read_yaml, write_parquet, write_yaml
from pipeline.results.run_table import read_run_table

IDS = [f"p{i:03d}" for i in range(6)]
# What answers to each set are judged against besides other runs, and its categories.
SETS = {
    "alpaca_eval": ("reference", ()),
    "mt_bench": (
        "reference",
        ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"),
    ),
    "arena_hard": ("reference", ("hard_prompt", "creative_writing")),
    "sums": ("check", ()),
    "own_questions": (None, ()),
}


def made_set(root: Path, name: str, opponent: str | None = None, prompts: int = 6, seeds=(1, 2), **options) -> Path:
    """A run table of a set: verdicts against `opponent`, if any, and against the baseline run.

    Args:
        options: of `build_results`.
    """
    (root / name).mkdir()
    path = build_results(root / name, seeds=seeds, prompts=prompts, **options)
    content = read_yaml(path) | {"split": name}
    for run in content["runs"]:
        run["baselines"] = [opponent or other if other == "chosen" else other for other in run["baselines"]]
        run["baselines"] = [other for other in run["baselines"] if opponent or other != "chosen"]
        for files in run["seeds"].values():
            old, files["verdicts"] = files["verdicts"], {}
            for other in run["baselines"]:
                source = Path(old["chosen" if other == opponent else other])
                files["verdicts"][other] = str(source.parent / f"{name}-vs-{other}.parquet")
                write_parquet(pd.read_parquet(source).assign(baseline=other), files["verdicts"][other])
            for kind in ("scores", "evaluation"):
                del files[kind]
    write_yaml(content, path)
    return path


def put(path: Path, preferences: list, run_name: str = DPR, opponent: str = DPO, **columns) -> None:
    """Verdicts of a run of a set, with every seed, in place of those that are there."""
    run = next(run for run in read_run_table(path).runs if run.run == run_name)
    for seed in run.seeds:
        frame = verdict_frame(run_name, seed, opponent, IDS[: len(preferences)], preferences).assign(**columns)
        write_parquet(frame, run.verdicts[seed][opponent])


def categorise(path: Path, categories: list[str]) -> None:
    """Give each prompt of a set a category, in turn."""
    content = read_yaml(path)
    place = Path(path).parent / "prompts.parquet"
    responses = pd.read_parquet(next(iter(content["runs"][0]["seeds"].values()))["responses"])
    kinds = [categories[i % len(categories)] for i in range(len(responses))]
    write_parquet(pd.DataFrame({"prompt_id": responses["prompt_id"], "category": kinds}), place)
    for run in content["runs"]:
        run["sources"] = str(place)
    write_yaml(content, path)


def winrates(runs: Path, sets: dict[str, Path], tmp_path: Path, *more: str) -> Path:
    """The win-rate table of the split and of the sets; its path."""
    output = tmp_path / "winrate.csv"
    named = [part for path in sets.values() for part in ("--set", str(path))]
    compute_winrate.main(
        ["--runs", str(runs), *named, "--resamples", "50", "--refits", "5", "--output", str(output), *more]
    )
    return output


def build_with_sets(root: Path, count: int = 2, prompts: int = 24, seeds=(1, 2)) -> Path:
    """A report of the SFT model and `count` trained runs on SETS, whose strengths differ from set to set; its path."""
    build_priced(root, count, prompts=prompts, seeds=seeds, render_it=False)
    return render_with_sets(root, make_sets(root, count, prompts, seeds))


def make_sets(root: Path, count: int, prompts: int, seeds) -> dict[str, Path]:
    """The run tables of SETS."""
    runs = many_runs(count)
    generator, sets = np.random.default_rng(2), {}
    for name, (opponent, categories) in SETS.items():
        moved = {run: np.add(rates, generator.normal(0, 0.12)) for run, rates in runs["strength"].items()}
        own = {run: tuple(np.clip(rates, 0.05, 0.95)) for run, rates in moved.items()}
        sets[name] = made_set(root, name, opponent, prompts, seeds, runs=runs["runs"], strength=own)
        if categories:
            categorise(sets[name], list(categories))
    return sets


def render_with_sets(root: Path, sets: dict[str, Path], extra=()) -> Path:
    """Win rates and report of a folder that `build_report` filled, with sets of prompts; the report's path."""
    told = any(run.sources for path in sets.values() for run in read_run_table(path).runs)
    by_category = ["--by-category", str(root / "by_category.csv")] if told else []
    winrates(root / "runs.yaml", sets, root, *by_category)
    named = [part for path in sets.values() for part in ("--set", str(path))]
    front = ["--front", str(root / "front.csv")] if (root / "front.csv").is_file() else []
    return render(root, extra=[*front, *named, *by_category, *extra])
