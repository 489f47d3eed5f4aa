"""Responses of a policy to the prompts of a split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.responses import RESPONSE_COLUMNS
from pipeline.generation.sampling import Sampling
from pipeline.jobs.gathering import gathered
from pipeline.jobs.parts import load_part
from pipeline.models.devices import Device
from pipeline.models.manners import end_token_ids
from pipeline.models.templates import answer_of, as_text

# The decoding whose responses follow the policy's own distribution.
PLAIN_SAMPLING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0}


def generate_responses(
    spec: dict,
    entry: dict,
    frame: pd.DataFrame,
    model,
    tokenizer,
    seed: int,
    device: Device,
    path: str | None = None,
    kept: Path | None = None,
    draws: Sequence[int] | None = None,
) -> pd.DataFrame:
    """One response per prompt; all processes have them in the end.

    By transformers, the default, they are the same whatever the number of processes.

    Args:
        spec: a decoding: do_sample, temperature, top_p, max_new_tokens, backend.
        entry: the model entry.
        frame: prompt_id, prompt of a split.
        model, tokenizer: the policy, in eval mode, and its tokenizer.
        seed: of the sampling.
        path: the policy's folder, for other backends than transformers.
        kept: folder for finished responses, from which a killed job continues; vLLM in this process begins again.
        draws: see `pipeline.generation.sampling.Sampling`.

    Returns:
        prompt_id, prompt (as in the frame), response (text, without thoughts before the answer), response_ids (list of
        int32, thoughts and the end of sequence included), response_tokens (int64, its length), finished (bool, whether
        it ended before max_new_tokens).
    """
    eos_token_ids = end_token_ids(model, tokenizer, entry)
    texts = [as_text(prompt) for prompt in frame["prompt"]]
    sampling = Sampling(spec, entry, texts, model, tokenizer, path, seed, device, eos_token_ids, kept, draws)
    own = load_part("backends", spec.get("backend", "transformers"), "generate").generate(sampling)
    own = gathered(own, device.type)
    responses = [own[row] for row in range(len(texts))]
    written = [tokenizer.decode(ids, skip_special_tokens=True) for ids in responses]
    table = {
        "prompt_id": frame["prompt_id"],
        "prompt": frame["prompt"],
        "response": [answer_of(text.strip(), tokenizer, entry) for text in written],
        "response_ids": [np.array(ids, dtype="int32") for ids in responses],
        "response_tokens": [len(ids) for ids in responses],
        "finished": [ids[-1] in eos_token_ids for ids in responses],
    }
    return pd.DataFrame(table)[RESPONSE_COLUMNS]
