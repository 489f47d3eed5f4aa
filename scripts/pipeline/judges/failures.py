"""What endpoints say instead of a reply, and what follows from it: one table.

OpenAI, Azure, vLLM, Ollama, llama.cpp, TGI, LiteLLM, OpenRouter and other providers say the same things with other
statuses, codes and words, some of them with status 200. All of it is brought to one line of text; the first row of
MANNERS that fits it says what follows.
"""

import contextlib
import email.utils
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

# What follows.
AGAIN = "asked again, and it counts against the endpoint"
WAITS = "asked again; the endpoint works and wants fewer requests, or this reply went wrong"
ENDS = "ends the job: no request would be answered"
REFUSED = "this verdict is refused"
FAILED = "this verdict failed: the request would never be answered"
PLAIN = "asked without the JSON schema"

CODES = ("code", "type", "@type", "error_type", "status", "reason", "param", "loc")
WORDS = ("message", "msg", "detail", "details", "title", "error", "error_description", "reasons", "raw", "retryDelay")
INSIDE = ("error", "errors", "innererror", "metadata", "details", "detail", "choices", "body")
MOST_CHARACTERS = 500  # of an endpoint's words in messages
REFUSES = (
    r"(unsupported|n.t support|not support|not compatible|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|"
    r"extra_forbidden|invalid|illegal|deprecated|must be|should be|too (large|high|big)|cannot|only the default|"
    r"at most|less than|greater than|exceed|out of range)"
)


class Manner(NamedTuple):
    """A row: what is looked for in an endpoint's words, with which statuses (any where none), and what follows."""

    follows: str
    words: str
    advice: str = ""
    statuses: range | tuple[int, ...] = range(1000)
    sure: bool = True  # whether it is known what is meant; a few of another kind in a row end the job


