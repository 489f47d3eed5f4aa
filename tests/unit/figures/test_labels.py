"""Sides of names in a chart: to the right above, unless that is taken or outside."""

import pytest

from pipeline.figures.labels import SIDES, sides_of

RIGHT_ABOVE, LEFT_ABOVE, RIGHT_BELOW, LEFT_BELOW = SIDES
SIZE = 300, 320


def side(*points, drawn=(), names=None, longest=190):
    return sides_of(names or ["A NAME"] * len(points), list(points), list(drawn), SIZE, longest)


@pytest.mark.parametrize(
    ("point", "found"),
    [
        ((20, 160), RIGHT_ABOVE),
        ((280, 160), LEFT_ABOVE),
        ((20, 4), RIGHT_BELOW),
        ((280, 4), LEFT_BELOW),
    ],
)
def test_a_name_stays_inside(point, found):
    assert side(point) == [found]


def test_names_of_close_points_do_not_cover_each_other():
    assert side((100, 160), (104, 163)) == [RIGHT_ABOVE, LEFT_ABOVE]
    assert len({*side((100, 160), (104, 163), (102, 158), (98, 161))}) == 4


def test_what_is_drawn_is_not_covered():
    assert side((100, 160), drawn=[(110, 140, 130, 155)]) == [LEFT_ABOVE]
    interval_on_both_sides = [(115, 100, 119, 158), (80, 100, 84, 158)]
    assert side((100, 160), drawn=interval_on_both_sides) == [RIGHT_BELOW]


def test_a_long_name_takes_the_room_that_it_is_cut_at():
    assert side((160, 160), names=["a" * 60], longest=100) == [RIGHT_ABOVE]
    assert side((160, 160), names=["a" * 60], longest=145) == [LEFT_ABOVE]
    assert side((160, 160), names=["short"], longest=145) == [RIGHT_ABOVE]
