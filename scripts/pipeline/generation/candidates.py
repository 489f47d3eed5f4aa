"""Several responses of a policy to each prompt, and a reward model's scores of them."""

from pathlib import Path

import pandas as pd

from pipeline.columns.candidates import CANDIDATE_COLUMNS
from pipeline.generation.responses import generate_responses
from pipeline.models.devices import Device
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
