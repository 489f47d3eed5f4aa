"""Log-probabilities of whole responses."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.jobs.gathering import gathered
from pipeline.jobs.processes import own_share


@torch.no_grad()
def response_logps(
    model, prompts: list[list[int]], responses: list[list[int]], pad_token_id: int, batch_size: int
) -> list[float]:
    """log π(response | prompt) in nats, summed over the response's tokens; several processes share the batches.

    Args:
        model: a causal language model in eval mode.
        prompts, responses: token ids; an end of sequence that belongs to a response is in its ids.
        pad_token_id: any id; padding is masked.
        batch_size: sequences side by side; similar lengths go together.

    Returns:
        One number per pair, in their order.
    """
    device = next(model.parameters()).device
    values: dict[int, float] = {}
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]) + len(responses[i]))
    for start in own_share(range(0, len(order), batch_size)):
        rows = order[start : start + batch_size]
        sequences = [torch.tensor(prompts[i] + responses[i]) for i in rows]
        masks = [torch.arange(len(ids)) >= len(prompts[i]) for i, ids in zip(rows, sequences, strict=True)]
        input_ids = pad_sequence(sequences, batch_first=True, padding_value=pad_token_id).to(device)
        attention_mask = pad_sequence([torch.ones_like(ids) for ids in sequences], batch_first=True).to(device)
        response_mask = pad_sequence(masks, batch_first=True).to(device)
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits
        values |= zip(rows, _summed(logits, input_ids, response_mask).tolist(), strict=True)
    values = gathered(values, device.type)
    return [values[i] for i in range(len(prompts))]


def _summed(logits: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
    """Sum of the masked tokens' log-probabilities, shape (B,), float32, from logits of shape (B, T, V)."""
    logps = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    chosen = logps.gather(2, input_ids[:, 1:, None])[..., 0]
    return (chosen * mask[:, 1:]).sum(dim=1)
