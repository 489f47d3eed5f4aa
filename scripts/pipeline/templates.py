"""How prompts and responses are put before a model: chat templates, plain templates, reward models' own formats.

The template belongs to the model. A policy with a chat template gets messages; a base model gets its entry's
`plain_template` filled in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


# Text formats of reward models as their authors published them; the end of sequence follows.
REWARD_FORMATS = {
    "beaver": "BEGINNING OF CONVERSATION: USER: {prompt} ASSISTANT:{response}",
    "eurus": "[INST] {prompt} [/INST] {response}",
    "ultrarm": "Human: {prompt}\n\nAssistant: {response}",
    "plain": "{prompt}\n\n{response}",
}


def reward_inputs(prompt: Text, response: Text, tokenizer: PreTrainedTokenizerBase, text_format: str) -> dict:
    """A prompt and its response as a reward model expects them, the end of sequence included.

    Args:
        text_format: "chat_template": the tokenizer's; "text_pair": two segments, for encoders such as DeBERTa; or
            one of REWARD_FORMATS. The turns of a dialogue are joined by blank lines, except in a chat template.

    Returns:
        input_ids: list of int; and token_type_ids where a text pair's tokenizer tells the two segments apart.

    Raises:
        ValueError: an unknown format.
    """
    question = "\n\n".join(turn["content"] for turn in conversation(prompt))
    answer = response_text(response)
    if text_format == "text_pair":
        encoding = tokenizer(question, answer)
        return {name: encoding[name] for name in ("input_ids", "token_type_ids") if name in encoding}
    if text_format == "chat_template":
        messages = [*conversation(prompt), {"role": "assistant", "content": answer}]
        return {"input_ids": tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]}
    if text_format not in REWARD_FORMATS:
        known = ", ".join(["chat_template", "text_pair", *REWARD_FORMATS])
        raise ValueError(f"text_format must be one of {known}, not {text_format!r}")
    ids = tokenizer(REWARD_FORMATS[text_format].format(prompt=question, response=answer))["input_ids"]
    return {"input_ids": ids if ids[-1:] == [tokenizer.eos_token_id] else [*ids, tokenizer.eos_token_id]}
