"""Plain samples of a policy's checkpoints, with what their KL divergence from the reference is computed from."""

from pathlib import Path

import pandas as pd

from pipeline.generation.responses import PLAIN_SAMPLING, generate_responses
from pipeline.models.checkpoints import load_evaluated, load_tokenizer
from pipeline.models.devices import Device
from pipeline.models.fitting import cache_bytes, fitted, forward_bytes, free
from pipeline.models.logps import response_logps
from pipeline.models.templates import as_text, prompt_token_ids


def sample_checkpoints(
    spec: dict, frame: pd.DataFrame, places: dict[int, str], start: str, seed: int, device: Device, kept: Path
) -> pd.DataFrame:
    """One response per checkpoint and prompt, sampled at temperature 1.

    Args:
        spec: {model: entry, decoding}.
        frame: prompt_id, prompt.
        places: {step: the checkpoint's folder or hub id}.
        start: the reference.
        seed: of the sampling, the same for every checkpoint.
        kept: folder for finished responses, from which a killed job continues.

    Returns:
        step, prompt_id, response, response_tokens, response_logps, ref_response_logps (nats, summed over the response).
    """
    entry, decoding = spec["model"], spec["decoding"] | PLAIN_SAMPLING
    tokenizer = load_tokenizer(start, entry)
    base = load_evaluated(start, entry, device)
    prompts = [prompt_token_ids(as_text(prompt), tokenizer, entry) for prompt in frame["prompt"]]
    longest = max(map(len, prompts)) + decoding["max_new_tokens"]
    tables = []
    for step, place in places.items():
        policy = base if place == start else load_evaluated(place, entry, device)
        if not tables:  # rows get what both models leave
            device = fitted(device, "generate", kept, lambda: cache_bytes(base, longest))
            device = fitted(device, "reference", kept, lambda: forward_bytes(base, longest))
        found = generate_responses(
            decoding, entry, frame, policy, tokenizer, seed, device, place, kept / f"responses-{step}"
        )
        ids = [list(map(int, response)) for response in found["response_ids"]]
        table = found[["prompt_id", "response", "response_tokens"]].assign(step=step)
        scored = prompts, ids, tokenizer.pad_token_id, device.batch_sizes["reference"]
        table["response_logps"] = response_logps(policy, *scored)
        table["ref_response_logps"] = table["response_logps"] if policy is base else response_logps(base, *scored)
        tables.append(table)
        del policy  # before the next one is loaded
        free()
        length = table["response_tokens"].mean()
        print(f"step {step}: {len(table)} responses of {length:.1f} tokens on average", flush=True)
    return pd.concat(tables, ignore_index=True)
