"""Names beside the points of a chart, each on the side where it covers the fewest points and other names."""

from collections.abc import Callable

import altair as alt
import numpy as np

from pipeline.figures.choice import LABEL
from pipeline.figures.drawing import PAPER, values

# Pixels that a plot has about, a letter of a name, a line of text, and half a point.
ACROSS, DOWN, LETTER, HIGH, POINT = 560, 240, 6.5, 13, 6
OUTSIDE = 4  # how much worse it is to be cut off than to be covered
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def _sides(across: int, up: int, down: int) -> dict[str, dict]:
    """How a name stands to its point, the most usual first: so many pixels away from it."""
    return {
        "right above": {"align": "left", "dx": across, "dy": -up},
        "left above": {"align": "right", "dx": -across, "dy": -up},
        "right below": {"align": "left", "dx": across, "dy": down},
        "left below": {"align": "right", "dx": -across, "dy": down},
    }


SIDES = _sides(10, 9, 11)
BESIDE_CIRCLES = _sides(9, 12, 13)


def name_layers(
    points: list[dict], x: alt.X, y: alt.Y, fields: tuple[str, str], height: float = 0.0
) -> list[alt.Chart]:
    """The layers of the names, to be drawn below those of the points.

    Args:
        points: each with its name, and its place in the fields of x and y.
        height: of what is drawn, on the y axis, where it is more than the points'.
    """
    sides = sides_of([(point[fields[0]], point[fields[1]], point["name"]) for point in points], height)
    return text_layers(points, sides, SIDES, x, y)


def text_layers(
    points: list[dict], sides: list[str], looks: dict[str, dict], x: alt.X, y: alt.Y, longest: float = LABEL
) -> list[alt.Chart]:
    """The points' names on their sides, on a paper's edge; those longer than so many pixels are cut."""
    layers = []
    for side, look in looks.items():
        rows = [point for point, found in zip(points, sides, strict=True) if found == side]
        text = alt.Chart(values(rows))
        for edge in ({"stroke": PAPER, "strokeWidth": 4}, {}) if rows else ():
            layers.append(text.mark_text(limit=longest, **edge, **look).encode(x=x, y=y, text="name:N"))
    return layers


def sides_of(points: list[tuple[float, float, str]], height: float = 0.0) -> list[str]:
    """A side of SIDES for each (x, y, name), from left to right the one with the fewest points and names below it."""
    places = np.array([point[:2] for point in points], dtype=float)
    spans = np.maximum(np.ptp(places, axis=0), [0, height])
    places = (places - places.min(axis=0)) / np.where(spans > 0, spans, 1) * [ACROSS, -DOWN]
    order = np.argsort(places[:, 0], kind="stable")
    sides = _chosen(
        [(*places[at], LETTER * len(points[at][2])) for at in order],
        [(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in places],
        SIDES,
        lambda box, taken: sum(_shared(box, other) > 0 for other in taken),
    )
    return [side for _, side in sorted(zip(order, sides, strict=True))]


def sides_within(
    names: list[str], points: list[tuple[float, float]], drawn: list[Box], size: tuple[float, float], longest: float
) -> list[str]:
    """A side of BESIDE_CIRCLES for each name, one after the other: where it covers least and is least cut off.

    Args:
        points: of each name, pixels from the left and from the top.
        drawn: what should not be covered, such as points and their intervals.
        size: width and height of the chart in pixels.
        longest: pixels that a name is cut at.
    """

    def badness(box: Box, taken: list[Box]) -> float:
        outside = (box[2] - box[0]) * (box[3] - box[1]) - _shared(box, (0, 0, *size))
        return sum(_shared(box, other) for other in taken) + OUTSIDE * outside

    widths = [min(LETTER * len(name), longest) for name in names]
    texts = [(*point, width) for point, width in zip(points, widths, strict=True)]
    return _chosen(texts, drawn, BESIDE_CIRCLES, badness)


def _chosen(
    texts: list[tuple[float, float, float]],
    drawn: list[Box],
    looks: dict[str, dict],
    badness: Callable[[Box, list[Box]], float],
) -> list[str]:
    """For each (x, y, width) of a text the side that is least bad, beside what is drawn and the texts before it."""
    taken, found = list(drawn), []
    for text in texts:
        boxes = {side: _box(*text, **look) for side, look in looks.items()}
        found.append(min(boxes, key=lambda side: badness(boxes[side], taken)))
        taken.append(boxes[found[-1]])
    return found


def _box(x: float, y: float, width: float, align: str, dx: float, dy: float) -> Box:
    middle = y + dy
    left = x + dx if align == "left" else x + dx - width
    return left, middle - HIGH / 2, left + width, middle + HIGH / 2


def _shared(one: Box, other: Box) -> float:
    """Square pixels that both boxes have."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0) * max(down, 0)
