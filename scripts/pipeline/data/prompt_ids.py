"""What a prompt is known by."""

import hashlib
import json
import unicodedata
from typing import Any


def prompt_id(prompt: Any) -> str:
    """The stable id of a prompt: 16 hex characters of the SHA-256 of its text, or of its messages' roles and texts.

    Unicode is normalised (NFC) and runs of white space count as one space, so that prompts that differ in nothing
    else share an id, and with it a split.
    """
    if not isinstance(prompt, str):
        prompt = json.dumps([[message["role"], normalised(message["content"])] for message in prompt])
    return hashlib.sha256(normalised(prompt).encode()).hexdigest()[:16]


def normalised(text: str) -> str:
    """A text in NFC, runs of white space as one space."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())