PAY = "pay in, or name another account's key by api_key_env in judge.yaml; all replies are kept, run again to go on"
KEY = "see api_key_env in judge.yaml, which names the variable that holds the key"
MODEL = "see model in judge.yaml, or base_url"
ADDRESS = "see base_url (it mostly ends in /v1) and model in judge.yaml"
ERRORS = range(200, 600)  # with 200, an error inside it that gives no status
MANNERS = (
    # the account
    Manner(ENDS, "", PAY, (402,)),
    Manner(
        ENDS,
        r"insufficient.{0,20}(quota|balance|credit|fund)|credits?\b.{0,30}(too low|depleted|exhausted|exceeded)|"
        r"(out of|more|no|any|enough) credits|billing_(hard_limit|not_active)|hard limit|quota is not enough|"
        r"arrearage|good standing|余额|欠费|recharge|budget.{0,10}exceeded|exceeded.?budget|over budget|"
        r"spend(ing)?.limit|payment required|key limit exceeded|usage limits?\b.*regain|account.{0,60}\b(deactivated|"
        r"suspended|disabled|banned|not active|flagged|terminated)",
        PAY,
        ERRORS,
    ),
    Manner(WAITS, r"resource_exhausted|retryinfo", statuses=(429,)),
    Manner(ENDS, r"exceeded.{0,6}current.quota", PAY, ERRORS),
    # this request
    Manner(
        REFUSED,
        r"content[ _-]?(management[ _-]?)?(filter|policy|moderat|exists risk|violat)|responsibleai|moderation|"
        r"(input|prompt|request|content|text|message)s?\b.{0,40}flagged|\bflagged (as|by|for)|data_?inspection|"
        r"inappropriate content|high risk|usage (policy|policies|guidelines)|prohibited_content|harmful|due to safety|"
        r"\bsafety[ _](system|filter|check|polic|reason|guideline|violation)|guardrail_?interven|"
        r"blocked by.{0,30}guardrail|sensitive (content|word|info)|invalid_prompt|敏感|不安全",
        statuses=(200, 400, 403, 406, 422, 424, 446, 451, 500),
    ),
    Manner(
        FAILED,
        r"context[ _-]?(length|window|size)|exceed_context|too many (input )?tokens(?!, please wait)|"
        r"(prompt|input|message|request|string|text)s?\b.{0,20} too (long|large)|string_above_max_length|"
        r"request_too_large|(payload|entity) too large|reduce (the length|your message)|tokens must be reduced|"
        r"input length|inputs` tokens|must have less than \d+ tokens|max_tokens must be at least 1, got -|"
        r"maximum (prompt|input|sequence|allowed) (length|tokens|size)|longer than the",
        "",
        ERRORS,
    ),
    Manner(FAILED, "", statuses=(413, 414, 431)),
    Manner(WAITS, r"json_validate_failed|failed to (generate|validate) json"),
    # what is asked for
    Manner(
        PLAIN,
        r"response_?format|json[_ ]?schema|json mode|structured[ _]output|guided[_ ](json|decoding)|response_schema|"
        r"output_(format|config)|grammar|additionalproperties|xgrammar",
        "set structured: none in judge.yaml",
        ERRORS,
    ),
    Manner(
        ENDS,
        r"model_?not_?found|invalid_?model|unknown_?model|model_not_supported|model_decommissioned|deploymentnotfound|"
        r"\bmodel\b.{0,90}(not exist|n.t exist|not found|not available|not a valid|not a chat model|decommissioned|"
        r"is not supported\.|only supported in)|(no such|unknown|invalid|unrecognized|unsupported) model|"
        r"not a valid model|not a chat model|deployment.{0,60}not exist|no endpoints (found|available)|"
        r"no available channel|access.{0,20} model\b",
        MODEL,
        ERRORS,
    ),
    *(
        Manner(ENDS, rf"(?=.*\b{name})(?=.*{REFUSES})", f"see {keys} in judge.yaml", (200, 400, 404, 422, 501))
        for name, keys in (
            (r"max_(completion_)?tokens.{0,40}too (large|high|big)", "max_tokens"),
            (
                r"(max_(completion|output|new)_?tokens|max_?tokens|maxoutputtokens)\b",
                "token_limit (max_tokens or max_completion_tokens) and max_tokens",
            ),
            (r"temperature\b", "temperature (null sends none)"),
            (r"(reasoning|thinking|effort)", "reasoning_effort (null sends none)"),
        )
    ),
    # not now
    Manner(WAITS, "", statuses=(429,)),
    Manner(WAITS, r"rate.?limit|too many requests|throttl", "", ERRORS),
    Manner(AGAIN, r"overloaded|temporarily|try again later|(currently )?loading|service.?unavailable"),
    # nobody
    Manner(ENDS, "", KEY, (401, 407)),
    Manner(
        ENDS,
        r"api.?key|authenticat|unauthori[sz]ed|not authori[sz]ed|subscription key|access.?token|permission|"
        r"access (is )?denied|no access|country, region|not allowed to|organi[sz]ation.{0,40}(must|verif|not|disabled)",
        KEY,
        (200, 400, 403),
    ),
    Manner(ENDS, r"localprotocolerror|unicode.*error", KEY, (0,)),
    Manner(ENDS, r"unsupportedprotocol|invalid ?url|certificate.?verify|missing an 'http", ADDRESS, (0,)),
    Manner(AGAIN, "", statuses=(0, *range(100, 300), 408, 409, 421, 423, 424, 425, 499, *range(500, 1000))),
    Manner(ENDS, "", ADDRESS, (*range(300, 400), 404, 405, 410)),
    Manner(REFUSED, "", "see api_key_env and base_url in judge.yaml", (403, 451), sure=False),
    Manner(FAILED, "", "see model, base_url, temperature, max_tokens and token_limit in judge.yaml", sure=False),
)
PATTERNS = [re.compile(manner.words, re.DOTALL) for manner in MANNERS]
WAIT = re.compile(
    r"(?:try again|retry) (?:in|after) (?:(\d+)h)?(?:(\d+)m(?!s))?"
    r"(?:(\d+(?:\.\d+)?)(?![\d-]) ?(ms|mil|s\b|sec|min|h)?)?"
)


@dataclass(eq=False)
class Failure(Exception):  # noqa: N818
    """A request that got no reply.

    Attributes:
        follows: one of the constants above.
        reason: status and the endpoint's own words.
        advice: which key of judge.yaml it is about, "" where none.
        sure: see `Manner`.
        wait: seconds that the endpoint asks to be left alone, None where it does not say.
    """

    follows: str
    reason: str
    advice: str = ""
    sure: bool = True
    wait: float | None = None

    def __str__(self) -> str:
        return self.reason


