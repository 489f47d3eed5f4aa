"""The responses to each prompt in the order of their scores."""

import numpy as np
import pandas as pd


def ranked(candidates: pd.DataFrame, missing_eos_penalty: float | None = None) -> pd.DataFrame:
    """Candidates, those of each prompt from the best to the worst; of equal ones the earlier candidate is better.

    Args:
        candidates: prompt_id, candidate, response_score, finished, and more.
        missing_eos_penalty: taken off the score of a response that was cut before its end, for the order alone.

    Returns:
        The same rows, prompts in the order in which they first stand.
    """
    cut = (~candidates["finished"].to_numpy(dtype=bool)).astype(float)
    scores = candidates["response_score"].to_numpy(dtype=float) - (missing_eos_penalty or 0.0) * cut
    places = pd.factorize(candidates["prompt_id"])[0]
    order = np.lexsort((candidates["candidate"].to_numpy(), -scores, places))
    return candidates.iloc[order].reset_index(drop=True)


def best(candidates: pd.DataFrame, missing_eos_penalty: float | None = None) -> pd.DataFrame:
    """The best candidate of each prompt, see `ranked`."""
    return ranked(candidates, missing_eos_penalty).drop_duplicates("prompt_id").reset_index(drop=True)
