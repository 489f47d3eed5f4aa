"""Benchmarks of EleutherAI's lm-eval on a checkpoint, loaded as all that only reads a policy loads it."""

import importlib.metadata
import json
from functools import cache
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.benchmark_samples import SAMPLE_COLUMNS
from pipeline.jobs.io import InputError, read_json, read_parquet, write_json, write_parquet
from pipeline.jobs.refusals import full_disk, refused_path
from pipeline.models.checkpoints import load_evaluated, load_tokenizer
from pipeline.models.devices import Device
from pipeline.models.fitting import cache_bytes, fitted, forward_bytes
from pipeline.models.manners import THOUGHT_END, manner_of, template_variables
from pipeline.models.reading import reason

REQUIREMENTS = "envs/requirements-lm-eval.txt"
# Of what lm-eval gives, besides its numbers: how it got them. Configs hold functions and folders, the rest is of a run.
TOLD = ("group_subtasks", "versions", "n-shot", "higher_is_better", "n-samples")
LONGEST = 2048  # tokens of questions with their worked examples; few tasks have more
LOGITS = 2  # copies of a text's logits, in float32, that log-probabilities take
RESAMPLES = 1000  # of the standard error of a metric that is no mean; lm-eval's 100,000 take hours for some tasks


def require_lm_eval(version: str) -> None:
    """See that lm-eval is there, as another version may ask and count otherwise.

    Raises:
        InputError: it is not installed, or another version is.
    """
    found = next(iter(importlib.metadata.distributions(name="lm_eval")), None)
    if found is None or found.version != version:
        there = f"{found.version} is" if found else "none is"
        raise InputError(
            f"lm_eval needs that package, version {version}, and {there} installed: "
            f"pip install --no-deps -r {REQUIREMENTS}"
        )


def measure_tasks(spec: dict, path: str, device: Device, kept: Path) -> tuple[dict, pd.DataFrame]:
    """A checkpoint's results in every task.

    Args:
        spec: {model: entry, lm_eval: version, tasks: [{task, …}]}.
        path: hub id or folder of the checkpoint, which may be an adapter.
        kept: folder for finished tasks, from which a killed job continues.

    Returns:
        {lm_eval: version, tasks: [the task's settings with lm-eval's `results`, and TOLD]}; and the answers one by one
        (SAMPLE_COLUMNS), of the metrics that have one number for each.

    Raises:
        InputError: lm-eval is not there, knows no such task or cannot run it here.
    """
    require_lm_eval(spec["lm_eval"])
    entry = spec["model"]
    tokenizer, policy = load_tokenizer(path, entry), load_evaluated(path, entry, device)
    if tokenizer.chat_template is None and any(task["apply_chat_template"] for task in spec["tasks"]):
        text = "its tokenizer has no chat template: leave out apply_chat_template of lm_eval's tasks"
        raise InputError(f"{path}: {text}")
    model = _model(policy, tokenizer, entry, device, _rows(device, policy, kept))
    found, tables = [], []
    for number, task in enumerate(spec["tasks"]):
        results, samples = kept / f"{number}.json", kept / f"{number}.parquet"
        if not results.is_file():
            given = _measured(model, task)
            write_parquet(_answers(given["samples"], number), samples)
            told = json.dumps({name: given.get(name, {}) for name in ("results", *TOLD)}, default=_plain)
            write_json(task | json.loads(told), results)
        found.append(read_json(results))
        tables.append(read_parquet(samples, allow_empty=True))
        print(f"{task['task']}: {_in_words(found[-1]['results'])}", flush=True)
    return {"lm_eval": spec["lm_eval"], "tasks": found}, pd.concat(tables, ignore_index=True)


def _measured(model, task: dict) -> dict:
    """What lm-eval gives for a task."""
    from lm_eval import simple_evaluate

    folder, name = task.get("include_path"), task["task"]
    manager = _known_tasks(folder, False) if folder else None
    if manager is None or name not in manager.all_subtasks:  # a local group may have lm-eval's own tasks in it
        manager = _known_tasks(folder, True)
    if name not in manager.all_tasks:
        where = f" nor in {folder}" if folder else ""
        raise InputError(
            f"lm_eval: there is no task, group or tag {name!r} in lm-eval{where}; `lm_eval ls tasks` lists all"
        )
    given = {key: task.get(key) for key in ("num_fewshot", "limit", "apply_chat_template", "confirm_run_unsafe_code")}
    try:
        return simple_evaluate(model, tasks=[name], task_manager=manager, bootstrap_iters=RESAMPLES, **given)
    except (ImportError, OSError, ValueError) as error:  # such as a dataset that is not there, or a package
        if refused_path(error) or full_disk(error):
            raise
        raise InputError(f"lm_eval: the task {name} cannot be run here ({reason(error)})") from error


@cache
def _known_tasks(folder: str | None, its_own: bool):
    """The tasks in a folder, and lm-eval's own ones, of which there are so many that listing them takes seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(Path(folder).expanduser()) if folder else None, include_defaults=its_own)


def _answers(samples: dict[str, list[dict]], number: int) -> pd.DataFrame:
    """Rows of SAMPLE_COLUMNS."""
    rows = [
        (number, name, f"{sample['doc_id']}:{sample['doc_hash'][:16]}", f"{metric},{sample['filter']}", sample[metric])
        for name, answers in samples.items()
        for sample in answers
        for metric in sample["metrics"]
        if isinstance(sample[metric], Real | np.bool_)
    ]
    frame = pd.DataFrame(rows, columns=SAMPLE_COLUMNS)
    return frame.astype({"entry": int, "task": str, "question": str, "metric": str, "value": float})


def _plain(value: object) -> object:
    """A number of numpy's as Python's own, all else as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _model(policy, tokenizer, entry: dict, device: Device, rows: int):
    """A policy as lm-eval takes it.

    Answers are generated in batches of `rows`. Choices are compared in such batches too on a CPU; on CUDA lm-eval tries
    how many of the longest ones fit.
    """
    from lm_eval.models.huggingface import HFLM

    class Policy(HFLM):
        def generate_until(self, requests, disable_tqdm=False):
            tried, self.batch_size_per_gpu = self.batch_size_per_gpu, rows
            try:
                return super().generate_until(requests, disable_tqdm)
            finally:
                self.batch_size_per_gpu = tried

    thinks = tokenizer.chat_template and entry.get("strip_thoughts", manner_of(tokenizer, entry).thinks)
    return Policy(
        pretrained=policy,
        tokenizer=tokenizer,
        batch_size="auto" if device.type == "cuda" else rows,
        max_batch_size=rows,
        think_end_token=THOUGHT_END if thinks else None,
        chat_template_args=template_variables(tokenizer, entry),
    )


def _rows(device: Device, policy, kept: Path) -> int:
    """Rows side by side, where the device's entry leaves them open: as many texts of LONGEST tokens as fit."""
    config = policy.config.get_text_config()
    length = min(getattr(config, "max_position_embeddings", None) or LONGEST, LONGEST)
    logits = 0 if device.type == "cuda" else LOGITS * 4 * length * config.vocab_size

    def per_row() -> float:
        return cache_bytes(policy, length) + forward_bytes(policy, length) + logits

    return int(fitted(device, "generate", kept, per_row).batch_sizes["generate"])


def _in_words(results: dict[str, dict]) -> str:
    first = next(iter(results.values()), {})
    numbers = {name: value for name, value in first.items() if "," in name and isinstance(value, int | float)}
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items() if "_stderr," not in name)
