"""A small results tree with made-up measurements: every file that a run table names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.jobs.io import read_yaml, write_json, write_parquet, write_yaml

DPO, DPR = "dpo-beta0.1", "dpr-beta0.1-g0.3-gamma0.3"
RUNS = {
    "sft": ("sft", {}),
    DPO: ("dpo", {"beta": 0.1, "learning_rate": 0.0003}),
    DPR: ("dpr", {"beta": 0.1, "learning_rate": 0.0003, "g": 0.3, "gamma": 0.3}),
}
# The true chance of a win against the chosen response, and of a win against the baseline run.
STRENGTH = {"sft": (0.3, 0.3), DPO: (0.5, 0.5), DPR: (0.8, 0.85)}


def build_results(
    root: Path,
    seeds: tuple[int, ...] = (1, 2, 3),
    prompts: int = 40,
    groups: tuple[tuple[str, str], ...] = (("world", "W1M"),),
    text: Callable[[str, int], str] = lambda run, i: f"{run} answers {i}.",
    decodings: dict[str, dict[str, tuple[float, float]]] | None = None,
    runs: dict[str, tuple[str, dict]] | None = None,
    strength: dict[str, tuple[float, float]] | None = None,
) -> Path:
    """Write the tree below `root` and return the path of its run table.

    Args:
        root: an empty folder.
        seeds: training seeds of every run.
        prompts: number of prompts.
        groups: (dataset, model) pairs; each gets the three runs.
        text: the response of a run to the i-th prompt.
        runs, strength: in place of RUNS and STRENGTH; DPO is among them.
        decodings: what differs from STRENGTH under each decoding; the runs name none where it is None.
    """
    entries = []
    for decoding, changed in (decodings or {"": {}}).items():
        for group_number, (dataset, model) in enumerate(groups):
            generator = np.random.default_rng(group_number)
            for run, (method, hyperparameters) in (runs or RUNS).items():
                baselines = ["chosen"] if run == DPO else ["chosen", DPO]
                entry = {"dataset": dataset, "model": model, "run": run, "method": method}
                entry |= {"hyperparameters": hyperparameters, "baselines": baselines, "seeds": {}}
                entry |= {"decoding": decoding} if decoding else {}
                own = {**(strength or STRENGTH), **changed}[run]
                for seed in seeds:
                    folder = root / dataset / model / run / f"seed{seed}" / decoding
                    told = (run, method, own, seed, baselines, prompts, text, generator)
                    entry["seeds"][seed] = _write_seed(folder, *told)
                entries.append(entry)
    content = {"tag": "test", "split": "eval", "baseline": DPO, "seeds": list(seeds), "runs": entries}
    write_yaml(content, root / "runs.yaml")
    return root / "runs.yaml"


def verdict_frame(run: str, seed: int, baseline: str, ids: list[str], preference: np.ndarray) -> pd.DataFrame:
    """Verdicts in one order; NaN is an unparsed one."""
    preference = np.asarray(preference, dtype=float)
    return pd.DataFrame(
        {
            "prompt_id": ids,
            "run": run,
            "seed": seed,
            "baseline": baseline,
            "order": "none",
            "preference": preference,
            "score_run": preference,
            "score_baseline": 1 - preference,
            "len_run": 10,
            "len_baseline": 12,
            "judge": "gold",
            "judge_model": "gold",
            "request_key": "",
            "status": np.where(np.isnan(preference), "unparsed", "parsed"),
        }
    )


def _write_seed(folder, run, method, strength, seed, baselines, prompts, text, generator) -> dict:
    ids = [f"p{i:03d}" for i in range(prompts)]
    paths = {kind: str(folder / f"{kind}.parquet") for kind in ("responses", "scores", "evaluation")}
    responses = [text(run, i) for i in range(prompts)]
    questions = [f"Question {i}?" for i in range(prompts)]
    write_parquet(
        pd.DataFrame(
            {"prompt_id": ids, "prompt": questions, "response": responses, "response_tokens": 4, "finished": True}
        ),
        paths["responses"],
    )
    scores = generator.normal(strength[0], 0.3, prompts)
    write_parquet(pd.DataFrame({"prompt_id": ids, "response_score": scores}), paths["scores"])
    names = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps", "response_logps")
    evaluation = {"prompt_id": ids} | {name: generator.normal(-20, 3, prompts) for name in names}
    evaluation["ref_response_logps"] = evaluation["response_logps"] - strength[0]
    write_parquet(pd.DataFrame(evaluation), paths["evaluation"])
    paths["verdicts"] = {}
    for baseline, chance in zip(baselines, strength, strict=False):
        path = folder / f"eval-vs-{baseline}.parquet"
        preference = (generator.random(prompts) < chance).astype(float)
        write_parquet(verdict_frame(run, seed, baseline, ids, preference), path)
        paths["verdicts"][baseline] = str(path)
    if method != "sft":
        seconds = 10.0 * seed * (2 if method == "dpr" else 1)
        cost = {"seconds": seconds, "rollout_seconds": seconds / 4, "steps": 20, "device": "cpu"}
        paths["cost"] = str(folder / "cost.json")
        write_json(cost | {"peak_memory_mib": 500.0 + seed}, paths["cost"])
        steps = np.tile(np.arange(5, 25, 5), 3)
        metrics = np.repeat(["loss", "rewards/accuracies", "rewards/margins"], 4)
        paths["metrics"] = str(folder / "metrics.parquet")
        curve = pd.DataFrame({"step": steps, "metric": metrics, "value": generator.random(12)})
        write_parquet(curve, paths["metrics"])
    return paths


def pair_scores(path: Path, prompts: int, seed: int = 0) -> Path:
    """Write a scored split of `build_results`' prompts, the chosen response the better one by a point on average."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "prompt_id": [f"p{i:03d}" for i in range(prompts)],
            "prompt": [f"Question {i}?" for i in range(prompts)],
            "chosen": ["yes " * int(n) for n in generator.integers(1, 20, prompts)],
            "rejected": ["no " * int(n) for n in generator.integers(1, 20, prompts)],
            "chosen_score": generator.normal(1, 1, prompts),
            "rejected_score": generator.normal(0, 1, prompts),
        }
    )
    margins = frame["chosen_score"] - frame["rejected_score"]
    write_parquet(frame.assign(bt_prob=1 / (1 + np.exp(-margins))), path)
    return path


CHECKPOINT_STEPS = {DPO: [5, 10], DPR: [5, 10], "sft": [0]}


def checkpoints(steps: list[int], prompts: int = 3) -> pd.DataFrame:
    """Labelling scores are step + prompt, the judge's −step, KL step/10 + prompt."""
    rows = [(step, f"p{i}", float(step + i), -float(step), step / 10 + i) for step in steps for i in range(prompts)]
    frame = pd.DataFrame(rows, columns=["step", "prompt_id", "labelling_score", "judge_score", "kl"])
    logps = {"ref_response_logps": -20.0, "response_logps": frame["kl"] - 20}
    return frame.assign(response="text", response_tokens=4, **logps)


def put_checkpoints(root: Path, path: Path) -> Path:
    """Files of checkpoints for each run of a run table, which then names them."""
    content = read_yaml(path)
    for entry in content["runs"]:
        for seed, files in entry["seeds"].items():
            files["checkpoints"] = str(root / entry["run"] / f"{seed}.parquet")
            write_parquet(checkpoints(CHECKPOINT_STEPS[entry["run"]]), files["checkpoints"])
    write_yaml(content, path)
    return path
