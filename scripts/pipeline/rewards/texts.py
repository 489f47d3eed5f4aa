"""How a prompt and its response are put before a reward model, in the format that its authors published.

The formats are the folders of `pipeline.reward_formats`; the scorer and the reward trainer both take them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.jobs.io import InputError
from pipeline.jobs.parts import load_part, part_names
from pipeline.models.templates import Text, conversation, response_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def default_format(architecture: str, has_chat_template: bool) -> str:
    """Name of the format that a checkpoint of that architecture is scored in where nothing else is said."""
    for name in part_names("reward_formats"):
        if architecture in load_part("reward_formats", name, "text").ARCHITECTURES:
            return name
    return "chat_template" if has_chat_template else "text_pair"


@dataclass(frozen=True)
class RewardText:
    """A prompt and its response as tokens.

    Attributes:
        inputs: input_ids, list of int; and token_type_ids where a text pair's tokenizer tells the segments apart.
        truncated: whether something was cut off to meet the limit.
    """

    inputs: dict[str, list[int]]
    truncated: bool = False


def reward_text(
    prompt: Text, response: Text, tokenizer: PreTrainedTokenizerBase, text_format: str, max_length: int | None = None
) -> RewardText:
    """A prompt and its response as a reward model expects them, BOS once and the end as its format says.

    A text above `max_length` tokens loses the beginning of its prompt; only where the response alone is too long does
    that lose its end.

    Args:
        text_format: a folder's name in `pipeline.reward_formats`.

    Raises:
        InputError: an unknown format, or a chat template that the tokenizer does not have.
    """
    if text_format not in part_names("reward_formats"):
        raise InputError(f"text_format must be one of {', '.join(part_names('reward_formats'))}, not {text_format!r}")
    tokens = load_part("reward_formats", text_format, "text").tokens
    answer = response_text(response)
    inputs = tokens(prompt, answer, tokenizer)
    if max_length is None or len(inputs["input_ids"]) <= max_length:
        return RewardText(inputs)
    inputs = _fewest_dropped(
        lambda count: tokens(_drop_start(prompt, count), answer, tokenizer), _characters(prompt), max_length
    )
    if len(inputs["input_ids"]) > max_length:
        empty = _drop_start(prompt, _characters(prompt))
        inputs = _fewest_dropped(
            lambda count: tokens(empty, answer[: len(answer) - count], tokenizer), len(answer), max_length
        )
    if len(inputs["input_ids"]) > max_length:
        raise InputError(f"max_length {max_length}: the format {text_format} needs {len(inputs['input_ids'])} tokens")
    return RewardText(inputs, truncated=True)


def tokens_of(
    template: str, ends: bool, prompt: Text, answer: str, tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[int]]:
    """Token ids of a template with the places {prompt} and {response}; a dialogue's turns are joined by blank lines.

    Args:
        ends: whether the end of sequence follows the text.
    """
    return text_tokens(template.format(prompt=joined_turns(prompt), response=answer), ends, tokenizer)


def text_tokens(text: str, ends: bool, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Token ids of a text, with the end of sequence behind it where it ends."""
    ids = tokenizer(text)["input_ids"]
    if tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2:
        ids = ids[1:]  # the text brings one along itself
    if ends and ids[-1:] != [tokenizer.eos_token_id]:
        ids = [*ids, tokenizer.eos_token_id]
    return {"input_ids": ids}


def joined_turns(prompt: Text) -> str:
    """The turns of a prompt, joined by blank lines."""
    return "\n\n".join(turn["content"] for turn in conversation(prompt))


def _fewest_dropped(tokens_without, characters: int, max_length: int) -> dict[str, list[int]]:
    """The tokens that are left when as few characters are dropped as meet the limit, all of them where none does."""
    low, high = 0, characters  # `low` are too few; whether `high` are enough is seen at the end
    while high - low > 1:
        middle = (low + high) // 2
        if len(tokens_without(middle)["input_ids"]) > max_length:
            low = middle
        else:
            high = middle
    return tokens_without(high)


def _characters(prompt: Text) -> int:
    return sum(len(turn["content"]) for turn in conversation(prompt))


def _drop_start(prompt: Text, count: int) -> Text:
    """A prompt without its first `count` characters; a dialogue then begins with a turn of the user."""
    if isinstance(prompt, str):
        return prompt[count:]
    turns = []
    for turn in conversation(prompt):
        turns.append(turn | {"content": turn["content"][count:]})
        count = max(0, count - len(turn["content"]))
    asked = (i for i, turn in enumerate(turns) if turn["role"] == "user" and turn["content"])
    return turns[next(asked, len(turns) - 1) :]
