"""Keys and passwords have no place in a config: found by their value, their form or the name that they are given."""

import re
from collections.abc import Iterator
from typing import Any

from pipeline.config.errors import PathParts, Problem
from pipeline.jobs.console import SECRETS, known_secrets

# Forms of keys: Hugging Face, OpenAI and its like, Weights & Biases, GitHub, AWS, user and password in an address.
FORMS = {
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "an API key": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "a Weights & Biases key": re.compile(r"\bwandb_v\d+_\w{20,}|^[0-9a-f]{40}$"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"),
    "an AWS key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a bearer token": re.compile(r"\bBearer \S{8,}"),
    "an address with a password": re.compile(r"://[^/\s:@]+:[^/\s@]+@"),
}
NAME = re.compile(r"(^|[_-])(api[_-]?key|(access|auth|hf|hub|wandb)[_-]?token|token|secret|password|passwd)$", re.I)
COMMITS = ("revision",)  # keys whose value may be 40 hexadecimal digits


def refuse_secrets(content: Any, source: str) -> None:
    """Raise for the first thing in a config that is, or looks like, a key or a password; its value is not shown.

    Args:
        content: as read from YAML, not yet validated.
        source: file that it is from, or "config".

    Raises:
        ConfigError: there is such a thing.
    """
    known = known_secrets()
    for path, text, is_name in _texts(content, ()):
        key = str(path[-1]) if path else ""
        why = _reason(text, key, known) or (None if is_name or not NAME.search(key) else "a key or a password")
        if why:
            shown = path[:-1] if is_name else path
            where = ", ".join(SECRETS[:-1]) + f" and {SECRETS[-1]}"
            words = f"it looks like {why}, which has no place in a config; put it into the environment, or into a file "
            raise Problem(shown, words + f".env beside the Snakefile: {where} are read from there").error(source, {})


def _reason(text: str, key: str, known: list[str]) -> str | None:
    """What kind of secret a text is, None where it is none."""
    if any(value in text for value in known):
        return "a secret of the environment or of .env"
    for name, form in FORMS.items():
        if form.search(text) and not (key in COMMITS and re.fullmatch("[0-9a-f]{40}", text)):
            return name
    return None


def _texts(content: Any, path: PathParts) -> Iterator[tuple[PathParts, str, bool]]:
    """Every text in a config with the path to it, and whether it is itself a key of a mapping."""
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(key, str):
                yield (*path, key), key, True
            yield from _texts(value, (*path, key))
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield from _texts(value, (*path, index))
    elif isinstance(content, str):
        yield path, content, False
