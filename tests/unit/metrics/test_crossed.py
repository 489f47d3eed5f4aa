"""Intervals by a crossed analysis of variance: against statsmodels' mean squares, simulated coverage, the edges."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import t
from statsmodels.stats.anova import anova_lm

from benchmarks.coverage import coverage, verdicts
from pipeline.metrics.crossed import crossed_interval


def test_the_variance_is_that_of_the_mean_squares_which_statsmodels_gives():
    cells = np.random.default_rng(0).normal(50, 10, (6, 9)) + np.arange(6)[:, None] * 4
    table = pd.DataFrame([(s, p, cells[s, p]) for s in range(6) for p in range(9)], columns=["seed", "prompt", "rate"])
    found = anova_lm(smf.ols("rate ~ C(seed) + C(prompt)", table).fit())
    squares, freedom = found["sum_sq"] / found["df"], found["df"]
    total = squares["C(seed)"] + squares["C(prompt)"] - squares["Residual"]
    half = t.ppf(0.975, total**2 / (squares**2 / freedom).sum()) * np.sqrt(total / 54)
    assert crossed_interval(cells) == pytest.approx((cells.mean() - half, cells.mean() + half))


def test_it_holds_the_truth_as_often_as_it_says_where_seeds_differ_much_or_not():
    draw = np.random.default_rng(0)
    for spread in (0, 8):
        found = coverage([verdicts(draw, 5, 100, spread) for _ in range(400)], resamples=100)
        assert 91 < found["t"] < 98
    narrower = coverage([verdicts(draw, 10, 100, 0) for _ in range(50)], resamples=100)
    assert narrower["t_width"] < 0.9 * narrower["bootstrap_width"]


def test_edges():
    cells = np.random.default_rng(0).normal(50, 10, (5, 20))
    for unknown in (cells[:4], cells[:, :1], cells[:, :0]):
        assert np.isnan(crossed_interval(unknown)).all()
    assert crossed_interval(np.full((5, 3), 70.0)) == (70.0, 70.0)
    holed = cells.copy()
    holed[0, 0] = np.nan
    low, high = crossed_interval(holed)
    assert (low + high) / 2 == pytest.approx(np.nanmean(holed)), "the mean is over all cells that are there"
    whole = crossed_interval(cells[:, 1:])
    assert high - low == pytest.approx(whole[1] - whole[0]), "the variance over the prompts that all seeds have"
