"""Responses of a policy to the prompts of a split."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.columns.responses import RESPONSE_COLUMNS
from pipeline.jobs.pieces import Pieces, random_state, restore_random_state
from pipeline.jobs.processes import gathered, is_first_process, own_share, processes
from pipeline.models.devices import Device
from pipeline.models.templates import Text, as_text, prompt_token_ids
from sail.generation import sample_responses

# The decoding whose responses follow the policy's own distribution.
PLAIN_SAMPLING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0}

# Prompts that share a stream of random numbers; processes share the streams.
STREAM = 512


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

    Returns:
        prompt_id, prompt (as in the frame), response (text), response_ids (list of int32, the end of sequence
        included), response_tokens (int64, its length), finished (bool, whether it ended before max_new_tokens).
    """
    texts = [as_text(prompt) for prompt in frame["prompt"]]
    ends = model.generation_config.eos_token_id
    eos_token_ids = sorted({tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None})
    backend = spec.get("backend", "transformers")
    if backend == "server":
        from pipeline.generation.server import ServedPolicy

        rows, place = own_share(range(len(texts))), kept and kept / f"served-{processes()[0]}"
        policy = ServedPolicy(path, tokenizer, entry, device)
        served = policy.respond(spec, [texts[row] for row in rows], seed, eos_token_ids, place)
        own = dict(zip(rows, served, strict=True))
    elif backend == "vllm":
        from pipeline.generation.server import request_seed
        from pipeline.generation.vllm import vllm_responses

        rows = range(len(texts)) if is_first_process() else []  # it has no part in accelerate's processes
        prompts = [prompt_token_ids(texts[row], tokenizer, entry) for row in rows]
        seeds = [request_seed(seed, texts[row]) for row in rows]
        own = dict(zip(rows, vllm_responses(spec, prompts, path, entry, seeds, device) if rows else [], strict=True))
    else:
        own = sampled_responses(spec, entry, texts, model, tokenizer, seed, device, eos_token_ids, kept)
    responses = gathered(own, device.type)
    return response_table(frame, [responses[row] for row in range(len(texts))], tokenizer, eos_token_ids)


def sampled_responses(
    spec: dict,
    entry: dict,
    texts: list[Text],
    model,
    tokenizer,
    seed: int,
    device: Device,
    eos_token_ids: list[int],
    kept: Path | None = None,
) -> dict[int, list[int]]:
    """Token ids of this process's share of the responses by their positions, by transformers' batched generation."""
    prompts = [prompt_token_ids(text, tokenizer, entry) for text in texts]
    # The order in which `sample_responses` takes them, so that what is one stream alone is one here.
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    size = device.batch_sizes["generate"]
    sampled: dict[int, list[int]] = {}
    for stream, start in own_share(list(enumerate(range(0, len(order), STREAM)))):
        rows = order[start : start + STREAM]
        batches = [rows[first : first + size] for first in range(0, len(rows), size)]
        pieces = Pieces(kept and kept / str(stream))
        if pieces.state:
            print(f"{len(pieces.values)} of {len(batches)} batches of responses were generated before", flush=True)
            restore_random_state(pieces.state)
        else:
            torch.manual_seed(stream_seed(seed, stream))
        for batch in batches[len(pieces.values) :]:
            responses = sample_responses(
                model,
                [prompts[row] for row in batch],
                pad_token_id=tokenizer.pad_token_id,
                eos_token_ids=eos_token_ids,
                max_new_tokens=spec["max_new_tokens"],
                temperature=spec["temperature"],
                top_p=spec["top_p"],
                batch_size=size,
                do_sample=spec["do_sample"],
            )
            pieces.add(responses, random_state)
        sampled |= zip(rows, (ids for piece in pieces.all() for ids in piece), strict=True)
    return sampled


def stream_seed(seed: int, stream: int) -> int:
    """The seed of a stream of random numbers: the first has the run's own, the others have 64 bits of a hash."""
    if not stream:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{stream}".encode()).digest()[:8], "big") >> 1


def response_table(frame: pd.DataFrame, responses: list[list[int]], tokenizer, eos_token_ids: list[int]):
    """The table of responses that `generate_responses` returns, from their token ids in the frame's order."""
    table = pd.DataFrame(
        {
            "prompt_id": frame["prompt_id"],
            "prompt": frame["prompt"],
            "response": [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in responses],
            "response_ids": [np.array(ids, dtype="int32") for ids in responses],
            "response_tokens": [len(ids) for ids in responses],
            "finished": [ids[-1] in eos_token_ids for ids in responses],
        }
    )
    return table[RESPONSE_COLUMNS]
