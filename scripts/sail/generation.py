"""Responses sampled from a causal language model.

Token ids all the way: a response is the list of ids that the policy sampled, its end-of-sequence token included, or
cut at the length limit without one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from transformers import GenerationConfig

SAMPLING = ("temperature", "top_p", "top_k")

# Tokens after which ended sequences leave the batch.
TOKENS_PER_CALL = 8
# Prompts are filled up to multiples of so many tokens where the cache has one shape.
WIDTHS = 64


def sample_responses(
    model,
    prompts: list[list[int]],
    *,
    pad_token_id: int,
    eos_token_ids: list[int],
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    batch_size: int,
    do_sample: bool = True,
    on_ended: Callable[[int], None] | None = None,
    cache_implementation: str | None = None,
) -> list[list[int]]:
    """One response per prompt, as token ids: sampled, or greedy with `do_sample=False`.

    Args:
        model: a causal language model in eval mode.
        prompts: token ids, of any lengths; padded on the left.
        batch_size: prompts generated side by side; similar lengths go together.
        on_ended: told after every few tokens how many responses have ended meanwhile, none too.
        cache_implementation: a cache of transformers' by name, such as static, which has one shape and stays with all
            sequences to the end.

    Returns:
        A response per prompt, in the prompts' order: ids up to and with the first end of sequence, or max_new_tokens.
    """
    responses: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    device = next(model.parameters()).device
    decoding = {
        "do_sample": do_sample,
        **({"temperature": temperature, "top_p": top_p, "top_k": 0} if do_sample else {}),
        "pad_token_id": pad_token_id,
        "eos_token_id": eos_token_ids,
    }
    generate = _generate
    if cache_implementation is not None:
        generate, decoding["cache_implementation"] = _generate_whole, cache_implementation
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        width, height = max(len(prompts[row]) for row in rows), len(rows)
        if cache_implementation is not None:  # of few shapes, for each of which kernels are compiled
            width, height = -(-width // WIDTHS) * WIDTHS, min(batch_size, len(order))
        input_ids = torch.full((height, width), pad_token_id)
        attention_mask = torch.zeros((height, width), dtype=torch.long)
        attention_mask[len(rows) :, -1] = 1
        for i, row in enumerate(rows):
            input_ids[i, width - len(prompts[row]) :] = torch.tensor(prompts[row])
            attention_mask[i, width - len(prompts[row]) :] = 1
        inputs = input_ids.to(device), attention_mask.to(device)
        with _no_decoding_of_its_own(model.generation_config):
            generated = generate(model, *inputs, max_new_tokens, eos_token_ids, decoding, on_ended)
        for row, ids in zip(rows, generated[: len(rows)], strict=True):
            responses[row] = ids
        if on_ended and cache_implementation is not None:
            on_ended(len(rows))
    return responses


@contextmanager
def _no_decoding_of_its_own(configured: GenerationConfig) -> Iterator[None]:
    """Empty a model's generation config meanwhile: `generate` fills from it whatever a call does not name.

    It is the object itself that is emptied, as wrappers such as PEFT's hand it on.
    """
    fields, kept = vars(configured), dict(vars(configured))
    fields.clear()
    fields.update(vars(GenerationConfig()))
    try:
        yield
    finally:
        fields.clear()
        fields.update(kept)


@torch.no_grad()
def _generate(
    model,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    max_new_tokens: int,
    eos_token_ids: list[int],
    decoding: dict,
    on_ended: Callable[[int], None] | None,
) -> list[list[int]]:
    """The responses of one batch; sequences that have ended leave it, with their part of the key-value cache.

    `generate` alone carries every ended sequence along until the longest has ended too. Here it is called for
    TOKENS_PER_CALL tokens at a time and goes on from its own cache with the rows that have not ended.

    Args:
        input_ids, attention_mask: (batch, width), padded on the left.
        decoding: further arguments of `generate`.
    """
    responses: list[list[int]] = [[] for _ in range(len(input_ids))]
    open_rows = list(range(len(input_ids)))
    cache, made = _shared_cache(model, input_ids, attention_mask, decoding), 0
    while open_rows and made < max_new_tokens:
        tokens = min(TOKENS_PER_CALL, max_new_tokens - made)
        output = model.generate(
            input_ids=input_ids,
            attention_mask=attention_mask,
            past_key_values=cache,
            max_new_tokens=tokens,
            return_dict_in_generate=True,
            **decoding,
        )
        fresh = output.sequences[:, input_ids.shape[1] :]
        made += tokens
        kept = []
        for i, (row, ids) in enumerate(zip(open_rows, fresh.tolist(), strict=True)):
            responses[row] += cut_at_end(ids, eos_token_ids)
            if responses[row][-1] not in eos_token_ids:
                kept.append(i)
        if on_ended:
            on_ended(len(open_rows) - (len(kept) if made < max_new_tokens else 0))
        open_rows = [open_rows[i] for i in kept]
        cache = output.past_key_values
        input_ids, attention_mask = output.sequences, torch.cat([attention_mask, torch.ones_like(fresh)], dim=1)
        if open_rows and len(kept) < len(input_ids):
            index = torch.tensor(kept, device=input_ids.device)
            input_ids, attention_mask = input_ids[index], attention_mask[index]
            cache.batch_select_indices(index)
    return responses


@torch.no_grad()
def _generate_whole(
    model,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    max_new_tokens: int,
    eos_token_ids: list[int],
    decoding: dict,
    on_ended: Callable[[int], None] | None,
) -> list[list[int]]:
    """The same in one call, in which sequences that have ended stay until the longest has; `on_ended` is not told."""
    ids = model.generate(input_ids=input_ids, attention_mask=attention_mask, max_new_tokens=max_new_tokens, **decoding)
    return [cut_at_end(row, eos_token_ids) for row in ids[:, input_ids.shape[1] :].tolist()]


def _shared_cache(model, input_ids: torch.Tensor, attention_mask: torch.Tensor, decoding: dict):
    """The key-value cache of all but the last token of each prompt, equal prompts computed once; None if none are.

    Both responses of a pair have one prompt.
    """
    distinct, places = torch.cat([input_ids, attention_mask], dim=1).unique(dim=0, return_inverse=True)
    if len(distinct) == len(input_ids) or input_ids.size(1) < 2 or not attention_mask[:, -2].all():
        return None
    ids, mask = (part[:, :-1] for part in distinct.chunk(2, dim=1))
    greedy = {key: value for key, value in decoding.items() if key not in SAMPLING} | {"do_sample": False}
    output = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=1, return_dict_in_generate=True, **greedy
    )
    output.past_key_values.batch_select_indices(places)
    return output.past_key_values


def cut_behind_end(ids: list[int], eos_token_ids: list[int]) -> list[int]:
    """The ids up to and with the last end-of-sequence token; all of them where there is none.

    A chat template may write something behind the end of a response, which no sampled response has.
    """
    last = next((i for i in reversed(range(len(ids))) if ids[i] in eos_token_ids), len(ids))
    return ids[: last + 1]


def cut_at_end(ids: list[int], eos_token_ids: list[int]) -> list[int]:
    """The ids up to and with the first end-of-sequence token; all of them where there is none."""
    end = next((i for i, token in enumerate(ids) if token in eos_token_ids), len(ids))
    return ids[: end + 1]
