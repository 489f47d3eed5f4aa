"""The packages of lm-eval, which `.ci/lm-eval` puts into a folder, and tasks of local files."""

import json
import os
import sys
from pathlib import Path

import pandas as pd
import pytest
from fixtures_results import DPO, DPR

from pipeline.columns.benchmark_samples import SAMPLE_COLUMNS
from pipeline.jobs.io import read_yaml, write_json, write_parquet, write_yaml

QUESTIONS = (
    *("What is red?", "What is old?", "Which colour has a lemon?", "What is small and sour?"),
    *("Who sat on a tree?", "Is it yellow?"),
)
CHOICES = ["cat", "tree", "red", "big"]


def packages_folder() -> Path:
    """Where `.ci/lm-eval` puts them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("LM_EVAL_PACKAGES") or cache / "sail-pipeline/lm-eval-0.4.13")


@pytest.fixture(scope="session")
def lm_eval_path() -> Path:
    """That folder, where it is."""
    folder = packages_folder()
    if not (folder / "requirements.txt").is_file():
        pytest.skip(f"lm_eval is not in {folder}: .ci/lm-eval puts it there")
    return folder


@pytest.fixture(scope="module")
def lm_eval(lm_eval_path):
    """lm-eval can be imported."""
    sys.path.append(str(lm_eval_path))
    yield
    sys.path.remove(str(lm_eval_path))


def local_tasks(folder: Path) -> Path:
    """Tasks of lm-eval in a folder, with their questions: `colours` of some choices, `words` answered freely, `nowhere`
    without questions, and the group `both` of the first two.
    """
    folder.mkdir(parents=True)
    rows = [
        {"question": question, "choices": CHOICES, "answer": number % len(CHOICES), "word": "red"}
        for number, question in enumerate(QUESTIONS)
    ]
    data = folder / "questions.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "fewshot_split": "test",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "metadata": {"version": 1},
    }
    choice = {"output_type": "multiple_choice", "doc_to_choice": "{{choices}}", "doc_to_target": "{{answer}}"}
    metrics = [{"metric": "acc"}, {"metric": "brier_score"}]
    write_yaml({"task": "colours", **common, **choice, "metric_list": metrics}, folder / "colours.yaml")
    free = {"output_type": "generate_until", "doc_to_target": "{{word}}"}
    free |= {"generation_kwargs": {"until": ["\n"], "max_gen_toks": 4}, "metric_list": [{"metric": "exact_match"}]}
    write_yaml({"task": "words", **common, **free}, folder / "words.yaml")
    nowhere = {"dataset_kwargs": {"data_files": {"test": str(folder / "gone.jsonl")}}}
    write_yaml({"task": "nowhere", **common, **free, **nowhere}, folder / "nowhere.yaml")
    score = [{"metric": "acc", "weight_by_size": True}]
    write_yaml({"group": "both", "task": ["colours", "words"], "aggregate_metric_list": score}, folder / "both.yaml")
    return folder


# Whether each of four questions of the task quiz is answered rightly, by run and seed; and a score that is no mean.
ANSWERS = {"sft": {1: [1, 0, 1, 0]}, DPO: {1: [1, 1, 1, 0], 2: [1, 1, 1, 0]}, DPR: {1: [0, 0, 1, 0], 2: [0, 0, 0, 0]}}
LOOSE = {"sft": 0.5, DPO: 0.7, DPR: 0.4}


def write_benchmarks(path: Path, answers: list[int], loose: float, **changes) -> None:
    """A checkpoint's results of the task quiz, as `scripts/run_lm_eval.py` writes them, and its answers."""
    results = {"alias": "quiz", "acc,none": sum(answers) / len(answers), "acc_stderr,none": 0.2}
    results |= {"loose,none": loose, "loose_stderr,none": 0.1, "sample_len": len(answers)}
    told = {"task": "quiz", "apply_chat_template": False, "confirm_run_unsafe_code": False}
    told |= {"results": {"quiz": results}, "group_subtasks": {}, "versions": {"quiz": 1}, "n-shot": {"quiz": 5}}
    told |= {"higher_is_better": {"quiz": {"acc": True, "loose": True}}}
    told |= {"n-samples": {"quiz": {"original": 9, "effective": len(answers)}}}
    write_json({"lm_eval": "0.4.13", "tasks": [told | changes]}, path)
    rows = [(0, "quiz", f"{number}:hash", "acc,none", float(right)) for number, right in enumerate(answers)]
    write_parquet(pd.DataFrame(rows, columns=SAMPLE_COLUMNS), path.with_suffix(".parquet"))


def put_benchmarks(root: Path, path: Path) -> Path:
    """Files of benchmarks for each run of a run table, which then names them."""
    content = read_yaml(path)
    start = root / "start.json"
    write_benchmarks(start, ANSWERS["sft"][1], LOOSE["sft"])
    for entry in content["runs"]:
        for seed, files in entry["seeds"].items():
            own = start if entry["run"] == "sft" else root / entry["run"] / f"{seed}.json"
            if own != start:
                write_benchmarks(own, ANSWERS[entry["run"]][seed], LOOSE[entry["run"]])
            files |= {"lm_eval": str(own), "lm_eval_start": str(start)}
    write_yaml(content, path)
    return path
