"""Log-probabilities of whole responses, without the logits of all their tokens at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from pipeline.jobs.gathering import gathered
from pipeline.jobs.processes import own_share

# Logits of so many entries are there at a time: 128 MiB of float32.
MOST_LOGITS = 2**25
# With a vocabulary of at most so many, the logits of a batch are no larger than what a layer computes, and stay whole.
SMALL_VOCABULARY = 1024


@torch.no_grad()
def response_logps(
    model, prompts: list[list[int]], responses: list[list[int]], pad_token_id: int, batch_size: int
) -> list[float]:
    """log π(response | prompt) in nats, summed over the response's tokens; several processes share the batches.

    Args:
        model: a causal language model in eval mode, or LoRA adapters on one.
        prompts, responses: token ids; an end of sequence that belongs to a response is in its ids.
        pad_token_id: any id; padding is masked.
        batch_size: sequences side by side; similar lengths go together.

    Returns:
        One number per pair, in their order.
    """
    device = next(model.parameters()).device
    model = model.get_base_model() if hasattr(model, "peft_config") else model
    values: dict[int, float] = {}
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]) + len(responses[i]))
    for start in own_share(range(0, len(order), batch_size)):
        rows = order[start : start + batch_size]
        sequences = [torch.tensor(prompts[i] + responses[i]) for i in rows]
        masks = [torch.arange(len(ids)) >= len(prompts[i]) for i, ids in zip(rows, sequences, strict=True)]
        input_ids = pad_sequence(sequences, batch_first=True, padding_value=pad_token_id).to(device)
        attention_mask = pad_sequence([torch.ones_like(ids) for ids in sequences], batch_first=True).to(device)
        response_mask = pad_sequence(masks, batch_first=True).to(device)
        sums = _sums(model, input_ids, attention_mask, response_mask)
        values |= zip(rows, sums.tolist(), strict=True)
    values = gathered(values, device.type)
    return [values[i] for i in range(len(prompts))]


def _sums(model, input_ids: Tensor, attention_mask: Tensor, mask: Tensor) -> Tensor:
    """Sum of the masked tokens' log-probabilities, shape (B,), float32; all arguments have the shape (B, T).

    Which way is taken depends on the model alone, so that a sum does not depend on what else is in the batch.
    """
    vocabulary = model.config.get_text_config().vocab_size
    if vocabulary <= SMALL_VOCABULARY:
        return _of_logits(model(input_ids=input_ids, attention_mask=attention_mask).logits, input_ids, mask)
    if (trunk := model.base_model) is model:
        # Where its layers end is not known: a few rows at a time have their logits whole.
        rows = max(MOST_LOGITS // (vocabulary * input_ids.shape[1]), 1)
        parts = zip(*(part.split(rows) for part in (input_ids, attention_mask, mask)), strict=True)
        return torch.cat([_of_logits(model(input_ids=a, attention_mask=b).logits, a, c) for a, b, c in parts])
    outputs = trunk(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
    wanted, tokens = mask[:, 1:], input_ids[:, 1:][mask[:, 1:]]
    hidden = outputs.last_hidden_state[:, :-1][wanted]
    size = max(MOST_LOGITS // vocabulary, 1)
    chosen = [
        _chosen(_head(model, trunk, outputs, part), ids)
        for part, ids in zip(hidden.split(size), tokens.split(size), strict=True)
    ]
    logps = torch.zeros(wanted.shape, device=input_ids.device)
    return logps.masked_scatter(wanted, torch.cat(chosen)).sum(dim=1)


def _of_logits(logits: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
    """The same from logits of shape (B, T, V)."""
    return (_chosen(logits[:, :-1], input_ids[:, 1:]) * mask[:, 1:]).sum(dim=1)


def _chosen(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probabilities of tokens, shape (...), from logits of shape (..., V)."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens[..., None])[..., 0]


def _head(model, trunk: nn.Module, outputs, hidden: Tensor) -> Tensor:
    """The logits, shape (N, V), that a model makes of its trunk's hidden states, shape (N, H).

    It is the model's own forward, with whatever it does to logits besides a multiplication (caps, scales), that is
    given these hidden states in place of its trunk's.

    Args:
        outputs: what the trunk gave for the batch that the hidden states are from.
    """
    given = type(outputs)(**{**outputs, "last_hidden_state": hidden[None]})
    with _answering(trunk, given):
        tokens = torch.zeros((1, len(hidden)), dtype=torch.long, device=hidden.device)
        return model(input_ids=tokens).logits[0]


@contextmanager
def _answering(module: nn.Module, answer) -> Iterator[None]:
    """Let a module give an answer that is known already; a hook that stood in its place comes back."""
    before = vars(module).get("forward")
    module.forward = lambda *args, **kwargs: answer
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before
