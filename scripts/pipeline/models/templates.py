"""How prompts and responses are put before a policy: chat templates and plain templates.

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
