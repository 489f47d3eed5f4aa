"""Replies as endpoints send them, and what they mean."""

import json
import re
from dataclasses import dataclass

from pipeline.judges.parsing import parse_scores

MOST_BYTES = 1 << 20  # of a reply; a longer one is cut there and counts as unreadable
VERSION = re.compile(r"([@:].*|-\d{4}(\W.*)?|-\d{6}|-\d{8})?")  # after a model's name: a tag, or a date
KEPT_CHARACTERS = 20_000  # of a reply that cannot be read


@dataclass(frozen=True)
class Reply:
    """A reply with status 200, readable or not.

    Attributes:
        body: as it came; cut where it cannot be read.
        content: the model's text; None where there is none.
        refusal, finish_reason, model: as the endpoint gives them, None where it does not.
        prompt_tokens, completion_tokens: as billed, None where the endpoint does not say.
    """

    body: str
    content: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        status: parsed, unparsed, refused or failed.
        scores: one or two where parsed.
        model: id that the endpoint returned, "" where none replied.
        reason: why it is not parsed.
    """

    status: str
    scores: tuple[float, ...] | None = None
    model: str = ""
    reason: str = ""

    @property
    def final(self) -> bool:
        """Whether asking again is of no use."""
        return self.status in ("parsed", "refused")


def read_reply(data: bytes) -> Reply:
    """A body of an endpoint's chat completions; what cannot be read is kept as it is, without content."""
    text = data.decode("utf-8", "replace")
    unreadable = Reply(text[:KEPT_CHARACTERS])
    if len(data) > MOST_BYTES:
        return unreadable
    try:
        content = json.loads(text)
        choice = content["choices"][0]
        message, usage = choice["message"], content.get("usage") or {}
        texts = (message.get("content"), message.get("refusal"), choice.get("finish_reason"), content.get("model"))
        counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        return Reply(text, *map(_text, texts), *map(_count, counts))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return unreadable


def assess(reply: Reply, spec: dict) -> Outcome:
    """What a reply means to a judge: its scores, or why it has none."""
    model = reply.model or ""
    if reply.model is not None and not is_model(reply.model, spec):
        return Outcome("failed", None, model, f"the endpoint answered with the model {reply.model}")
    if reply.refusal or reply.finish_reason == "content_filter":
        return Outcome("refused", None, model, reply.refusal or "content filter")
    if reply.content is None or not reply.content.strip():
        return Outcome("unparsed", None, model, f"no text in the reply: {reply.body[:80]!r}")
    if reply.finish_reason == "length":
        return Outcome("unparsed", None, model, f"cut off at max_tokens {spec['max_tokens']}")
    scores = parse_scores(reply.content, spec["mode"], spec["scale"])
    if scores is None:
        return Outcome("unparsed", None, model, f"no scores at its end: {reply.content.strip()[-80:]!r}")
    return Outcome("parsed", scores, model)


def is_model(returned: str, spec: dict) -> bool:
    """Whether a returned model id is the one asked for, or a dated or tagged version of it ("gpt-4o-2024-08-06").

    "gpt-4o-mini" is no version of "gpt-4o".
    """
    names = spec["returned_models"] or [spec["model"]]
    return any(returned.startswith(name) and VERSION.fullmatch(returned[len(name) :]) for name in names)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
