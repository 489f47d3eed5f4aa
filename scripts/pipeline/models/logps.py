"""Log-probabilities of whole responses."""

import torch
from torch import Tensor

from pipeline.jobs.processes import gathered, own_share


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
        sequences = [prompts[i] + responses[i] for i in rows]
        width = max(map(len, sequences))
        input_ids = torch.full((len(rows), width), pad_token_id)
        attention_mask = torch.zeros((len(rows), width), dtype=torch.long)
        response_mask = torch.zeros((len(rows), width), dtype=torch.bool)
        for j, (i, ids) in enumerate(zip(rows, sequences, strict=True)):
            input_ids[j, : len(ids)] = torch.tensor(ids)
            attention_mask[j, : len(ids)] = 1
            response_mask[j, len(prompts[i]) : len(ids)] = True
        logits = model(input_ids=input_ids.to(device), attention_mask=attention_mask.to(device)).logits
        for i, value in zip(
            rows, _summed(logits, input_ids.to(device), response_mask.to(device)).tolist(), strict=True
        ):
            values[i] = value
    values = gathered(values, device.type)
    return [values[i] for i in range(len(prompts))]


def _summed(logits: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
    """Sum of the masked tokens' log-probabilities, shape (B,), float32, from logits of shape (B, T, V)."""
    logps = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    chosen = logps.gather(2, input_ids[:, 1:, None])[..., 0]
    return (chosen * mask[:, 1:]).sum(dim=1)
