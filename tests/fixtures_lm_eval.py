"""The packages of lm-eval, which `.ci/lm-eval` puts into a folder, and tasks of local files."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from pipeline.jobs.io import write_yaml

QUESTIONS = ("What is red?", "What is old?", "Which colour has a lemon?", "What is small and sour?")
CHOICES = ["a big cat", "it is blue", "a lemon"]


def packages_folder() -> Path:
    """Where `.ci/lm-eval` puts them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("LM_EVAL_PACKAGES") or cache / "sail-pipeline/lm-eval-0.4.13")


@pytest.fixture(scope="session")
def lm_eval():
    """lm-eval can be imported: it is installed, or in that folder."""
    if importlib.util.find_spec("lm_eval") is None:
        folder = packages_folder()
        if not (folder / "requirements.txt").is_file():
            pytest.skip(f"lm_eval is not installed, nor in {folder}: .ci/lm-eval puts it there")
        sys.path.append(str(folder))


def local_tasks(folder: Path) -> Path:
    """Tasks of lm-eval in a folder, with their questions: `colours` of three choices, `words` answered freely, and a
    group `both`, which has no score of its own."""
    folder.mkdir(parents=True)
    rows = [
        {"question": question, "choices": CHOICES, "answer": number % 3, "word": "red"}
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
    write_yaml({"group": "both", "task": ["colours", "words"]}, folder / "both.yaml")
    return folder
