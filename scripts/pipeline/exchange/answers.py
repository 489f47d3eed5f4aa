"""Responses that were made elsewhere, and to which prompts they are.

A row has the response and what it answers, in one of these shapes:

    {instruction, output}                                AlpacaEval's model_outputs.json; generator is the run's name
    {prompt, response} or {prompt_id, response}          prompts as text or messages
    {messages}                                           of which the assistant's last is the response
    {uid, messages}                                      Arena-Hard's answers, whose texts are under `answer`

A row with an id of a prompt that is asked is to that prompt; another one to the prompt of its text. Texts are compared
as `pipeline.data.filters.prompt_id` does, and a single message of the user is its text.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from pipeline.columns.prompts import FURTHER
from pipeline.columns.responses import RESPONSE_TEXTS
from pipeline.data.messages import UnusableError, cleaned, turns
from pipeline.data.prompt_ids import prompt_id
from pipeline.exchange.rows import Row
from pipeline.jobs.io import InputError
from pipeline.models.templates import Text, as_text, conversation

RESPONSES, PROMPTS, IDS = ("output", "response"), ("instruction", "prompt"), ("prompt_id", "uid")
RUNS = ("run", "generator", "model")
SHAPES = (
    "instruction and output, prompt and response, prompt_id and response, or messages that end with the assistant's"
)


@dataclass(frozen=True)
class Answer:
    """A response.

    Attributes:
        where: its file and row, for messages.
        response: its text.
        prompt: what it answers; None where the row does not say.
        name: the id of what it answers; None likewise.
        run: what made it; None likewise.
    """

    where: str
    response: str
    prompt: Text | None
    name: str | None
    run: str | None


@dataclass(frozen=True)
class Matched:
    """Responses by the prompts that they are to.

    Attributes:
        frame: prompt_id, prompt, response, in the order of the prompts.
        others: how many rows are to other prompts.
        missing: how many prompts have no response.
    """

    frame: pd.DataFrame
    others: int
    missing: int


def read_answer(row: Row) -> Answer:
    """The response of a row.

    Raises:
        InputError: there is none, or it is no text; or the row does not say what it answers.
    """
    prompt, response = row.first(*PROMPTS), row.first(*RESPONSES)
    if response is None and row.first("messages") is not None:
        *before, last = _messages(row.first("messages"), row.where)
        if last["role"] != "assistant":
            raise InputError(
                f"{row.where}: messages end with the role {last['role']!r}; the response is the assistant's"
            )
        prompt, response = before or prompt, last["content"]
    elif isinstance(response, list | dict):
        response = _messages(response, row.where)[-1]["content"]
    if not isinstance(response, str):
        raise InputError(f"{row.where}: there is no response that is text; a row has {SHAPES}")
    if prompt is not None and not isinstance(prompt, str):
        prompt = _messages(prompt, row.where)
    name, run = row.first(*IDS), row.first(*RUNS)
    if prompt is None and name is None:
        raise InputError(f"{row.where}: it does not say which prompt its response is to; a row has {SHAPES}")
    return Answer(row.where, response, prompt, *(None if value is None else str(value) for value in (name, run)))


def match_answers(
    answers: Iterable[Answer], prompts: pd.DataFrame, file: str, split: str, allow_missing: bool = False
) -> Matched:
    """Responses put to the prompts that they are to.

    Args:
        prompts: prompt_id, prompt, each prompt once; of a set of prompts also FURTHER, what the user says afterwards: a
            response is then to the last turn, and its row has the conversation before it.
        file, split: names of where the responses and the prompts are from, for messages.
        allow_missing: whether prompts may have no response.

    Raises:
        InputError: a prompt has two responses, or none; an id is that of another prompt; or no row is to any prompt.
    """
    texts = {name: as_text(prompt) for name, prompt in zip(prompts["prompt_id"], prompts["prompt"], strict=True)}
    further = dict(zip(prompts["prompt_id"], prompts[FURTHER], strict=True)) if FURTHER in prompts else {}
    several = any(map(len, further.values()))
    key_of = _users_key if several else text_key
    keys = {name: key_of(_with_turns(prompt, further.get(name, ()))) for name, prompt in texts.items()}
    by_key: dict[str, list[str]] = {}
    for name, key in keys.items():
        by_key.setdefault(key, []).append(name)
    found: dict[str, Answer] = {}
    others = 0
    for answer in answers:
        name = _prompt_of(answer, keys, by_key, key_of)
        if name is None:
            others += 1
        elif several and answer.prompt is None:
            raise InputError(
                f"{answer.where}: prompts of several turns are answered by messages, the whole conversation"
            )
        elif name in found:
            told = f"{answer.where}: a second response to prompt {name}, after that of {found[name].where}"
            raise InputError(f"{told}; a run has one response to a prompt")
        else:
            found[name] = answer
    missing = [name for name in texts if name not in found]
    if not found or (missing and not allow_missing):
        shown = str(texts[missing[0]])[:80]
        none = f"none of its {others} rows is to any" if not found else f"there is no response to {len(missing)}"
        right = "rows are known by prompt_id or by the prompt's text"
        right += (
            "" if not found else "; give all, or set allow_missing: true, and these prompts are left out and counted"
        )
        raise InputError(
            f"{file}: {none} of the {len(texts)} prompts of {split}, such as {missing[0]} ({shown!r}); {right}"
        )
    asked = {name: conversation(answer.prompt) for name, answer in found.items()} if several else texts
    rows = [(name, asked[name], found[name].response) for name in texts if name in found]
    return Matched(pd.DataFrame(rows, columns=RESPONSE_TEXTS), others, len(missing))


def text_key(prompt: Text) -> str:
    """What prompts that differ in nothing have in common, a single message of the user and its text included."""
    if not isinstance(prompt, str) and [message["role"] for message in prompt] == ["user"]:
        prompt = prompt[0]["content"]
    return prompt_id(prompt)


def _with_turns(prompt: Text, further: Iterable[str]) -> Text:
    """A prompt followed by what the user says later."""
    later = [{"role": "user", "content": said} for said in further]
    return [*conversation(prompt), *later] if later else prompt


def _users_key(prompt: Text) -> str:
    """`text_key` of what the user says, whatever the answers in between."""
    return text_key([message for message in conversation(prompt) if message["role"] == "user"])


def _prompt_of(
    answer: Answer, keys: dict[str, str], by_key: dict[str, list[str]], key_of: Callable[[Text], str]
) -> str | None:
    if answer.name in keys:
        if answer.prompt is not None and key_of(answer.prompt) != keys[answer.name]:
            raise InputError(
                f"{answer.where}: its id {answer.name} is that of another prompt than its text; leave one of them out"
            )
        return answer.name
    names = by_key.get(key_of(answer.prompt), []) if answer.prompt is not None else []
    if len(names) > 1:
        raise InputError(f"{answer.where}: its prompt is that of {' and '.join(names)}; say which by prompt_id")
    return names[0] if names else None


def _messages(value: list | dict, where: str) -> list[dict[str, str]]:
    """Messages {role, content}; Arena-Hard has the text of an answer under `answer`."""
    messages = value if isinstance(value, list) else [value]
    plain = [
        message | {"content": message["content"].get("answer")}
        if isinstance(message, dict) and isinstance(message.get("content"), dict)
        else message
        for message in messages
    ]
    try:
        found = cleaned(turns(plain, set()))
    except UnusableError as error:
        raise InputError(f"{where}: {error.what}") from error
    except InputError as error:
        raise InputError(f"{where} {error}") from error
    if not found:
        raise InputError(f"{where}: there are no messages in it")
    return found
