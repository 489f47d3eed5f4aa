"""Jobs of scoring: finished work is kept until the result is written, several processes share it, progress is printed.

A job's finished scores lie in the job's state, which Snakemake does not know of. They are found again by what the job
is: the model's files, its entry, the texts and how they are put into batches. As the batches are the same whoever
computes them, so are the scores.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from pipeline.jobs.gathering import shared_state
from pipeline.jobs.partial import PartialResults
from pipeline.jobs.processes import is_first_process, own_share, processes
from pipeline.jobs.progress import Progress
from pipeline.jobs.provenance import code_fingerprint


def run_batches(model, inputs: list[dict], batches: list[list], kept: Path | None, name: str):
    """Scores of all texts, computed in this process and in those beside it, or found among those that were kept.

    Args:
        model: a `pipeline.rewards.scorer.RewardModel`.
        inputs: the texts' token ids.
        batches: as `pipeline.rewards.batches.plan_batches` makes them.
        kept: folder of finished scores, those of other jobs too.
        name: of the texts, for progress.

    Returns:
        {position of a text: score}; None in all processes but the first.
    """
    if kept is None:
        return {text: score for batch in batches for text, score in model.score_batch(batch, inputs).items()}
    rank, count = processes()
    folder = kept / job_key(model, inputs, batches)
    scores = PartialResults(folder)
    if scores.found and is_first_process():
        print(f"{name}: {scores.found} texts were scored before", flush=True)
    own = [batch for batch in own_share(batches) if not texts_of(batch) <= scores.values.keys()]
    texts, work = sum(len(texts_of(batch)) for batch in own), sum(map(tokens, own))
    progress = Progress(f"{name}: texts", texts, work=work, rate="rows/s")
    for batch in sorted(own, key=size, reverse=True):  # what does not fit into memory shows at once
        scores.add(model.score_batch(batch, inputs))
        progress.add(len(texts_of(batch)), tokens(batch))
    progress.tell()
    if count > 1:
        scores.save()
        shared_state(model.device.type).wait_for_everyone()
        return PartialResults(folder).values if rank == 0 else None
    return scores.values


def texts_of(batch: list) -> set[int]:
    """Positions of a batch's texts."""
    return {text for row in batch for text in row.texts}


def tokens(batch: list) -> int:
    """Tokens of a batch, without padding."""
    return sum(row.length for row in batch)


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
        "device": [model.torch_device.partition(":")[0], str(device.dtype), device.attention],
        "versions": [version("torch"), version("transformers")],
        "code": code_fingerprint("score_responses.py", {"text_format": model.text_format}),
        "batches": [[[row.texts, row.shared] for row in batch] for batch in batches],
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for text in inputs:
        digest.update(json.dumps(text, sort_keys=True).encode())
    return digest.hexdigest()[:32]
