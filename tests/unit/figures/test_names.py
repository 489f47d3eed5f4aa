"""Names beside points: on which side they stand."""

import altair as alt
import pytest

from pipeline.figures.names import BESIDE_CIRCLES, SIDES, name_layers, sides_of, sides_within

RIGHT_ABOVE, LEFT_ABOVE, RIGHT_BELOW, LEFT_BELOW = BESIDE_CIRCLES
SIZE = 300, 320


def test_a_name_stands_to_the_right_above_its_point_where_nothing_is_in_its_way():
    assert sides_of([(0.0, 0.0, "sft"), (1.0, 1.0, "dpo")]) == ["right above"] * 2
    assert sides_of([(0.5, 0.5, "alone")]) == ["right above"]


def test_names_of_close_points_stand_on_different_sides():
    close = [(0.0, 27.0, "sft"), (0.53, 32.3, "dpo"), (0.535, 32.1, "ddp"), (0.6, 32.2, "dpr")]
    sides = sides_of(close)
    assert len({sides[1], sides[2]}) == 2
    same = sides_of([(0.0, 0.0, "a"), (1.0, 1.0, "b1"), (1.0, 1.0, "b2"), (1.0, 1.0, "b3"), (1.0, 1.0, "b4")])
    assert set(same[1:]) == set(SIDES)


def test_each_name_is_drawn_once_with_paper_behind_it():
    points = [{"kl": 0.1 * i, "win_rate": 50.0, "name": f"run{i}"} for i in range(3)]
    layers = name_layers(points, alt.X("kl:Q"), alt.Y("win_rate:Q"), ("kl", "win_rate"))
    drawn = [(row["name"], layer.mark.to_dict().get("strokeWidth")) for layer in layers for row in layer.data.values]
    assert sorted(drawn, key=str) == sorted([(f"run{i}", edge) for i in range(3) for edge in (4, None)], key=str)


# beside circles, within a chart


def side(*points, drawn=(), names=None, longest=190):
    return sides_within(names or ["A NAME"] * len(points), list(points), list(drawn), SIZE, longest)


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
