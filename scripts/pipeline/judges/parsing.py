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


def parse_scores(content: str, mode: str, scale: list[float]) -> tuple[float, ...] | None:
    """The scores in a reply, None where it has none in the form that was asked for.

    A reply that begins with a brace (or is one fenced block) must be the JSON object as a whole. Of any other reply
    only the last line that is not empty counts, and that must be the verdict as a whole. A score outside the scale is
    none.

    Args:
        mode: pairwise, with the scores of A and B; or single, with one score.
        scale: lowest and highest score.
    """
    text = content.strip()
    fenced = FENCE.fullmatch(text)
    if text.startswith("{") or fenced:
        scores = _from_json(fenced[1] if fenced else text, SCORES[mode])
    else:
        lines = [line for line in text.splitlines() if line.strip()]
        found = LINES[mode].fullmatch(lines[-1].strip(DECORATION)) if lines else None
        scores = tuple(map(float, found.groups())) if found else None
    if scores is None or not all(scale[0] <= score <= scale[1] for score in scores):
        return None
    return scores


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
    return tuple(map(float, values))


def _distinct(pairs: list[tuple]) -> dict:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no score")
