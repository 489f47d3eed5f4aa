"""The requests that a table of responses needs, and their keys."""

import hashlib
import json
from dataclasses import dataclass

import pandas as pd

from pipeline.judges.prompts import estimate_tokens, fill_prompt, reply_form, reply_schema
from pipeline.judges.turns import side_by_side
from pipeline.models.templates import as_text, response_text

MESSAGE_TOKENS = 8  # what a chat template adds around a message, about


@dataclass(frozen=True)
class Request:
    """One question to a judge.

    Attributes:
        key: hash of its content and of the judge.
        text: the filled prompt, without the form of the reply.
        tokens: of the question, estimated.
    """

    key: str
    text: str
    tokens: int


@dataclass(frozen=True)
class Question:
    """One row of the verdicts and the requests that it needs.

    Attributes:
        row: position in the table of responses.
        order: "ab" where the run's answer is shown first, "ba" where second, "none" where answers are graded alone.
        keys: of one request that scores A and B, or of two, the run's answer and the baseline's.
    """

    row: int
    order: str
    keys: tuple[str, ...]


def plan_requests(table: pd.DataFrame, spec: dict) -> tuple[list[Question], dict[str, Request]]:
    """The rows of the verdicts, in the table's order, and the distinct requests behind them.

    Args:
        table: prompt_id, prompt, response, baseline_response; prompts and responses are text or messages. And
            baseline_prompt, where the baseline's responses are to other conversations: then what is asked is what both
            share, and each answer has what else led to it.
        spec: the judge's.
    """
    questions, requests = [], {}
    columns = [table[name] for name in ("prompt_id", "prompt", "response", "baseline_response")]
    columns.append(table.get("baseline_prompt", table["prompt"]))
    for row, (prompt_id, asked, *answers, other_asked) in enumerate(zip(*columns, strict=True)):
        run, other = (response_text(as_text(answer)) for answer in answers)
        prompt, run, other = side_by_side(as_text(asked), as_text(other_asked), run, other)
        for order in orders(spec, str(prompt_id)):
            asked = [make_request(prompt, material, spec) for material in materials(order, run, other)]
            requests |= {request.key: requests.get(request.key, request) for request in asked}
            questions.append(Question(row, order, tuple(request.key for request in asked)))
    return questions, requests


def orders(spec: dict, prompt_id: str) -> list[str]:
    """The orders in which a prompt's answers are shown; the one that is drawn depends on seed and prompt_id alone."""
    if spec["mode"] == "single":
        return ["none"]
    if spec["orders"] == "both":
        return ["ab", "ba"]
    return [("ab", "ba")[hashlib.sha256(f"{spec['seed']}:{prompt_id}".encode()).digest()[0] % 2]]


def materials(order: str, run: str, other: str) -> list[dict[str, str]]:
    """What each request of a row shows."""
    if order == "none":
        return [{"answer": run}, {"answer": other}]
    first, second = (run, other) if order == "ab" else (other, run)
    return [{"answer_a": first, "answer_b": second}]


def make_request(prompt, answers: dict[str, str], spec: dict) -> Request:
    """A request with its key.

    The key is of what is sent at first and of the judge's name. Where the judge is reached, what it is paid and how
    often it is asked again are not part of it.
    """
    text = fill_prompt(spec["prompt"], prompt, answers)
    content = {"judge": spec["name"], "structured": spec["structured"], "body": body(text, spec, first_form(spec))}
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    form = reply_form(spec["mode"], True, spec.get("parts", ()))
    return Request(key, text, estimate_tokens(text) + estimate_tokens(form) + MESSAGE_TOKENS)


def first_form(spec: dict) -> bool:
    """Whether the endpoint is asked for JSON at first."""
    return spec["structured"] != "none"


def body(text: str, spec: dict, structured: bool) -> dict:
    """What is sent to an endpoint's chat completions."""
    parts = spec.get("parts", ())
    content = f"{text}\n\n{reply_form(spec['mode'], structured, parts)}"
    sent = {"model": spec["model"], "messages": [{"role": "user", "content": content}]}
    sent[spec["token_limit"]] = spec["max_tokens"]
    if spec["temperature"] is not None:
        sent["temperature"] = spec["temperature"]
    if spec["reasoning_effort"] is not None:
        sent["reasoning_effort"] = spec["reasoning_effort"]
    if structured:
        sent["response_format"] = reply_schema(spec["mode"], parts)
    return sent
