"""Responses of a policy to the prompts of a split."""

import hashlib

import numpy as np
import pandas as pd
import torch

from pipeline.devices import Device
from pipeline.processes import gathered, own_share
from pipeline.templates import as_text, prompt_token_ids
from sail.rollouts import sample_responses

# The decoding whose responses follow the policy's own distribution.
PLAIN_SAMPLING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0}

# Prompts that share a stream of random numbers; processes share the streams.
STREAM = 512


def generate_responses(
    spec: dict, entry: dict, frame: pd.DataFrame, model, tokenizer, seed: int, device: Device
) -> pd.DataFrame:
    """One response per prompt, the same whatever the number of processes; all processes have them in the end.

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
    # The order in which `sample_responses` takes them, so that what is one stream alone is one here.
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    streams = list(enumerate(order[start : start + STREAM] for start in range(0, len(order), STREAM)))
    sampled: dict[int, list[int]] = {}
    for stream, rows in own_share(streams):
        torch.manual_seed(stream_seed(seed, stream))
        responses = sample_responses(
            model,
            [prompts[row] for row in rows],
            pad_token_id=tokenizer.pad_token_id,
            eos_token_ids=eos_token_ids,
            max_new_tokens=spec["max_new_tokens"],
            temperature=spec["temperature"],
            top_p=spec["top_p"],
            batch_size=device.batch_sizes["generate"],
            do_sample=spec["do_sample"],
        )
        sampled |= dict(zip(rows, responses, strict=True))
    sampled = gathered(sampled, device.type)
    return response_table(frame, [sampled[row] for row in range(len(prompts))], tokenizer, eos_token_ids)


def stream_seed(seed: int, stream: int) -> int:
    """The seed of a stream of random numbers: the first has the run's own, the others have 64 bits of a hash."""
    if not stream:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{stream}".encode()).digest()[:8], "big") >> 1


def response_table(frame: pd.DataFrame, responses: list[list[int]], tokenizer, eos_token_ids: list[int]):
    """The table of responses that `generate_responses` returns, from their token ids in the frame's order."""
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
