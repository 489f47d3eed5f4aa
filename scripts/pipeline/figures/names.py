"""Names beside the points of a scatter plot, each on the side where it covers the fewest points and other names."""

import altair as alt
import numpy as np

from pipeline.figures.choice import LABEL
from pipeline.figures.drawing import PAPER, values

# Pixels that a plot has about, a letter of a name, a line of text, and half a point.
ACROSS, DOWN, LETTER, HIGH, POINT = 560, 240, 6.5, 13, 6
SIDES = {  # how a name stands to its point, the most usual first
    "right above": {"align": "left", "dx": 10, "dy": -9},
    "left above": {"align": "right", "dx": -10, "dy": -9},
    "right below": {"align": "left", "dx": 10, "dy": 11},
    "left below": {"align": "right", "dx": -10, "dy": 11},
}


def name_layers(
    points: list[dict], x: alt.X, y: alt.Y, fields: tuple[str, str], height: float = 0.0
) -> list[alt.Chart]:
    """The layers of the names, to be drawn below those of the points.

    Args:
        points: each with its name, and its place in the fields of x and y.
        height: of what is drawn, on the y axis, where it is more than the points'.
    """
    layers = []
    sides = sides_of([(point[fields[0]], point[fields[1]], point["name"]) for point in points], height)
    for side, look in SIDES.items():
        rows = [point for point, found in zip(points, sides, strict=True) if found == side]
        text = alt.Chart(values(rows))
        for edge in ({"stroke": PAPER, "strokeWidth": 4}, {}) if rows else ():
            layers.append(text.mark_text(limit=LABEL, **edge, **look).encode(x=x, y=y, text="name:N"))
    return layers


def sides_of(points: list[tuple[float, float, str]], height: float = 0.0) -> list[str]:
    """A side of SIDES for each (x, y, name), from left to right the one with the fewest points and names below it."""
    places = np.array([point[:2] for point in points], dtype=float)
    spans = np.maximum(np.ptp(places, axis=0), [0, height])
    places = (places - places.min(axis=0)) / np.where(spans > 0, spans, 1) * [ACROSS, -DOWN]
    taken = [(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in places]
    found = [""] * len(points)
    for at in np.argsort(places[:, 0], kind="stable"):
        boxes = {side: _box(*places[at], len(points[at][2]), **look) for side, look in SIDES.items()}
        found[at] = min(boxes, key=lambda side: sum(_meet(boxes[side], other) for other in taken))
        taken.append(boxes[found[at]])
    return found


def _box(x: float, y: float, letters: int, align: str, dx: float, dy: float) -> tuple[float, float, float, float]:
    width, middle = LETTER * letters, y + dy
    left = x + dx if align == "left" else x + dx - width
    return left, middle - HIGH / 2, left + width, middle + HIGH / 2


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
