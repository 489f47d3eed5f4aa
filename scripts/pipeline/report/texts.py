"""Prompts and responses as text, whatever they are in the files."""

import math
from collections.abc import Iterable


def plain_text(content: object) -> str:
    """A prompt or response as text: itself, or the messages of a dialogue, each behind its role."""
    if content is None or (isinstance(content, float) and math.isnan(content)):
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return f"{content.get('role', '')}: {content.get('content', '')}"
    return "\n\n".join(plain_text(part) for part in content) if isinstance(content, Iterable) else str(content)


def response_text(content: object) -> str:
    """A response as text; that of a single message has no role before it."""
    if not isinstance(content, str | dict) and isinstance(content, Iterable) and len(list(content)) == 1:
        content = next(iter(content))
        return plain_text(content.get("content", "")) if isinstance(content, dict) else plain_text(content)
    return plain_text(content)
