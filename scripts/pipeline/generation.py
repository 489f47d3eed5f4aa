"""Responses of a policy to the prompts of a split."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.devices import Device
from pipeline.pieces import Pieces, random_state, restore_random_state
from pipeline.templates import as_text, prompt_token_ids
from sail.rollouts import sample_responses

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
    kept: Path | None = None,
) -> pd.DataFrame:
    """One response per prompt.

    Args:
        spec: a decoding: do_sample, temperature, top_p, max_new_tokens.
        entry: the model entry.
        frame: prompt_id, prompt of a split.
        model, tokenizer: the policy, in eval mode, and its tokenizer.
        seed: of the sampling.
        kept: folder for finished batches, from which a killed job continues.

    Returns:
        prompt_id, prompt (as in the frame), response (text), response_ids (list of int32, the end of sequence
        included), response_tokens (int64, its length), finished (bool, whether it ended before max_new_tokens).
    """
    prompts = [prompt_token_ids(as_text(prompt), tokenizer, entry) for prompt in frame["prompt"]]
    ends = model.generation_config.eos_token_id
    eos_token_ids = sorted({tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None})
    pieces = Pieces(kept)
    if pieces.state:
        print(f"{len(pieces.values)} batches of responses were generated before", flush=True)
        restore_random_state(pieces.state)
    else:
        torch.manual_seed(seed)
    batch_size = device.batch_sizes["generate"]
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    for batch in batches[len(pieces.values) :]:
        sampled = sample_responses(
            model,
            [prompts[row] for row in batch],
            pad_token_id=tokenizer.pad_token_id,
            eos_token_ids=eos_token_ids,
            max_new_tokens=spec["max_new_tokens"],
            temperature=spec["temperature"],
            top_p=spec["top_p"],
            batch_size=batch_size,
            do_sample=spec["do_sample"],
        )
        pieces.add(sampled, random_state)
    answered = dict(zip(order, (ids for piece in pieces.all() for ids in piece), strict=True))
    responses = [answered[row] for row in range(len(prompts))]
    return pd.DataFrame(
        {
            "prompt_id": frame["prompt_id"],
            "prompt": frame["prompt"],
            "response": [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in responses],
            "response_ids": [np.array(ids, dtype="int32") for ids in responses],
            "response_tokens": [len(ids) for ids in responses],
            "finished": [ids[-1] in eos_token_ids for ids in responses],
        }
    )
