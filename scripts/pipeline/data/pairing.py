"""One row's pair: where its prompt ends and its responses begin.

The prompt has all turns that both responses share, and ends with a turn of the user (or of a tool that it called); each
response is one turn of the assistant. A row that cannot be brought into this form is `UnusableError`.
"""

import re

from pipeline.data.messages import Turns, UnusableError, cleaned, uses_tools

MOVED = "leading turns that both responses share moved to the prompt"
SYSTEM_ADDED = "system text made a turn"

# What can stand before an answer on the last line that both texts share.
_NAMES = "assistant|answer|response|output|completion|reply|summary|tl;dr|bot|chatbot|model|ai|gpt|a"
_MARK = re.compile(rf"^\W*(?:{_NAMES})\W*:\**|\bassistant:|<\|\w+\|>|\[/inst\]", re.IGNORECASE)


def pair_of(prompt: Turns | None, chosen: Turns, rejected: Turns, changes: set[str]) -> tuple[Turns, Turns, Turns]:
    """A row's prompt and its two responses.

    Args:
        prompt: the source's own, of `messages.turns`; None where it stands in the responses alone.
        chosen, rejected: the responses, or the conversations that end with them. Where both are whole conversations,
            their common beginning is the prompt, and the given one is only checked against the users' turns.
        changes: what was changed, which this adds to.

    Raises:
        UnusableError: prompts_differ, or malformed.
    """
    if not chosen or not rejected:
        raise UnusableError("malformed", "a response without turns")
    given = prompt or []
    chosen, rejected = _without(given, chosen), _without(given, rejected)
    count = shared_turns(chosen, rejected)
    lead, chosen, rejected = chosen[:count], chosen[count:], rejected[count:]
    if lead and given and lead[0]["role"] != "assistant" and given[-1]["role"] != "assistant":
        if _text(given[-1]) not in {_text(turn) for turn in lead if turn["role"] == "user"}:
            raise UnusableError("prompts_differ")
        given = []
    elif lead and given:
        changes.add(MOVED)
    whole = [*given, *lead]
    for response in (chosen, rejected):
        check_response(response)
    check_prompt(whole)
    return cleaned(whole), cleaned(chosen), cleaned(rejected)


def shared_turns(one: Turns, other: Turns) -> int:
    """How many turns two conversations begin with in common, each keeping its last."""
    most = min(len(one), len(other)) - 1
    return next((i for i in range(most) if one[i] != other[i]), max(most, 0))


def check_response(response: Turns) -> None:
    """Raise UnusableError where a response is not one turn of the assistant."""
    if any(map(uses_tools, response)):
        raise UnusableError("malformed", "tool calls")
    if response[0]["role"] != "assistant":
        if len(response) > 1:
            raise UnusableError("prompts_differ")
        raise UnusableError("malformed", "a response that is not the assistant's")
    if len(response) > 1:
        what = "of several messages" if response[-1]["role"] == "assistant" else "that ends with the user"
        raise UnusableError("malformed", f"a response {what}")


def check_prompt(prompt: Turns) -> None:
    """Raise UnusableError where a prompt asks nothing."""
    if not prompt:
        raise UnusableError("malformed", "no prompt")
    if prompt[-1]["role"] == "assistant" or prompt[-1]["role"] == "system":
        raise UnusableError("malformed", f"a prompt that ends with the {prompt[-1]['role']}")


def with_system(prompt: Turns, system: str | None, changes: set[str]) -> Turns:
    """The prompt with a system turn in front; an empty text is no turn.

    Raises:
        UnusableError: the prompt has another system turn already.
    """
    if not system or not system.strip():
        return prompt
    if prompt[0]["role"] == "system":
        if _text(prompt[0]) != " ".join(system.split()):
            raise UnusableError("malformed", "two system texts")
        return prompt
    changes.add(SYSTEM_ADDED)
    return [{"role": "system", "content": system}, *prompt]


def cut_texts(chosen: str, rejected: str) -> tuple[str, str, str]:
    """(prompt, chosen, rejected) of two texts that begin with the same prompt.

    The cut is after the last line break, or the last mark of the assistant's role, inside their common beginning.

    Raises:
        UnusableError: there is no such place.
    """
    length = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    shared = chosen[: min(len(chosen), len(rejected)) if length is None else length]
    line = shared.rfind("\n") + 1
    marks = [found.end() for found in _MARK.finditer(shared[line:])]
    cut = line + max(marks, default=0)
    if not shared[:cut].strip():
        raise UnusableError("malformed", "no place to cut the prompt from the responses")
    return chosen[:cut], chosen[cut:], rejected[cut:]


def _without(prompt: Turns, response: Turns) -> Turns:
    """A response without the prompt's turns, where it begins with them and goes on."""
    count = len(prompt)
    return response[count:] if 0 < count < len(response) and response[:count] == prompt else response


def _text(turn: dict[str, str]) -> str:
    return " ".join(turn["content"].split())
