"""Scores and parts from a judge's reply: a JSON object that is the whole reply, or the reply's last lines."""

import json
import re

from pipeline.judges.prompts import PARTS_LINE, SCORES, WINNERS

NUMBER = r"(\d{1,4}(?:\.\d{1,4})?)"
LINES = {
    "pairwise": re.compile(rf"SCORES: *A *= *{NUMBER}[ ,;]+B *= *{NUMBER}\.?", re.IGNORECASE | re.ASCII),
    "single": re.compile(rf"SCORE: *{NUMBER}\.?", re.IGNORECASE | re.ASCII),
}
FENCE = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL)
DECORATION = "*_` \t"  # Markdown around a line
# Thoughts that a server left in front of the reply, in the forms of several models; some leave out the beginning.
THINKING = re.compile(
    r"\s*(<(think|thinking|thought|reasoning|seed:think)>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>analysis)"
)
THOUGHT = re.compile(
    r"</(?:think|thinking|thought|reasoning|seed:think)>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|"
    r"<\|channel\|>final(?: [^<]*)?<\|message\|>"
)


def parse_scores(content: str, mode: str, scale: list[float], with_parts: bool = False) -> tuple[float, ...] | None:
    """The scores in a reply, None where it has none in the form that was asked for.

    A reply that begins with a brace (or is one fenced block) must be the JSON object as a whole. Of any other reply
    only the last line that is not empty counts, and that must be the verdict as a whole. Thoughts in front of it, which
    end with </think> or the like, are no part of it. A score outside the scale is none.

    Args:
        mode: pairwise, with the scores of A and B; or single, with one score.
        scale: lowest and highest score.
        with_parts: whether parts were asked for, which the object may then have, whatever they are.
    """
    _, scores = _verdict(content, mode, with_parts)
    if scores is None or not all(scale[0] <= score <= scale[1] for score in scores):
        return None
    return scores


def parse_parts(content: str, mode: str, scale: list[float], names: list[str]) -> tuple[dict[str, float | None], ...]:
    """The parts in a reply whose scores can be read.

    Returns:
        pairwise: those of A and of B, 1 where it is the better one in a part, 0 where the other one is, ½ for a tie.
        single: those of the one answer, on the scale. What is not in the reply in the form that was asked for is None.
    """
    text, _ = _verdict(content, mode, True)
    fenced = FENCE.fullmatch(text)
    if text.startswith("{") or fenced:
        found = _read_json(fenced[1] if fenced else text).get("parts")
    else:
        lines = [line.strip(DECORATION) for line in text.splitlines() if line.strip()][-2:-1]
        found = _read_json(lines[0].removeprefix(PARTS_LINE)) if lines and lines[0].startswith(PARTS_LINE) else None
    found = found if isinstance(found, dict) else {}
    if mode == "pairwise":
        won = {name: {"A": 1.0, "B": 0.0, "tie": 0.5}[found[name]] for name in names if found.get(name) in WINNERS}
        first = {name: won.get(name) for name in names}
        return first, {name: None if value is None else 1 - value for name, value in first.items()}
    numbers = {name: value for name, value in found.items() if _is_number(value) and scale[0] <= value <= scale[1]}
    return ({name: None if name not in numbers else float(numbers[name]) for name in names},)


def _verdict(content: str, mode: str, with_parts: bool) -> tuple[str, tuple[float, ...] | None]:
    """The text of a verdict, without thoughts in front of it, and its scores; None where there are none."""
    text = content.strip()
    whole = text.startswith(("{", "```"))
    # Thoughts may quote the mark of their end, so each is tried; what is behind it counts as a whole.
    starts = [0] if whole else [0, *(mark.end() for mark in THOUGHT.finditer(text))]
    texts = [text[start:].strip() for start in starts]
    found = ((text, _scores(text, mode, with_parts)) for text in texts)
    return next(((text, scores) for text, scores in found if scores is not None), (text, None))


def only_thoughts(content: str) -> bool:
    """Whether a reply begins with thoughts that do not end."""
    return bool(THINKING.match(content)) and not THOUGHT.search(content)


def _scores(text: str, mode: str, with_parts: bool) -> tuple[float, ...] | None:
    """The scores of a reply without thoughts, whatever the scale."""
    fenced = FENCE.fullmatch(text)
    if text.startswith("{") or fenced:
        return _from_json(fenced[1] if fenced else text, SCORES[mode], with_parts)
    lines = [line for line in text.splitlines() if line.strip()]
    found = LINES[mode].fullmatch(lines[-1].strip(DECORATION)) if lines else None
    return tuple(map(float, found.groups())) if found else None


def _from_json(text: str, keys: tuple[str, ...], with_parts: bool) -> tuple[float, ...] | None:
    """The numbers of a JSON object that has these keys once each, and besides them at most reasons and parts."""
    content = _read_json(text)
    if not set(keys) <= set(content) <= {*keys, "reasons", *(["parts"] if with_parts else [])}:
        return None
    values = [content[key] for key in keys]
    if not all(map(_is_number, values)):
        return None
    try:
        return tuple(map(float, values))
    except OverflowError:  # a number of hundreds of digits
        return None


def _read_json(text: str) -> dict:
    """A JSON object in which no key stands twice; an empty one where the text is none."""
    try:
        content = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distinct(pairs: list[tuple]) -> dict:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no score")
