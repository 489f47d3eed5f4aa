"""Generation by transformers in batches; the responses are the same whatever the number of processes."""

import hashlib

import torch

from pipeline.generation.sampling import Sampling
from pipeline.jobs.pieces import Pieces, random_state, restore_random_state
from pipeline.jobs.processes import own_share
from pipeline.models.templates import prompt_token_ids
from sail.generation import sample_responses

# Prompts that share a stream of random numbers; processes share the streams.
STREAM = 512


def generate(sampling: Sampling) -> dict[int, list[int]]:
    """Token ids of this process's share of the responses by their positions, by transformers' batched generation."""
    prompts = [prompt_token_ids(text, sampling.tokenizer, sampling.entry) for text in sampling.texts]
    # The order in which `sample_responses` takes them, so that what is one stream alone is one here.
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    size = sampling.device.batch_sizes["generate"]
    sampled: dict[int, list[int]] = {}
    for stream, start in own_share(list(enumerate(range(0, len(order), STREAM)))):
        rows = order[start : start + STREAM]
        batches = [rows[first : first + size] for first in range(0, len(rows), size)]
        pieces = Pieces(sampling.kept and sampling.kept / str(stream))
        if pieces.state:
            print(f"{len(pieces.values)} of {len(batches)} batches of responses were generated before", flush=True)
            restore_random_state(pieces.state)
        else:
            torch.manual_seed(stream_seed(sampling.seed, stream))
        for batch in batches[len(pieces.values) :]:
            responses = sample_responses(
                sampling.model,
                [prompts[row] for row in batch],
                pad_token_id=sampling.tokenizer.pad_token_id,
                eos_token_ids=sampling.eos_token_ids,
                max_new_tokens=sampling.decoding["max_new_tokens"],
                temperature=sampling.decoding["temperature"],
                top_p=sampling.decoding["top_p"],
                batch_size=size,
                do_sample=sampling.decoding["do_sample"],
            )
            pieces.add(responses, random_state)
        sampled |= zip(rows, (ids for piece in pieces.all() for ids in piece), strict=True)
    return sampled


def stream_seed(seed: int, stream: int) -> int:
    """The seed of a stream of random numbers: the first has the run's own, the others have 64 bits of a hash."""
    if not stream:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{stream}".encode()).digest()[:8], "big") >> 1
