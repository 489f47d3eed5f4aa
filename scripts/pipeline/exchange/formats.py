"""Responses as other projects read them: AlpacaEval's model_outputs.json, Arena-Hard's answers, JSON lines."""

import hashlib
import json

import pandas as pd

from pipeline.columns.responses import EXPORT_FORMATS
from pipeline.jobs.io import InputError
from pipeline.models.templates import Text, as_text, conversation, response_text

ANSWER_ID = 22  # characters


def exported(frame: pd.DataFrame, form: str, name: str, prompts: str) -> str:
    """The text of the file.

    Args:
        frame: prompt_id, prompt, response; a response is text, messages, or texts of which the last counts. One that is
            null is left out.
        form: of EXPORT_FORMATS.
        name: of what made the responses.
        prompts: name of the prompts.

    Raises:
        InputError: AlpacaEval's format could not tell two prompts apart, or there are no responses.
    """
    given = frame[frame["response"].notna()]
    rows = [
        (str(name_), as_text(prompt), _answer(response))
        for name_, prompt, response in zip(given["prompt_id"], given["prompt"], given["response"], strict=True)
    ]
    if not rows:
        raise InputError(f"there are no responses of {name} to the prompts of {prompts}")
    make = dict(zip(EXPORT_FORMATS, (_json_lines, _alpaca_eval, _arena_hard), strict=True))[form]
    return make(rows, name, prompts)


def _json_lines(rows: list[tuple[str, Text, str]], name: str, prompts: str) -> str:
    keys = ("prompt_id", "prompt", "response")
    return _lines({**dict(zip(keys, row, strict=True)), "run": name, "prompts": prompts} for row in rows)


def _alpaca_eval(rows: list[tuple[str, Text, str]], name: str, prompts: str) -> str:
    """A list of {dataset, instruction, output, generator}; the package pairs outputs by their instruction."""
    found: dict[str, str] = {}
    entries = []
    for prompt_id, prompt, response in rows:
        instruction = _as_one_text(prompt)
        if instruction in found:
            raise InputError(
                f"the prompts {found[instruction]} and {prompt_id} of {prompts} are one instruction, "
                f"{instruction[:80]!r}, which AlpacaEval could not tell apart; export them as json_lines"
            )
        found[instruction] = prompt_id
        entries.append({"dataset": prompts, "instruction": instruction, "output": response, "generator": name})
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _arena_hard(rows: list[tuple[str, Text, str]], name: str, prompts: str) -> str:
    """A line an answer: {uid, ans_id, model, messages}; uid is that of the question."""
    return _lines(
        {
            "uid": uid,
            "ans_id": hashlib.sha256(json.dumps([name, prompts, uid, response]).encode()).hexdigest()[:ANSWER_ID],
            "model": name,
            "messages": [*conversation(prompt), {"role": "assistant", "content": {"answer": response}}],
        }
        for uid, prompt, response in rows
    )


def _lines(entries) -> str:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def _answer(response) -> str:
    if isinstance(response, str):
        return response
    return str(response[-1]) if isinstance(response[-1], str) else response_text(as_text(response))


def _as_one_text(prompt: Text) -> str:
    """A prompt as text: of a single message of the user its content, of a dialogue each message behind its role."""
    turns = conversation(prompt)
    if [turn["role"] for turn in turns] == ["user"]:
        return turns[0]["content"]
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
