"""How prompts and responses are put before a model: chat templates, plain templates, reward models' own formats.

The template belongs to the model. A policy with a chat template gets messages; a base model gets its entry's
`plain_template` filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.jobs.io import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Text = str | list[dict]


def as_text(value) -> Text:
    """A parquet cell as text or as a list of messages."""
    return value if isinstance(value, str) else [dict(message) for message in value]


def response_text(response: Text) -> str:
    """The text of a response that is bare text or a list that ends with the assistant's message."""
    return response if isinstance(response, str) else response[-1]["content"]


def conversation(prompt: Text) -> list[dict]:
    """A prompt as messages; bare text is one message of the user."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(turn) for turn in prompt]


def format_prompt(prompt: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> Text:
    """The prompt as the model expects it: messages where it has a chat template, else its plain template filled in.

    Args:
        prompt: bare text, or messages {role, content}.
        entry: the model entry, for `plain_template` with the place {prompt}. The template's closing white space goes to
            the response (see `format_response`), as tokenizers merge a space into the word that follows it.
    """
    if tokenizer.chat_template is not None:
        return conversation(prompt)
    template = entry["plain_template"]
    if isinstance(prompt, str):
        return template.format(prompt=prompt).rstrip(" ")
    turns = [("Human: " if m["role"] == "user" else "Assistant: ") + m["content"] for m in prompt]
    return "\n\n".join([*turns, "Assistant:"])


def format_response(response: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> Text:
    """The response as the model expects it, the counterpart of `format_prompt`."""
    text = response_text(response)
    if tokenizer.chat_template is not None:
        return [{"role": "assistant", "content": text}]
    spaces = len(entry["plain_template"]) - len(entry["plain_template"].rstrip(" "))
    return " " * spaces + text


def prompt_token_ids(prompt: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> list[int]:
    """Token ids of a formatted prompt, ready for the response to follow."""
    formatted = format_prompt(prompt, tokenizer, entry)
    if isinstance(formatted, str):
        return tokenizer(formatted)["input_ids"]
    return tokenizer.apply_chat_template(formatted, add_generation_prompt=True, return_dict=True)["input_ids"]


@dataclass(frozen=True)
class RewardFormat:
    """How a prompt and its response become the text that a reward model scores.

    Attributes:
        template: text with the places {prompt} and {response}; None where the tokenizer puts them together.
        ends: whether the end of sequence follows the text.
        architectures: in a checkpoint's config, those whose authors publish this format.
    """

    template: str | None = None
    ends: bool = False
    architectures: tuple[str, ...] = ()


# Reward models' text formats, as their authors published them. The scorer and the reward trainer both take them here.
REWARD_FORMATS = {
    "beaver": RewardFormat(
        "BEGINNING OF CONVERSATION: USER: {prompt} ASSISTANT:{response}", True, ("LlamaForScore", "LlamaModelForScore")
    ),
    "eurus": RewardFormat("[INST] {prompt} [/INST] {response}", architectures=("EurusRewardModel",)),
    "ultrarm": RewardFormat("Human: {prompt}\n\nAssistant: {response}", architectures=("LlamaRewardModel",)),
    "chat_template": RewardFormat(),  # the tokenizer's, with whatever end it has
    "text_pair": RewardFormat(),  # two segments, for encoders such as DeBERTa
    "plain": RewardFormat("{prompt}\n\n{response}", True),
}


def default_format(architecture: str, has_chat_template: bool) -> str:
    """Name of the format that a checkpoint of that architecture is scored in where nothing else is said."""
    for name, form in REWARD_FORMATS.items():
        if architecture in form.architectures:
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
        text_format: a name in REWARD_FORMATS. The turns of a dialogue are joined by blank lines, except in a chat
            template, which gets them as they are.

    Raises:
        InputError: an unknown format, or a chat template that the tokenizer does not have.
    """
    if text_format not in REWARD_FORMATS:
        raise InputError(f"text_format must be one of {', '.join(REWARD_FORMATS)}, not {text_format!r}")
    if text_format == "chat_template" and tokenizer.chat_template is None:
        raise InputError("text_format chat_template: the reward model's tokenizer has no chat template")
    answer = response_text(response)
    inputs = _tokens(prompt, answer, tokenizer, text_format)
    if max_length is None or len(inputs["input_ids"]) <= max_length:
        return RewardText(inputs)

    def without_start(count: int) -> dict:
        return _tokens(_drop_start(prompt, count), answer, tokenizer, text_format)

    inputs = _fewest_dropped(without_start, _characters(prompt), max_length)
    if len(inputs["input_ids"]) > max_length:
        empty = _drop_start(prompt, _characters(prompt))
        inputs = _fewest_dropped(
            lambda count: _tokens(empty, answer[: len(answer) - count], tokenizer, text_format), len(answer), max_length
        )
    if len(inputs["input_ids"]) > max_length:
        raise InputError(f"max_length {max_length}: the format {text_format} needs {len(inputs['input_ids'])} tokens")
    return RewardText(inputs, truncated=True)


def _tokens(prompt: Text, answer: str, tokenizer: PreTrainedTokenizerBase, text_format: str) -> dict[str, list[int]]:
    if text_format == "chat_template":
        messages = [*conversation(prompt), {"role": "assistant", "content": answer}]
        return {"input_ids": tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]}
    question = "\n\n".join(turn["content"] for turn in conversation(prompt))
    if text_format == "text_pair":
        encoding = tokenizer(question, answer)
        return {name: encoding[name] for name in ("input_ids", "token_type_ids") if name in encoding}
    form = REWARD_FORMATS[text_format]
    ids = tokenizer(form.template.format(prompt=question, response=answer))["input_ids"]
    if tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2:
        ids = ids[1:]  # the text brings one along itself
    if form.ends and ids[-1:] != [tokenizer.eos_token_id]:
        ids = [*ids, tokenizer.eos_token_id]
    return {"input_ids": ids}


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
