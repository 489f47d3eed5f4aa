"""On which side of its point each name in a chart stands, so that it covers little of what is drawn."""

from typing import NamedTuple

LETTER, LINE = 6.5, 14  # pixels of a letter's width and of a line's height, about
OUTSIDE = 4  # how much worse it is to be cut off than to be covered


class Side(NamedTuple):
    """Where a text stands by its point, as Vega's marks take it: alignment, and pixels to the right and down."""

    align: str
    dx: int
    dy: int


SIDES = [Side("left", 9, -12), Side("right", -9, -12), Side("left", 9, 13), Side("right", -9, 13)]
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels from the chart's left and top


def sides_of(
    names: list[str], points: list[tuple[float, float]], drawn: list[Box], size: tuple[float, float], longest: float
) -> list[Side]:
    """A side for each name, chosen one after the other: the first of SIDES that covers least and is least cut off.

    Args:
        points: of each name, pixels from the left and from the top.
        drawn: what should not be covered, such as points and their intervals.
        size: width and height of the chart in pixels.
        longest: pixels that a name is cut at.
    """
    placed: list[Box] = []
    sides = []
    for name, point in zip(names, points, strict=True):
        width = min(LETTER * len(name), longest)
        boxes = {side: _box(point, side, width) for side in SIDES}
        covered = {
            side: sum(_shared(box, other) for other in [*drawn, *placed]) + OUTSIDE * _outside(box, size)
            for side, box in boxes.items()
        }
        side = min(SIDES, key=covered.__getitem__)
        placed.append(boxes[side])
        sides.append(side)
    return sides


def _box(point: tuple[float, float], side: Side, width: float) -> Box:
    left = point[0] + side.dx - (width if side.align == "right" else 0)
    middle = point[1] + side.dy
    return left, middle - LINE / 2, left + width, middle + LINE / 2


def _shared(one: Box, other: Box) -> float:
    """Square pixels that both boxes have."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0) * max(down, 0)


def _outside(box: Box, size: tuple[float, float]) -> float:
    """Square pixels of a box that are outside of the chart."""
    return (box[2] - box[0]) * (box[3] - box[1]) - _shared(box, (0, 0, *size))
