"""How prompts and responses are put before a policy: chat templates and plain templates.

The template belongs to the model. A policy with a chat template gets messages, with the variables of its entry
(`chat_template_kwargs`, `date`); a base model gets its entry's `plain_template` filled in. `pair_token_ids` is what
SFT, DPO, the reference and the measurements train and compute on; `prompt_token_ids` is what the policy answers to.

A response ends with one token, the same whether the policy sampled it or the dataset has it: what a template writes
behind the end (ChatML's line break) cannot be sampled, so it is no part of a response here.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from pipeline.jobs.io import InputError
from pipeline.models.manners import THOUGHT, THOUGHT_END, manner_of, rendered, without_system

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
        prompt: bare text, or messages {role, content}. A system text goes before the first text of the user where the
            chat template refuses that role.
        entry: the model entry, for `plain_template` with the place {prompt}. The template's closing white space goes to
            the response (see `format_response`), as tokenizers merge a space into the word that follows it.
    """
    if tokenizer.chat_template is None:
        return _filled_in(conversation(prompt), entry["plain_template"]).rstrip(" ")
    turns = conversation(prompt)
    if any(turn["role"] == "system" for turn in turns) and not manner_of(tokenizer, entry).takes_system:
        return without_system(turns)
    return turns


def format_response(response: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> Text:
    """The response as the model expects it, the counterpart of `format_prompt`."""
    text = response_text(response)
    if tokenizer.chat_template is not None:
        return [{"role": "assistant", "content": text}]
    spaces = len(entry["plain_template"]) - len(entry["plain_template"].rstrip(" "))
    return " " * spaces + text


def prompt_text(prompt: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> str:
    """A prompt as one text, ready for the response to follow."""
    return _opened(format_prompt(prompt, tokenizer, entry), tokenizer, entry)


def whole_text(prompt: Text, response: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> str:
    """A prompt and its response as one text, up to and with the end of the response.

    Where the prompt ends in an opened thought that the template leaves out before an answer without one, the response
    closes it.

    Raises:
        InputError: the text does not begin with that of the prompt; the tokenizer has no end of sequence.
    """
    return whole_texts(prompt, [response], tokenizer, entry)[1][0]


def whole_texts(
    prompt: Text, responses: list[Text], tokenizer: PreTrainedTokenizerBase, entry: dict
) -> tuple[str, list[str]]:
    """`prompt_text`, and `whole_text` with each of the responses, the prompt put into its template once."""
    formatted = format_prompt(prompt, tokenizer, entry)
    start = _opened(formatted, tokenizer, entry)
    return start, [_answered(formatted, start, response, tokenizer, entry) for response in responses]


def _opened(formatted: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> str:
    """A formatted prompt as one text."""
    return formatted if isinstance(formatted, str) else rendered(formatted, tokenizer, entry, True)


def _answered(formatted: Text, start: str, response: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> str:
    """A formatted prompt, whose text is `start`, with its response."""
    answer = format_response(response, tokenizer, entry)
    if tokenizer.eos_token is None:
        raise InputError(
            f"{entry.get('path', 'the model')}: its tokenizer has no end of sequence, and config.json names none, so "
            "no response would end: set eos_token in tokenizer_config.json, or eos_token_id in config.json"
        )
    if isinstance(answer, str):
        text = start + answer
        return text if text.endswith(tokenizer.eos_token) else text + tokenizer.eos_token
    manner = manner_of(tokenizer, entry)
    text = rendered([*formatted, *answer], tokenizer, entry)
    text = text.removesuffix(manner.behind) + manner.missing_end
    before = start.rstrip().removesuffix(THOUGHT)
    if not text.startswith(start) and manner.opens_thought and text.startswith(before):
        text = f"{start.rstrip()}\n{THOUGHT_END}\n\n{text[len(before) :].lstrip()}"
    if not text.startswith(start):
        raise InputError(
            f"{entry.get('path', 'the model')}: its chat template writes a prompt in another way before an answer than "
            f"before its place, so training and sampling would differ: {start[-60:]!r} ends the prompt, but with the "
            f"answer it is {text[max(0, len(start) - 60) :][:90]!r}; chat_template_kwargs of the model's entry may "
            "change that"
        )
    return text


def prompt_token_ids(prompt: Text, tokenizer: PreTrainedTokenizerBase, entry: dict) -> list[int]:
    """Token ids of a formatted prompt, ready for the response to follow."""
    return text_token_ids(prompt_text(prompt, tokenizer, entry), tokenizer)


def text_token_ids(text: str | list[str], tokenizer: PreTrainedTokenizerBase) -> list:
    """Token ids of a prompt with or without its response, or of several texts.

    A chat template brings the beginning of sequence itself.
    """
    return tokenizer(text, add_special_tokens=tokenizer.chat_template is None)["input_ids"]


def pair_token_ids(
    prompt: Text, responses: list[Text], tokenizer: PreTrainedTokenizerBase, entry: dict
) -> tuple[list[int], list[list[int]]]:
    """Token ids of a prompt and of responses to it, as they are trained on.

    With a chat template the prompt's are `prompt_token_ids`. With a plain template tokens may merge across its end;
    then the responses begin where the texts' tokens differ, as in TRL's trainers.

    Returns:
        The prompt's, and each response's with its end.

    Raises:
        InputError: see `whole_text`.
    """
    start, texts = whole_texts(prompt, responses, tokenizer, entry)
    ids, *wholes = text_token_ids([start, *texts], tokenizer)
    if tokenizer.chat_template is None:
        ids = common_start((ids, *wholes))
    return ids, [
        whole[len(ids) :] if whole[: len(ids)] == ids else _continued(text[len(start) :], tokenizer)
        for text, whole in zip(texts, wholes, strict=True)
    ]


def common_start(sequences: tuple[list[int], ...]) -> list[int]:
    """The longest list that all of the sequences begin with."""
    return [tokens[0] for tokens in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*sequences, strict=False))]


def answer_of(text: str, tokenizer: PreTrainedTokenizerBase, entry: dict) -> str:
    """A sampled text without the thoughts before the answer, as reward models and judges see it.

    Of a thought that has not ended there is no answer. Texts of models that do not think are left as they are, and of
    all where the entry has `strip_thoughts: false`.
    """
    if tokenizer.chat_template is None or not entry.get("strip_thoughts", manner_of(tokenizer, entry).thinks):
        return text
    if not manner_of(tokenizer, entry).opens_thought and not text.lstrip().startswith(THOUGHT):
        return text
    return text.partition(THOUGHT_END)[2].strip()


def _filled_in(turns: list[dict], template: str) -> str:
    """A dialogue in a plain template, which stands around each text of the user; other roles are named."""
    cue = template.partition("{prompt}")[2].lstrip()
    text, waiting = "", False  # whether the assistant's text is to follow at once
    for turn in turns:
        if waiting and turn["role"] == "assistant":
            text, waiting = text + turn["content"], False
            continue
        named = {"user": template.replace("{prompt}", turn["content"]), "assistant": cue + turn["content"]}
        part = named.get(turn["role"], f"{turn['role'].capitalize()}: {turn['content']}")
        text, waiting = (f"{text}\n\n" if text else "") + part, turn["role"] == "user"
    return text if waiting else f"{text}\n\n{cue}"


def _continued(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of a text that goes on behind another, without a space that a tokenizer puts before any text."""
    line = tokenizer("\n", add_special_tokens=False)["input_ids"]
    ids = tokenizer(f"\n{text}", add_special_tokens=False)["input_ids"]
    return ids[len(line) :] if ids[: len(line)] == line else tokenizer(text, add_special_tokens=False)["input_ids"]
