"""Replies as endpoints send them, and what they mean."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from pipeline.judges.parsing import only_thoughts, parse_parts, parse_scores

MOST_BYTES = 1 << 20  # of a reply; a longer one is cut there and counts as unreadable
VERSION = re.compile(r"([@:].*|-\d{4}(\W.*)?|-\d{6}|-\d{8})?")  # after a model's name: a tag, or a date
KEPT_CHARACTERS = 20_000  # of a reply that cannot be read
CUT = ("length", "max_tokens")  # finish reasons, in lower case
FILTERED = ("content_filter", "safety", "prohibited_content", "blocklist", "recitation", "sensitive", "refusal")
TEXT_PARTS = (None, "text", "output_text")  # types of a content's parts; others are thoughts, images, …
THOUGHTS = ("reasoning_content", "reasoning")  # where some servers put all that a model says
WORDS_PER_TOKEN = 3.0  # no tokenizer reads so many words as one token, nor so many letters without a space:
LETTERS_PER_TOKEN = 32.0
MOST_TOKENS = 10**9  # of a prompt or a reply; what says more is wrong


@dataclass(frozen=True)
class Reply:
    """A chat completion, readable or not.

    Attributes:
        body: as it came; cut where it cannot be read.
        content: the model's text, wherever the endpoint put it; None where there is none.
        refusal, finish_reason, model: as the endpoint gives them, None where it does not.
        prompt_tokens, completion_tokens: as billed, None where the endpoint does not say.
        endpoint: the address that it came from.
        place: where the text was, where that is not the content.
    """

    body: str
    content: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    endpoint: str = ""
    place: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        status: parsed, unparsed, refused or failed.
        scores: one or two where parsed.
        model: id that the endpoint returned, "" where none replied.
        reason: why it is not parsed.
        renamed: whether it failed as the reply came under another model's name.
        setting: whether a setting is the reason, which asking again does not change.
        parts: of each score that was asked for {part: number}, None for one that the reply lacks; None where none were
            asked for.
    """

    status: str
    scores: tuple[float, ...] | None = None
    model: str = ""
    reason: str = ""
    renamed: bool = False
    setting: bool = False
    parts: tuple[dict[str, float | None], ...] | None = None

    @property
    def final(self) -> bool:
        """Whether asking again is of no use."""
        return self.status in ("parsed", "refused")


def read_reply(data: bytes) -> Reply | None:
    """A body of an endpoint's chat completions; None where it is none, but an error, a page, or nothing.

    One that is cut off, or too long, was paid for: it is kept as it is, without content.
    """
    text = data.decode("utf-8", "replace")
    unreadable = Reply(text[:KEPT_CHARACTERS])
    if len(data) > MOST_BYTES:
        return unreadable
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return unreadable if text.lstrip()[:1] == "{" and '"choices"' in text else None
    choice, message = _first_choice(content)
    if message is None:
        return None
    usage = content.get("usage") if isinstance(content.get("usage"), dict) else {}
    finish = _text(choice.get("finish_reason"))
    written, place = _joined(message.get("content")), ""
    if not (written or "").strip() and not cut_off(finish):
        thoughts = {name: _joined(message.get(name)) for name in THOUGHTS}
        place = next((name for name, thought in thoughts.items() if (thought or "").strip()), "")
        written = thoughts[place] if place else written
    refusal = _text(message.get("refusal")) or _joined(message.get("content"), "refusal")
    counts = (_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))
    return Reply(text, written, refusal or None, finish, _text(content.get("model")), *counts, place=place)


