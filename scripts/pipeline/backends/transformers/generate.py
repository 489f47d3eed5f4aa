"""Generation by transformers in batches; the responses are the same whatever the number of processes."""

import hashlib

import torch

from pipeline.generation.sampling import Sampling
from pipeline.jobs.partial import PartialResults, random_state, restore_random_state
from pipeline.jobs.processes import own_share
from pipeline.jobs.progress import Progress
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
    streams = own_share([(start // STREAM, order[start : start + STREAM]) for start in range(0, len(order), STREAM)])
    progress = Progress("responses", sum(len(rows) for _, rows in streams), len(order))
    decoding = {key: sampling.decoding[key] for key in ("do_sample", "temperature", "top_p", "max_new_tokens")}
    sampled: dict[int, list[int]] = {}
    for stream, rows in streams:
        batches = [rows[first : first + size] for first in range(0, len(rows), size)]
        finished = PartialResults(sampling.kept and sampling.kept / str(stream))
        if finished.state:
            waiting = [batch for batch in batches if batch[0] not in finished.values]
            done = len(batches) - len(waiting)
            print(f"{done} of {len(batches)} batches of responses were generated before", flush=True)
            progress.add_found(finished.found)
            restore_random_state(finished.state)
            batches = waiting
        else:
            torch.manual_seed(stream_seed(sampling.seed, stream))
        for batch in batches:
            responses = sample_responses(
                sampling.model,
                [prompts[row] for row in batch],
                pad_token_id=sampling.tokenizer.pad_token_id,
                eos_token_ids=sampling.eos_token_ids,
                batch_size=size,
                on_ended=progress.add,
                cache_implementation=sampling.device.cache_implementation,
                **decoding,
            )
            finished.add(dict(zip(batch, responses, strict=True)), random_state)
        sampled |= finished.values
    return sampled


def stream_seed(seed: int, stream: int) -> int:
    """The seed of a stream of random numbers: the first has the run's own, the others have 64 bits of a hash."""
    if not stream:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{stream}".encode()).digest()[:8], "big") >> 1
