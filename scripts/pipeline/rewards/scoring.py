"""Jobs of scoring: finished work is kept until the result is written, several processes share it, progress is printed.

A job's finished scores lie in small files, the shards, in the job's state, which Snakemake does not know of.
They are found again by what the job is: the model's files, its entry, the texts and how they are put into batches. As
the batches are the same whoever computes them, so are the scores.
"""

import hashlib
import json
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipeline.jobs.io import atomic_path
from pipeline.jobs.processes import is_first_process, own_share, processes, shared_state
from pipeline.jobs.provenance import code_fingerprint
from pipeline.jobs.state import JobState

SAVE_SECONDS = 10.0  # of work that a killed job loses at most, and between two lines of progress


class Shards(JobState):
    """The folder of a job's finished scores, for a `with` block at whose successful end it is removed.

    Args:
        output: the first file that the job writes.
    """

    def __init__(self, output: Path):
        super().__init__(output, "shards")


def run_batches(model, inputs: list[dict], batches: list[list], shards: Shards | None, name: str):
    """Scores of all texts, computed in this process and in those beside it, or found in the shards.

    Args:
        model: a `pipeline.rewards.scorer.RewardModel`.
        inputs: the texts' token ids.
        batches: as `pipeline.rewards.batches.plan_batches` makes them.
        name: of the texts, for progress.

    Returns:
        {position of a text: score}; None in all processes but the first.
    """
    if shards is None:
        return {text: score for batch in batches for text, score in model.score_batch(batch, inputs).items()}
    rank, count = processes()
    folder = shards.folder / job_key(model, inputs, batches)
    scores = read_shards(folder)
    own = [batch for batch in own_share(batches) if not all(text in scores for row in batch for text in row.texts)]
    progress = Progress(name, own, count, found=len(scores))
    unsaved: dict[int, float] = {}
    saved = time.monotonic()
    for batch in sorted(own, key=size, reverse=True):  # what does not fit into memory shows at once
        unsaved |= model.score_batch(batch, inputs)
        progress.add(batch)
        if time.monotonic() - saved >= SAVE_SECONDS:
            write_shard(unsaved, folder)
            scores, unsaved, saved = scores | unsaved, {}, time.monotonic()
    progress.end()
    if count > 1:
        write_shard(unsaved, folder)
        shared_state(model.device.type).wait_for_everyone()
        return read_shards(folder) if rank == 0 else None
    return scores | unsaved


def size(batch: list) -> int:
    """Tokens of a batch, padding included."""
    return len(batch) * max(row.length for row in batch)


def job_key(model, inputs: list[dict], batches: list[list]) -> str:
    """A hash of all that the scores depend on."""
    device = model.device
    parts = {
        "model": model.content_hash,
        "entry": model.entry,
        "text_format": model.text_format,
        "device": [model.place.partition(":")[0], str(device.dtype), device.attention],
        "versions": [version("torch"), version("transformers")],
        "code": code_fingerprint("score_responses.py", {"text_format": model.text_format}),
        "batches": [[[row.texts, row.shared] for row in batch] for batch in batches],
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for text in inputs:
        digest.update(json.dumps(text, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def write_shard(scores: dict[int, float], folder: Path) -> None:
    """Keep finished scores, all or none of them, under the first text's name."""
    if scores:
        with atomic_path(folder / f"{next(iter(scores))}.npz") as temporary, temporary.open("wb") as handle:
            np.savez(handle, text=np.array(list(scores)), score=np.array(list(scores.values())))


def read_shards(folder: Path) -> dict[int, float]:
    """All scores that were kept."""
    scores: dict[int, float] = {}
    for path in sorted(folder.glob("[0-9]*.npz")):
        with np.load(path) as shard:
            scores |= dict(zip(shard["text"].tolist(), shard["score"].tolist(), strict=True))
    return scores


class Progress:
    """Lines of progress in the log of the first process: rows, rows per second, time left.

    Args:
        name: of what is scored.
        batches: of this process.
        count: how many processes there are.
        found: texts whose scores were kept by an earlier attempt.
    """

    def __init__(self, name: str, batches: list[list], count: int, found: int):
        self.name, self.count = name, count
        self.tokens = sum(row.length for batch in batches for row in batch)
        self.texts = sum(len(row.texts) for batch in batches for row in batch)
        self.done_texts = self.done_tokens = 0
        self.started = self.said = time.monotonic()
        if found and is_first_process():
            print(f"{name}: {found} texts were scored before", flush=True)

    def add(self, batch: list) -> None:
        """Count a finished batch, and say so from time to time."""
        self.done_texts += sum(len(row.texts) for row in batch)
        self.done_tokens += sum(row.length for row in batch)
        if time.monotonic() - self.said >= SAVE_SECONDS:
            self._say()

    def end(self) -> None:
        """Say how it went."""
        if self.texts:
            self._say()

    def _say(self) -> None:
        self.said = time.monotonic()
        spent = max(self.said - self.started, 1e-9)
        left = spent * (self.tokens - self.done_tokens) / max(self.done_tokens, 1)
        if is_first_process():
            done, total = self.done_texts * self.count, self.texts * self.count
            about = "about " if self.count > 1 else ""
            print(
                f"{self.name}: {about}{done}/{total} texts  {done / spent:.1f} rows/s  "
                f"{spent:.0f} s, about {left:.0f} s left",
                flush=True,
            )