def assess(reply: Reply, spec: dict, least_tokens: float = 0) -> Outcome:
    """What a reply means to a judge: its scores, or why it has none.

    Args:
        least_tokens: of the question, see `least_tokens`.
    """
    model, asked = reply.model or "", ", ".join(spec["returned_models"] or [spec["model"]])
    if reply.model is not None and not is_model(reply.model, spec):
        reason = (
            f"the endpoint answered as the model {model[:80]}, {asked} was expected; if that is the model that you "
            f"mean, set returned_models: [{model[:80]}] in judge.yaml, and the replies that are here count"
        )
        return Outcome("failed", None, model, reason, renamed=True)
    finish = (reply.finish_reason or "").lower()
    if reply.refusal or finish in FILTERED:
        return Outcome("refused", None, model, reply.refusal or "content filter")
    empty = reply.content is None or not reply.content.strip()
    if cut_off(finish) and (empty or only_thoughts(reply.content or "")):
        reason = (
            f"no verdict: all of max_tokens {spec['max_tokens']} went into thinking; raise max_tokens in judge.yaml"
        )
        return Outcome("unparsed", None, model, f"{reason}, or lower reasoning_effort", setting=True)
    if empty:
        return Outcome("unparsed", None, model, f"no text in the reply: {reply.body[:80]!r}")
    if cut_off(finish):
        return Outcome("unparsed", None, model, f"cut off at max_tokens {spec['max_tokens']}")
    if reply.prompt_tokens and reply.prompt_tokens < least_tokens:
        reason = (
            f"the endpoint has read {reply.prompt_tokens} tokens of a prompt of at least {least_tokens:.0f}: it cuts "
            "prompts to its context, which is to be made longer there"
        )
        return Outcome("unparsed", None, model, reason, setting=True)
    asked_parts = spec.get("parts", ())
    scores = parse_scores(reply.content, spec["mode"], spec["scale"], bool(asked_parts))
    if scores is None:
        where = f"its {reply.place}, as there is no content" if reply.place else "its end"
        return Outcome("unparsed", None, model, f"no scores at {where}: {reply.content.strip()[-80:]!r}")
    parts = parse_parts(reply.content, spec["mode"], spec["scale"], asked_parts) if asked_parts else None
    return Outcome("parsed", scores, model, parts=parts)


def settled(replies: list[Reply], spec: dict, least_tokens: float = 0) -> Outcome | None:
    """The outcome that replies already give: the first that is final, else the last one's; None without replies."""
    outcomes = [assess(reply, spec, least_tokens) for reply in replies]
    return next((outcome for outcome in outcomes if outcome.final), outcomes[-1] if outcomes else None)


def is_open(replies: list[Reply], spec: dict, addresses: Collection[str] = (), least_tokens: float = 0) -> bool:
    """Whether a request with these replies is still to be asked: none is final, and it has retries left.

    A reply under another model's name is readable once the name is allowed; it is asked again elsewhere alone.

    Args:
        addresses: of the endpoints that can be asked.
    """
    outcome = settled(replies, spec, least_tokens)
    if outcome is None or outcome.final or len(replies) > spec["max_retries"]:
        return outcome is None
    sources = {reply.endpoint for reply in replies if reply.model is not None and not is_model(reply.model, spec)}
    return not sources or any(address not in sources for address in addresses)


def least_tokens(text: str) -> float:
    """The fewest tokens as which any tokenizer may read a text."""
    words, letters = len(text.split()), sum(map(len, re.findall(r"[^\W_]+", text)))
    return max(words / WORDS_PER_TOKEN, letters / LETTERS_PER_TOKEN)


def cut_off(finish_reason: str | None) -> bool:
    """Whether a reply ends as it reached max_tokens."""
    return (finish_reason or "").lower() in CUT


def is_model(returned: str, spec: dict) -> bool:
    """Whether a returned model id is the one asked for, or a dated or tagged version of it ("gpt-4o-2024-08-06").

    "gpt-4o-mini" is no version of "gpt-4o".
    """
    names = spec["returned_models"] or [spec["model"]]
    return any(returned.startswith(name) and VERSION.fullmatch(returned[len(name) :]) for name in names)


def _first_choice(content: object) -> tuple[dict, dict | None]:
    """The choice of a chat completion and its message; None for that where there is none, or an error in its place."""
    choices = content.get("choices") if isinstance(content, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = {"content": choice["text"]} if isinstance(choice.get("text"), str) else choice.get("message")
    if not isinstance(message, dict) or choice.get("error") or choice.get("finish_reason") == "error":
        return {}, None
    # Beside an error an empty message means nothing.
    return (choice, message) if _joined(message.get("content")) or not content.get("error") else ({}, None)


def _joined(content: object, kind: str = "text") -> str | None:
    """A text, or the texts of a content's parts of a kind, text or refusal."""
    if not isinstance(content, list):
        return _text(content) if kind == "text" else None
    types = TEXT_PARTS if kind == "text" else (kind,)
    parts = [{kind: part} if isinstance(part, str) and kind == "text" else part for part in content]
    found = [_text(part.get(kind)) for part in parts if isinstance(part, dict) and part.get("type") in types]
    return "".join(text for text in found if text) or None


def _text(value: object) -> str | None:
    """A text as UTF-8 can hold it: JSON may bring lone surrogates."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def _count(value: object) -> int | None:
    """A number of tokens; None where it is none, or none that could be."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else None
