"""Pareto fronts: dominance, ties, what lacks a number, several draws at once."""

import numpy as np
import pytest
from numpy import nan

from pipeline.metrics.pareto import on_front


@pytest.mark.parametrize(
    ("costs", "gains", "front"),
    [
        ([1, 2, 3], [50, 60, 70], [True, True, True]),
        ([1, 2, 3], [50, 40, 70], [True, False, True]),
        ([1, 2, 3], [70, 60, 50], [True, False, False]),
        ([2, 2], [50, 60], [False, True]),  # as much for more
        ([1, 2], [50, 50], [True, False]),  # as good for less
        ([1, 1, 2], [50, 50, 40], [True, True, False]),  # equal in both: neither beats the other
        ([1, 1, 1], [50, 50, 60], [False, False, True]),
        ([5], [50], [True]),
        ([nan, 2], [90, 50], [False, True]),  # no cost: it beats nobody
        ([1, 2], [nan, 50], [False, True]),
        ([nan], [nan], [False]),
        ([], [], []),
    ],
)
def test_who_is_on_the_front(costs, gains, front):
    assert on_front(np.array(costs, dtype=float), np.array(gains, dtype=float)).tolist() == front


def test_each_draw_has_a_front_of_its_own():
    costs, gains = np.array([[1, 2], [1, 2], [2, 1]]), np.array([[5, 6], [6, 5], [7, 7]])
    assert on_front(costs, gains).tolist() == [[True, True], [True, False], [False, True]]
