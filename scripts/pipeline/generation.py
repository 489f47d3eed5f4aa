"""Responses of a policy to the prompts of a split."""

import numpy as np
import pandas as pd
import torch

from pipeline.devices import Device
from pipeline.templates import as_text, prompt_token_ids
from sail.rollouts import sample_responses

# The decoding whose responses follow the policy's own distribution.
PLAIN_SAMPLING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0}


def generate_responses(
    spec: dict, entry: dict, frame: pd.DataFrame, model, tokenizer, seed: int, device: Device
) -> pd.DataFrame:
    """One response per prompt.

    Args:
        spec: a decoding: do_sample, temperature, top_p, max_new_tokens.
        entry: the model entry.
        frame: prompt_id, prompt of a split.
        model, tokenizer: the policy, in eval mode, and its tokenizer.
        seed: of the sampling.

    Returns:
        prompt_id, prompt (as in the frame), response (text), response_ids (list of int32, the end of sequence
        included), response_tokens (int64, its length), finished (bool, whether it ended before max_new_tokens).
    """
    prompts = [prompt_token_ids(as_text(prompt), tokenizer, entry) for prompt in frame["prompt"]]
    ends = model.generation_config.eos_token_id
    eos_token_ids = sorted({tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None})
    torch.manual_seed(seed)
    responses = sample_responses(
        model,
        prompts,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_ids=eos_token_ids,
        max_new_tokens=spec["max_new_tokens"],
        temperature=spec["temperature"],
        top_p=spec["top_p"],
        batch_size=device.batch_sizes["generate"],
        do_sample=spec["do_sample"],
    )
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
