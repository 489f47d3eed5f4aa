"""Rows that are too long for a policy, by its own tokenizer and in its own format."""

from functools import cached_property

import numpy as np
import pyarrow as pa
from jinja2 import TemplateError

from pipeline.columns.pairs import PAIR_COLUMNS, PAIR_RESPONSES
from pipeline.jobs.io import InputError
from pipeline.models.templates import as_text, format_prompt, format_response

# UltraFeedback as published: each completion of a row has fewer tokens than this with the instruction.
COMPLETION_TOKENS = 1_792
PIECE = 256


class LengthRule:
    """Finds rows whose prompt with a response is over a number of tokens for any of several models.

    Args:
        tokenizers: {path, revision, trust_remote_code, plain_template} of each model; the first is needed, and the
            last where the model has no chat template.
        max_length: most tokens of prompt and response together, as the trainers count them: the end of sequence
            included.
    """

    def __init__(self, tokenizers: list[dict], max_length: int):
        self.entries, self.max_length = tokenizers, max_length

    @cached_property
    def tokenizers(self) -> list:
        """The loaded tokenizers; transformers is imported only here, where there are any.

        Raises:
            InputError: one cannot be had.
        """
        from pipeline.models.tokenization import load_tokenizer

        loaded = []
        for entry in self.entries:
            try:
                loaded.append(load_tokenizer(entry["path"], entry))
            except OSError as error:  # of transformers, for hub ids
                reason = " ".join(str(error).split())
                raise InputError(
                    f"{entry['path']}: its tokenizer, by which rows are too long, cannot be loaded ({reason}). Give a "
                    "hub id that this machine can reach or has in its cache, or a local path"
                ) from error
        return loaded

    def too_long(self, pairs: pa.Table) -> np.ndarray:
        """Which rows are too long.

        Args:
            pairs: prompt, chosen, rejected; and completions, where the source has more responses to each prompt, which
                may have COMPLETION_TOKENS - 1 tokens each.

        Returns:
            bool of shape (rows,).

        Raises:
            InputError: a tokenizer cannot be had, or its chat template refuses a dialogue.
        """
        result = np.zeros(len(pairs), bool)
        for entry, tokenizer in zip(self.entries, self.tokenizers, strict=True):
            for start in range(0, len(pairs), PIECE):
                piece = pairs.slice(start, PIECE)
                try:
                    longest = _longest(piece, ("chosen", "rejected"), tokenizer, entry) > self.max_length
                    if "completions" in piece.column_names:
                        longest |= _longest(piece, ("completions",), tokenizer, entry) >= COMPLETION_TOKENS
                except TemplateError as error:
                    text = f"{entry['path']}: its chat template refuses a dialogue of the dataset ({error})"
                    raise InputError(text) from error
                result[start : start + PIECE] |= longest
        return result

    def refused(self, pairs: pa.Table) -> list[str | None]:
        """For each row which chat template refuses it, and why; None where none does."""
        return [self._refusal(row) for row in pairs.select(PAIR_COLUMNS).to_pylist()]

    def _refusal(self, row: dict) -> str | None:
        for entry, tokenizer in zip(self.entries, self.tokenizers, strict=True):
            try:
                for name in PAIR_RESPONSES:
                    _formatted(as_text(row["prompt"]), row[name], tokenizer, entry)
            except TemplateError as error:
                return f"the chat template of {entry['path']} refuses the dialogue ({error})"
        return None


def _longest(pairs: pa.Table, columns: tuple[str, ...], tokenizer, entry: dict) -> np.ndarray:
    """Tokens of each row's prompt with the longest of its responses: int64 of shape (rows,)."""
    texts, rows = [], []
    prompts = [as_text(prompt) for prompt in pairs["prompt"].to_pylist()]
    for column in columns:
        for row, (prompt, value) in enumerate(zip(prompts, pairs[column].to_pylist(), strict=True)):
            for response in value if column == "completions" else [value]:
                texts.append(_formatted(prompt, response, tokenizer, entry))
                rows.append(row)
    encoded = tokenizer(texts, add_special_tokens=tokenizer.chat_template is None)["input_ids"]
    longest = np.zeros(len(pairs), np.int64)
    np.maximum.at(longest, rows, [len(ids) for ids in encoded])
    return longest


def _formatted(prompt, response, tokenizer, entry: dict) -> str:
    """Prompt and response as one text, as DPOTrainer puts them before the model."""
    question, answer = format_prompt(prompt, tokenizer, entry), format_response(response, tokenizer, entry)
    if tokenizer.chat_template is not None:
        return tokenizer.apply_chat_template(question + answer, tokenize=False)
    text = question + answer
    return text if text.endswith(tokenizer.eos_token) else text + tokenizer.eos_token
