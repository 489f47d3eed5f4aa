"""Scores from a judge's reply: a JSON object that is the whole reply, or the reply's last line."""

import json
import re

from pipeline.judges.prompts import SCORES

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


def parse_scores(content: str, mode: str, scale: list[float]) -> tuple[float, ...] | None:
    """The scores in a reply, None where it has none in the form that was asked for.

    A reply that begins with a brace (or is one fenced block) must be the JSON object as a whole. Of any other reply
    only the last line that is not empty counts, and that must be the verdict as a whole. Thoughts in front of it, which
    end with </think> or the like, are no part of it. A score outside the scale is none.

    Args:
        mode: pairwise, with the scores of A and B; or single, with one score.
        scale: lowest and highest score.
    """
    text = content.strip()
    whole = text.startswith(("{", "```"))
    # Thoughts may quote the mark of their end, so each is tried; what is behind it counts as a whole.
    starts = [0] if whole else [0, *(mark.end() for mark in THOUGHT.finditer(text))]
    found = (_scores(text[start:].strip(), mode) for start in starts)
    scores = next((scores for scores in found if scores is not None), None)
    if scores is None or not all(scale[0] <= score <= scale[1] for score in scores):
        return None
    return scores


def only_thoughts(content: str) -> bool:
    """Whether a reply begins with thoughts that do not end."""
    return bool(THINKING.match(content)) and not THOUGHT.search(content)


def _scores(text: str, mode: str) -> tuple[float, ...] | None:
    """The scores of a reply without thoughts, whatever the scale."""
    fenced = FENCE.fullmatch(text)
    if text.startswith("{") or fenced:
        return _from_json(fenced[1] if fenced else text, SCORES[mode])
    lines = [line for line in text.splitlines() if line.strip()]
    found = LINES[mode].fullmatch(lines[-1].strip(DECORATION)) if lines else None
    return tuple(map(float, found.groups())) if found else None


def _from_json(text: str, keys: tuple[str, ...]) -> tuple[float, ...] | None:
    """The numbers of a JSON object that has these keys once each, and besides them at most reasons."""
    try:
        content = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not set(keys) <= set(content) <= {*keys, "reasons"}:
        return None
    values = [content[key] for key in keys]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return None
    try:
        return tuple(map(float, values))
    except OverflowError:  # a number of hundreds of digits
        return None


def _distinct(pairs: list[tuple]) -> dict:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no score")
