"""Names beside points: on which side they stand."""

import altair as alt

from pipeline.figures.names import SIDES, name_layers, sides_of


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
