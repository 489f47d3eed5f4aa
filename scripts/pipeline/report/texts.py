"""Prompts and responses as text, whatever they are in the files."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable

from pipeline.report.embedding import printable

LOOKED_AT = 300  # characters of a text, to tell its script


def plain_text(content: object) -> str:
    """A prompt or response as text: itself, or the messages of a dialogue, each behind its role."""
    if content is None or (isinstance(content, float) and math.isnan(content)):
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return f"{content.get('role', '')}: {content.get('content', '')}"
    return "\n\n".join(plain_text(part) for part in content) if isinstance(content, Iterable) else str(content)


def turns(content: object) -> list[list]:
    """The turns of a dialogue: [role, start, end] in what `plain_text` gives, role left out of it; [] for a text.

    Places are counted as browsers count them, in units of UTF-16.
    """
    if isinstance(content, str | dict) or not isinstance(content, Iterable):
        return []
    found, start = [], 0
    for message in content:
        if not isinstance(message, dict):
            return []
        end = start + _units(plain_text(message))
        role, said = str(message.get("role", "")), str(message.get("content", ""))
        found.append([printable(role), end - _units(said), end])
        start = end + _units("\n\n")
    return found


def script_of(text: str) -> str:
    """The script that most letters at the beginning of a text are of, by Unicode's names: LATIN, ARABIC, CJK, …"""
    letters = (unicodedata.name(letter, "").partition(" ")[0] for letter in text[:LOOKED_AT] if letter.isalpha())
    return next((name for name, _ in Counter(letters).most_common(1)), "")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def response_text(content: object) -> str:
    """A response as text; that of a single message has no role before it."""
    if not isinstance(content, str | dict) and isinstance(content, Iterable) and len(list(content)) == 1:
        content = next(iter(content))
        return plain_text(content.get("content", "")) if isinstance(content, dict) else plain_text(content)
    return plain_text(content)
