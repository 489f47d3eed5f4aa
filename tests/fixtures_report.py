"""All the steps from a run table to the report, on a small results tree with made-up measurements."""

import json
from pathlib import Path

from fixtures_results import build_results, pair_scores

import compare_scores
import compute_cost
import compute_winrate
import measure_calibration
import render_report

EVIL = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)> **bold** 😀 \u202eabc\x00"
REWARDS = ("--scores", "scores.csv", "--pairs", "world=scored.parquet", "--calibration", "train.json", "eval.json")
CARD = {
    "dataset": "world",
    "rows_in": 10,
    "rows_out": 8,
    "dropped": {"equal responses": 2},
    "splits": {"train": 6, "eval": 2},
    "samples": [{"prompt": "<b>hello</b>", "chosen": "yes", "rejected": "\ud800 no"}],
    "histogram": {"bins": list(range(60)), "unknown": None},
}


def build_report(tmp_path: Path, card=CARD, render_it=True, **options) -> Path | None:
    """The folder of a results tree with all that the report is made from, and the report; its path."""
    path = str(build_results(tmp_path, **options))
    places = {name: str(tmp_path / name) for name in ("winrate.csv", "cost.csv", "card.json", "scores.csv")}
    (tmp_path / "card.json").write_text(json.dumps(card))
    options_ = ["--resamples", "50", "--refits", "5"]
    compute_winrate.main(["--runs", path, "--output", places["winrate.csv"], *options_])
    compute_cost.main(["--runs", path, "--output", places["cost.csv"]])
    scored = pair_scores(tmp_path / "scored.parquet", options.get("prompts", 40))
    pairs = [f"{dataset}={scored}" for dataset in {group[0] for group in options.get("groups", (("world", ""),))}]
    compare_scores.main(["--runs", path, "--pairs", *pairs, "--output", places["scores.csv"], "--resamples", "50"])
    for split in ("train", "eval"):
        names = ["--dataset", "world", "--reward-model", "rm", "--split", split, "--resamples", "50"]
        written = ["--output", str(tmp_path / f"{split}.json"), "--figures", str(tmp_path / split)]
        measure_calibration.main(["--scored", str(scored), *names, *written])
    return render(tmp_path) if render_it else None


def render(tmp_path: Path, name="report.html", rewards=REWARDS, extra=()) -> Path:
    """Render the report of a folder that `build_report` filled."""
    arguments = ["--runs", "runs.yaml", "--winrate", "winrate.csv", "--cost", "cost.csv", "--cards", "card.json"]
    arguments += [*rewards, "--output", name]
    placed = []
    for part in arguments:
        dataset, _, file = part.rpartition("=")
        placed.append(
            part if part.startswith("--") else f"{dataset}={tmp_path / file}" if dataset else str(tmp_path / part)
        )
    render_report.main([*placed, *extra])
    return tmp_path / name
