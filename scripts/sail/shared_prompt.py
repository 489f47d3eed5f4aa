"""A pair's prompt computed once: the policy gets a row for each pair, in place of one for each response.

A row is the chosen sequence, followed by what of the rejected one is not the same:

    p1 p2 p3 c1 c2 p3 r1 r2 r3        prompt p1 p2 p3, responses c1 c2 and r1 r2 r3
    0  1  2  3  4  2  3  4  5         positions
    0  0  1  1  1  2  2  2  2         branches

A token sees those before it in its own branch and in branch 0, the shared one. The last token that is shared stands in
both branches, as another one follows it in each. What comes out is put back into the shape that the trainer reads.
"""

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from sail.internals import attention_of, keeps_state

# Of the outputs of TRL's fused head, those with a number for each token.
PER_TOKEN = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
IGNORED = -100  # label of what is no response's token
OWN_ATTENTION = "sdpa_or_flex"
BLOCK = 128  # rows are filled up to its multiples on a GPU: FlexAttention's blocks
# How far, relative to it, the log-probability of a response may be off in the trial: in float32, with half precision.
TOLERANCE = (1e-3, 5e-2)


def _sdpa_or_flex(module, query, key, value, attention_mask, **kwargs):
    """FlexAttention for what has a block mask, SDPA for all else: the reference's and generation's passes."""
    attend = flex_attention_forward if isinstance(attention_mask, BlockMask) else sdpa_attention_forward
    return attend(module, query, key, value, attention_mask, **kwargs)


AttentionInterface.register(OWN_ATTENTION, _sdpa_or_flex)
AttentionMaskInterface.register(OWN_ATTENTION, sdpa_mask)


