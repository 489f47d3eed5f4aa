"""Batches of texts for a reward model: like lengths together within a budget of tokens, a common beginning once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

TOKENS = 16384  # of a batch, padding included, where a device says nothing else
MOST_PACKED = 2048  # tokens of a row of texts with one beginning: attention grows with their square
WORTHWHILE = 0.25  # share of all tokens that sharing must save: a packed row's mask costs more than plain padding's


@dataclass(frozen=True)
class Row:
    """Texts side by side in one row of a batch: one alone, or several that begin alike.

    Attributes:
        texts: positions of the texts.
        shared: how many tokens at their beginning they have in common; 0 for one alone.
        length: tokens of the row.
    """

    texts: tuple[int, ...]
    shared: int
    length: int


def plan_batches(rows: Sequence[Row], batch_size: int, tokens: int) -> list[list[Row]]:
    """Rows by length, shortest first, as batches of at most `batch_size` rows and `tokens` tokens with padding.

    A row that is longer than the budget is a batch of its own. Equal lengths keep their order. Rows that share a
    beginning are never beside rows of one text.
    """
    batches: list[list[Row]] = []
    for kind in (False, True):
        size = batch_size  # a batch of another kind is full
        for row in sorted((row for row in rows if bool(row.shared) is kind), key=lambda row: row.length):
            # The newest is the longest, so it is what the others are padded to.
            if size == batch_size or (size + 1) * row.length > tokens:
                batches.append([])
                size = 0
            batches[-1].append(row)
            size += 1
    return batches


def single_rows(texts: Sequence[list[int]]) -> list[Row]:
    """Every text in a row of its own."""
    return [Row((i,), 0, len(ids)) for i, ids in enumerate(texts)]


def packed_rows(texts: Sequence[list[int]], groups: Iterable[Sequence[int]]) -> list[Row]:
    """Texts of a group in one row that has their common beginning once, where that pays over all.

    Args:
        texts: token ids.
        groups: positions of the texts that answer one prompt; every text is in one group.
    """
    rows = []
    for group in groups:
        waiting = list(group)
        while waiting:
            row = _row(texts, waiting[:1])
            while len(row.texts) < len(waiting):
                longer = _row(texts, waiting[: len(row.texts) + 1])
                apart = sum(len(texts[i]) for i in longer.texts)
                if longer.length > MOST_PACKED or longer.length > (1 - WORTHWHILE) * apart:
                    break
                row = longer
            rows.append(row)
            waiting = waiting[len(row.texts) :]
    alone = sum(map(len, texts))
    return rows if sum(row.length for row in rows) <= (1 - WORTHWHILE) * alone else single_rows(texts)


def _row(texts: Sequence[list[int]], group: Sequence[int]) -> Row:
    if len(group) == 1:
        return Row((group[0],), 0, len(texts[group[0]]))
    # Each keeps a token of its own, as its score is read at its last.
    most = min(len(texts[i]) for i in group) - 1
    first = texts[group[0]]
    shared = next((k for k in range(most) if any(texts[i][k] != first[k] for i in group[1:])), most)
    return Row(tuple(group), shared, shared + sum(len(texts[i]) - shared for i in group))


def padded(inputs: Sequence[dict[str, list[int]]], pad_token_id: int, side: str = "right") -> dict[str, Tensor]:
    """Texts as tensors of shape (B, T), with an attention mask.

    Args:
        inputs: input_ids, and token_type_ids where the model takes them.
        side: right or left.
    """
    fill = {"input_ids": pad_token_id, "attention_mask": 0, "token_type_ids": 0}
    rows = [text | {"attention_mask": [1] * len(text["input_ids"])} for text in inputs]
    tensors = {name: [torch.tensor(row[name], dtype=torch.long) for row in rows] for name in rows[0]}
    return {name: pad_sequence(tensors[name], True, fill[name], padding_side=side) for name in tensors}


def packed(
    rows: Sequence[Row],
    texts: Sequence[list[int]],
    pad_token_id: int,
    dtype: torch.dtype,
    passed_over: int | None = None,
) -> tuple[dict[str, Tensor], list[int]]:
    """Rows of texts that begin alike as tensors: each text attends to the shared beginning and to itself.

    Args:
        texts: token ids.
        dtype: of the additive attention mask.
        passed_over: of `CausalScorer`, a token that no text is scored at.

    Returns:
        The arguments of `CausalScorer.forward_packed`, and the text that each of its scores is for.
    """
    width = max(row.length for row in rows)
    input_ids = torch.full((len(rows), width), pad_token_id)
    position_ids = torch.zeros((len(rows), width), dtype=torch.long)
    # Which text a token belongs to: -1 the beginning of all, -2 padding.
    owner = torch.full((len(rows), width), -2)
    last, order = [], []
    for i, row in enumerate(rows):
        pieces = [texts[row.texts[0]][: row.shared], *(texts[text][row.shared :] for text in row.texts)]
        end = 0
        for k, piece in enumerate(pieces):
            start, end = end, end + len(piece)
            first = row.shared if k else 0
            input_ids[i, start:end] = torch.tensor(piece, dtype=torch.long)
            position_ids[i, start:end] = torch.arange(first, first + len(piece))
            owner[i, start:end] = k - 1
            if k:
                text = row.texts[k - 1]
                at = _scored_at(texts[text], passed_over)
                last.append((i, at if at < row.shared else start + at - row.shared))
                order.append(text)
    sees = (owner[:, None, :] == owner[:, :, None]) | ((owner[:, None, :] == -1) & (owner[:, :, None] >= 0))
    sees &= torch.ones(width, width, dtype=torch.bool).tril()
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)[:, None]
    inputs = {"input_ids": input_ids, "attention_mask": mask, "position_ids": position_ids}
    return inputs | {"last": torch.tensor(last).T}, order


def _scored_at(text: Sequence[int], passed_over: int | None) -> int:
    """The position of a text's last token that is not passed over; 0 where there is none."""
    return next((i for i in range(len(text) - 1, -1, -1) if text[i] != passed_over), 0)
