"""Several responses of a policy to each prompt, and a reward model's scores of them."""

from pathlib import Path

import pandas as pd

from pipeline.columns.candidates import CANDIDATE_COLUMNS
from pipeline.generation.responses import generate_responses
from pipeline.jobs.io import read_parquet, write_parquet
from pipeline.jobs.processes import is_first_process
from pipeline.models.checkpoints import load_evaluated, load_tokenizer
from pipeline.models.devices import Device
from pipeline.models.fitting import cache_bytes, fitted, free
from pipeline.models.templates import as_text
from pipeline.rewards.finite import check_finite
from pipeline.rewards.scorer import RewardModel


def sample_candidates(
    n: int,
    spec: dict,
    entry: dict,
    frame: pd.DataFrame,
    model,
    tokenizer,
    seed: int,
    device: Device,
    path: str | None = None,
    kept: Path | None = None,
) -> pd.DataFrame:
    """n responses to each prompt, each by random numbers of its own; all processes have them in the end.

    Args:
        spec, entry, model, tokenizer, seed, device, path, kept: as `generate_responses` takes them.
        frame: prompt_id, prompt; each prompt_id once.

    Returns:
        As `generate_responses` gives them, and candidate: 0 to n − 1 within each prompt.
    """
    prompts = frame.loc[frame.index.repeat(n)].reset_index(drop=True)
    numbers = [*range(n)] * len(frame)
    found = generate_responses(spec, entry, prompts, model, tokenizer, seed, device, path, kept, numbers)
    return found.assign(candidate=numbers)


def kept_candidates(
    spec: dict, frame: pd.DataFrame, path: str, seed: int, device: Device, folder: Path
) -> pd.DataFrame:
    """Candidates of a checkpoint, kept in a folder until they are scored.

    Args:
        spec: {n, model: entry, decoding, max_length}.
        frame: prompt_id, prompt; each prompt_id once.
        path: the checkpoint, folder or hub id.
        folder: the job's state.

    Returns:
        As `sample_candidates`; by the first process alone, where it is sampled now.
    """
    file = folder / "sampled.parquet"
    if not file.is_file():
        entry, decoding = spec["model"], spec["decoding"]
        tokenizer, policy = load_tokenizer(path, entry), load_evaluated(path, entry, device)
        longest = spec["max_length"] + decoding["max_new_tokens"]
        elsewhere = decoding["backend"] != "transformers"  # then these are requests at a time
        fits = fitted(device, "generate", folder, lambda: 0 if elsewhere else cache_bytes(policy, longest))
        given = policy, tokenizer, seed, fits, path, folder / "responses"
        table = sample_candidates(spec["n"], decoding, entry, frame, *given)
        if not is_first_process():
            return table
        write_parquet(table, file)
        del policy, given  # before the reward model is loaded
        free()
    return read_parquet(file)


def score_candidates(table: pd.DataFrame, model: RewardModel, kept: Path, name: str) -> pd.DataFrame | None:
    """Candidates with their scores, columns CANDIDATE_COLUMNS.

    Args:
        kept: folder for finished scores, from which a killed job continues and in which several processes meet.
        name: of the table, for messages.

    Returns:
        None in all processes but the first.

    Raises:
        InputError: a score is no finite number.
    """
    prompts = [as_text(prompt) for prompt in table["prompt"]]
    scores = model.score_once(prompts, table["response"].tolist(), kept, name)
    if scores is None:
        return None
    check_finite(scores, name)
    return table.assign(response_score=scores)[CANDIDATE_COLUMNS]