def pack(ids: Tensor, attended: Tensor, labels: Tensor, multiple: int = 1) -> tuple[dict[str, Tensor], Tensor]:
    """Rows of pairs from a batch of sequences.

    Args:
        ids, attended, labels: of B chosen sequences and their B rejected ones, padded on the right, shape (2B, T).
        multiple: the rows' length is one of it.

    Returns:
        The rows: input_ids, position_ids, shift_labels (of the token that follows) and branches (3 is padding), shape
        (B, L); and where in its row each token but the last of each sequence is, shape (2B, T − 1).
    """
    pairs, width = len(ids) // 2, ids.size(1)
    lengths = attended.sum(dim=1)
    same = (ids[:pairs] == ids[pairs:]) & (labels[:pairs] == labels[pairs:])
    same &= attended[:pairs].bool() & attended[pairs:].bool()
    shared = (same.long().cumprod(dim=1).sum(dim=1) - 1).clamp(min=0)[:, None]
    chosen, rejected = lengths[:pairs, None], lengths[pairs:, None]
    total = chosen + rejected - shared
    longest = -(-int(total.max()) // multiple) * multiple
    at = torch.arange(longest, device=ids.device).expand(pairs, -1)
    first = at < chosen
    positions = torch.where(first, at, at - chosen + shared).clamp(max=width - 1)
    source = torch.where(first, at.clamp(max=width - 1), width + positions)
    branches = (at >= shared).long() + (at >= chosen).long() + (at >= total).long()
    followers = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    row_ids, row_labels = (torch.cat(tuple(part.chunk(2)), dim=1).gather(1, source) for part in (ids, followers))
    rows = {
        "input_ids": row_ids,
        "position_ids": positions,
        "shift_labels": row_labels.masked_fill(branches == 3, IGNORED),
        "branches": branches,
    }
    token = torch.arange(width - 1, device=ids.device).expand(pairs, -1)
    places = torch.cat([token, torch.where(token < shared, token, token - shared + chosen)])
    return rows, places.clamp(max=longest - 1)


def dense_mask(branches: Tensor) -> Tensor:
    """Which token sees which, from the branches of shape (B, L): bool, shape (B, 1, L, L)."""
    seen = (branches[:, None, :] == 0) | (branches[:, None, :] == branches[:, :, None])
    return seen.tril()[:, None]


def block_mask(branches: Tensor) -> BlockMask:
    """The same for FlexAttention, which skips the blocks in which nothing is seen."""

    def sees(row, head, query, key):
        return (query >= key) & ((branches[row, key] == 0) | (branches[row, query] == branches[row, key]))

    rows, length = branches.shape
    return create_block_mask(sees, rows, None, length, length, device=str(branches.device))


class SharedPrompt:
    """Stands for a model in the trainer's loss: with labels it computes pairs, see `pack`; without, it is the model.

    Args:
        model: whose fused head of TRL's gives log-probabilities, wrapped or not.
        attention: the implementation that its masks are for: eager, sdpa, or one that takes block masks.
    """

    def __init__(self, model: Any, attention: str):
        self.model, self.attention = model, attention

    def __call__(self, **inputs: Any) -> Any:
        if inputs.get("labels") is None:
            return self.model(**inputs)
        ids, attended, labels = (inputs.pop(name) for name in ("input_ids", "attention_mask", "labels"))
        if not attended[:, 0].all():
            raise ValueError(
                "share_prompt needs sequences that are padded on the right: leave it off with this collator"
            )
        by_blocks = self.attention not in ("eager", "sdpa")
        rows, places = pack(ids, attended, labels, BLOCK if by_blocks else 1)
        branches = rows.pop("branches")
        outputs = self.model(**rows, attention_mask=self._mask(branches, by_blocks), **inputs)
        ignored = labels[:, 1:] == IGNORED
        for name in PER_TOKEN:
            if (value := getattr(outputs, name)) is not None:
                setattr(outputs, name, value.repeat(2, 1).gather(1, places).masked_fill(ignored, 0))
        outputs.label_mask = ~ignored
        return outputs

    def _mask(self, branches: Tensor, by_blocks: bool) -> Tensor | BlockMask:
        if by_blocks:
            return block_mask(branches)
        seen = dense_mask(branches)
        if self.attention == "sdpa":
            return seen
        return torch.zeros(seen.shape, device=seen.device).masked_fill(~seen, torch.finfo(torch.float32).min)


class SharesPrompts:
    """What a DPO trainer inherits before its own class: `share_prompts()` lets it compute each pair's prompt once."""

    model: Any
    ref_model: Any
    args: Any
    accelerator: Any
    aux_loss_enabled: bool
    _shared_attention: str | None = None

    def share_prompts(self) -> None:
        """Compute each pair's prompt once from now on.

        Raises:
            ValueError: the model's attention cannot be told which tokens see which; the message says why.
        """
        base = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        if reason := reason_against(self.model, self.args.max_length, self.aux_loss_enabled):
            raise ValueError(f"share_prompt: {reason}; leave it off")
        attention = attention_of(base)
        if attention == "sdpa" and has_blocks(base):
            attention = OWN_ATTENTION
            for each in filter(None, (base, self.ref_model)):
                each.set_attn_implementation(attention)
        half = self.args.bf16 or self.args.fp16 or base.dtype != torch.float32
        with self.accelerator.autocast():
            agrees = _agrees(self.model, attention, TOLERANCE[half])
        if not agrees:
            raise ValueError("share_prompt: the model gives other log-probabilities for rows of pairs; leave it off")
        self._shared_attention = attention

    def shared(self, model: Any) -> Any:
        """The model, or what stands for it where prompts are computed once."""
        return SharedPrompt(model, self._shared_attention) if self._shared_attention else model

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        model = self.shared(model) if isinstance(model, torch.nn.Module) else model
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def compute_ref_log_probs(self, model, inputs):
        return super().compute_ref_log_probs(self.shared(model), inputs)


def reason_against(model: Any, max_length: int | None, router_loss: bool = False) -> str | None:
    """Why a model's attention cannot have a row of a pair; None where nothing is known against it.

    Args:
        max_length: of a sequence, in tokens.
        router_loss: whether a loss of the experts' router is added, which counts tokens.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    config, attention = base.config, attention_of(base)
    if router_loss:
        return "the loss of the experts' router would count a prompt once"
    if config.get_text_config() is not config or config.is_encoder_decoder:
        return f"{type(base).__name__} is not a decoder of text alone"
    if base is not model and getattr(model.active_peft_config, "is_prompt_learning", False):
        return "the adapter puts virtual tokens before the prompt"
    if keeps_state(base):
        return "the model's layers keep a state, which no mask tells which token sees which"
    if attention not in ("eager", "sdpa", "flex_attention", OWN_ATTENTION):
        return f"attention {attention} takes no mask of which token sees which; use sdpa"
    if attention == "flex_attention" and base.device.type == "cpu":
        return "FlexAttention has no backward pass on a CPU; use attention sdpa"
    if has_blocks(base) and attention != "eager" and getattr(config, "attention_dropout", False):
        return "FlexAttention has no dropout of attention"
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if unknown := kinds - {"full_attention", "sliding_attention"}:
        return f"the model has layers of {', '.join(sorted(unknown))}, which no mask tells which token sees which"
    window = getattr(config, "sliding_window", None)
    slides = "sliding_attention" in kinds or getattr(config, "layer_types", None) is None
    if slides and window and (max_length is None or max_length > window):
        return f"the model's attention slides over {window} tokens, and sequences may have {max_length or 'more'}"
    if "position_ids" not in inspect.signature(type(base.base_model).forward).parameters:
        return f"{type(base).__name__} takes no positions"
    return None


def has_blocks(model: Any) -> bool:
    """Whether a model is on a GPU that FlexAttention is for."""
    return model.device.type == "cuda" and torch.cuda.get_device_capability(model.device) >= (8, 0)


@torch.no_grad()
def _agrees(model: Any, attention: str, tolerance: float) -> bool:
    """Whether a model gives a short pair the same log-probabilities as a row and as two sequences."""
    weight = next(model.parameters())
    if not weight.numel():  # it is another process's
        return True
    vocabulary = model.config.get_text_config().vocab_size
    ids = (torch.arange(1, 9, device=weight.device) * 7 % vocabulary).repeat(2, 1)
    ids[1, 4:] = (ids[0, 4:] * 3 + 1) % vocabulary
    labels = ids.masked_fill(torch.arange(8, device=weight.device) < 4, IGNORED)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    inputs |= {"use_cache": False, "fused_lm_head": True}
    training = model.training
    model.eval()
    try:
        plain = model(**inputs).log_probs.float().sum(dim=1)
        rows = SharedPrompt(model, attention)(**inputs).log_probs.float().sum(dim=1)
    finally:
        model.train(training)
    return torch.allclose(rows, plain, rtol=tolerance)