def failure(status: int, text: str, headers: Mapping[str, str] | None = None, structured: bool = False) -> Failure:
    """What follows from an answer that is no reply.

    Args:
        status: of HTTP; 0 where the connection failed. With 200, that of the error in the body counts where it has one.
        text: the body, without secrets.
        structured: whether the request had a JSON schema.
    """
    codes, words = _parts(text)
    if 200 <= status < 300:
        status = next((int(code) for code in codes if re.fullmatch("[45]\\d\\d", code)), status)
    own_words = "; ".join(dict.fromkeys(words)) or _plain(text)
    said = " ".join([*codes, *words] if codes or words else [own_words]).lower()
    for manner, pattern in zip(MANNERS, PATTERNS, strict=True):
        if status in manner.statuses and pattern.search(said) and (structured or manner.follows != PLAIN):
            break
    wait = wait_of(headers or {}, said) if manner.follows in (AGAIN, WAITS) else None
    named = [code for code in dict.fromkeys(codes) if not code.isdigit() and code not in own_words][:3]
    reason = " ".join([str(status or ""), *([f"({', '.join(named)})"] if named else []), own_words]).strip()
    return Failure(manner.follows, reason[:MOST_CHARACTERS], manner.advice, manner.sure, wait)


def no_reply(reason: str) -> Failure:
    """Nothing came in time, or what came is no answer of such an interface."""
    return Failure(AGAIN, reason[:MOST_CHARACTERS])


def _parts(text: str) -> tuple[list[str], list[str]]:
    """Codes (with types and parameters) and words of an error, wherever an endpoint's JSON has them.

    Other parts are left out, as they may quote the prompt, in which nothing may decide what follows.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return [], []
    codes, words = [], []
    for key, value in _values(content, "error", 0):
        if key in WORDS:
            words.append(value.strip())
        else:
            codes.append(value)
    return codes, [word for word in words if word]


def _values(content: object, key: str, depth: int) -> Iterator[tuple[str, str]]:
    """The texts and numbers below the keys that are looked at."""
    if depth > 8:
        return
    if isinstance(content, str):
        if content.lstrip().startswith(("{", "[")) and key in WORDS:
            with contextlib.suppress(ValueError, RecursionError):
                yield from _values(json.loads(content), key, depth + 1)
                return
        yield key, f"retry in {content[:20]}" if key == "retryDelay" else content[:2000]
    elif isinstance(content, int) and not isinstance(content, bool) and key in CODES:
        yield key, str(content) if abs(content) < 10**9 else ""
    elif isinstance(content, list):
        for item in content[:20]:
            yield from _values(item, key, depth + 1)
    elif isinstance(content, dict):
        for name, value in content.items():
            if name in CODES or name in WORDS or (name in INSIDE and not isinstance(value, str)):
                yield from _values(value, name, depth + 1)


def _plain(text: str) -> str:
    """Words of a body that is no JSON: of a page its title and text, or the beginning."""
    if re.match(r"\s*<", text):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
        body = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text[:20_000], flags=re.DOTALL | re.IGNORECASE)
        text = f"an HTML page: {title[1] if title else body}"
    return " ".join(text[:2000].split()) or "an empty body"


def wait_of(headers: Mapping[str, str], said: str) -> float | None:
    """Seconds that an endpoint asks for, in its headers or in its words; None where it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with contextlib.suppress(ValueError):
            seconds = float(headers.get(name) or "") / unit
            if not math.isnan(seconds):
                return max(0.0, seconds)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(headers.get("retry-after") or "").timestamp() - time.time())
    found = WAIT.search(said)
    if not found or not any(found.groups()):
        return None
    hours, minutes, number, unit = found.groups()
    seconds = float(number or 0) * {"ms": 0.001, "mil": 0.001, "min": 60.0, "h": 3600.0}.get(unit or "s", 1.0)
    return 3600.0 * float(hours or 0) + 60.0 * float(minutes or 0) + seconds
