"""Rows that are too long for a policy, by its own tokenizer and in its own format."""

from functools import cached_property

import numpy as np
import pyarrow as pa
from jinja2 import TemplateError

from pipeline.jobs.io import InputError
from pipeline.models.manners import manner_of, template_notes
from pipeline.models.templates import as_text, text_token_ids, whole_text

# UltraFeedback as published: each completion of a row has fewer tokens than this with the instruction.
COMPLETION_TOKENS = 1_792
PIECE = 256


class LengthRule:
    """Finds rows that a model cannot be trained on: too long, or refused by its chat template.

    Args:
        tokenizers: {path, revision, trust_remote_code, plain_template, …} of each model, what of an entry its prompts
            depend on; plain_template is needed where the model has no chat template.
        max_length: most tokens of prompt and response together, as the trainers count them: the end of sequence
            included.
    """

    def __init__(self, tokenizers: list[dict], max_length: int):
        self.entries, self.max_length = tokenizers, max_length

    @cached_property
    def tokenizers(self) -> list:
        """The loaded tokenizers; transformers is imported only here, where there are any.

        Raises:
            InputError: one cannot be had, or its chat template refuses a plain question with its answer.
        """
        from pipeline.models.template_check import check_template
        from pipeline.models.tokenization import load_tokenizer

        loaded = []
        for entry in self.entries:
            loaded.append(load_tokenizer(entry["path"], entry))
            check_template(loaded[-1], entry)
        return loaded

    def notes(self) -> list[str]:
        """What is to be known of how the models' prompts and responses are put, a sentence each."""
        return [
            note
            for tokenizer, entry in zip(self.tokenizers, self.entries, strict=True)
            for note in template_notes(tokenizer, entry)
        ]

    def unfit(self, pairs: pa.Table) -> tuple[np.ndarray, dict[int, str]]:
        """Which rows are too long, and which a chat template refuses.

        Args:
            pairs: prompt, chosen, rejected; and completions, where the source has more responses to each prompt, which
                may have COMPLETION_TOKENS - 1 tokens each.

        Returns:
            Too long: bool of shape (rows,). Refused: {row: the template's words}.

        Raises:
            InputError: a tokenizer cannot be had.
        """
        long, refused = np.zeros(len(pairs), bool), {}
        for entry, tokenizer in zip(self.entries, self.tokenizers, strict=True):
            for start in range(0, len(pairs), PIECE):
                piece = pairs.slice(start, PIECE)
                longest, words = _longest(piece, ("chosen", "rejected"), tokenizer, entry)
                over = longest > self.max_length
                if "completions" in piece.column_names:
                    over |= _longest(piece, ("completions",), tokenizer, entry)[0] >= COMPLETION_TOKENS
                long[start : start + PIECE] |= over
                refused |= {start + row: f"{entry['path']}: {text}" for row, text in words.items()}
        return long, refused

    @cached_property
    def moves_system(self) -> bool:
        """Whether a model's template has no system role, so that system texts are moved."""
        pairs = zip(self.tokenizers, self.entries, strict=True)
        return any(t.chat_template is not None and not manner_of(t, entry).takes_system for t, entry in pairs)


def _longest(pairs: pa.Table, columns: tuple[str, ...], tokenizer, entry: dict) -> tuple[np.ndarray, dict[int, str]]:
    """Tokens of each row's prompt with the longest of its responses, int64 of shape (rows,); and refused rows."""
    texts, rows, refused = [], [], {}
    prompts = [as_text(prompt) for prompt in pairs["prompt"].to_pylist()]
    for column in columns:
        for row, (prompt, value) in enumerate(zip(prompts, pairs[column].to_pylist(), strict=True)):
            for response in value if column == "completions" else [value]:
                try:
                    texts.append(whole_text(prompt, response, tokenizer, entry))
                    rows.append(row)
                except (TemplateError, InputError) as error:
                    refused[row] = str(error)
    longest = np.zeros(len(pairs), np.int64)
    if texts:
        np.maximum.at(longest, rows, [len(ids) for ids in text_token_ids(texts, tokenizer)])
    return longest, refused
