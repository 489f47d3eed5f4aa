"""The stated difference is the one that the project's own intervals find in four of five experiments."""

import numpy as np
import pytest

from pipeline.metrics.bootstrap import bootstrap_intervals
from pipeline.metrics.crossed import crossed_interval
from pipeline.metrics.power import GUESS, Spread, detectable, interval_error, pooled, spread_of, standard_error


def verdicts(draw, spread, seeds, prompts, mean=50.0):
    """Wins and losses, 0 or 100, shape (S, P): seeds and prompts differ by the spread's parts."""
    likely = mean + draw.normal(0, spread.seed**0.5, (seeds, 1)) + draw.normal(0, spread.prompt**0.5, (1, prompts))
    return 100.0 * (draw.random((seeds, prompts)) < likely / 100)


@pytest.mark.parametrize(("seeds", "prompts", "seed_sd"), [(3, 128, 2.0), (3, 256, 0.0), (5, 100, 3.0), (1, 200, 0.0)])
def test_the_difference_is_found_in_four_of_five_experiments(seeds, prompts, seed_sd):
    spread = Spread(seed_sd**2, GUESS.prompt, 50.0**2 - seed_sd**2 - GUESS.prompt)
    difference = detectable(spread, seeds, prompts)
    draw = np.random.default_rng(seeds * prompts)
    cells = [verdicts(draw, spread, seeds, prompts, 50 + difference) for _ in range(500)]
    lows = np.array([bootstrap_intervals(one[None], 400)[0, 0] for one in cells])
    assert 73 < 100 * (lows > 50).mean() < 87  # 500 experiments give a standard error of 1.8
    assert np.mean([one.mean() for one in cells]) == pytest.approx(50 + difference, abs=1)


def test_the_crossed_interval_which_is_narrower_finds_it_no_less():
    difference, draw = detectable(GUESS, 10, 200), np.random.default_rng(2)
    found = [crossed_interval(verdicts(draw, GUESS, 10, 200, 50 + difference))[0] > 50 for _ in range(300)]
    assert np.mean(found) > 0.8


def test_a_spread_is_measured_from_verdicts():
    truth = Spread(5.0**2, 20.0**2, 50.0**2 - 5.0**2 - 20.0**2)
    draw = np.random.default_rng(0)
    found = pooled(spread_of(verdicts(draw, truth, 5, 200)) for _ in range(60))
    assert found.seed == pytest.approx(truth.seed, rel=0.35)
    assert found.prompt == pytest.approx(truth.prompt, rel=0.15)
    assert found.rest == pytest.approx(truth.rest, rel=0.1)


def test_with_one_seed_the_others_part_is_the_guess():
    found = spread_of(verdicts(np.random.default_rng(0), GUESS, 1, 400))
    assert (found.seed, found.prompt) == (GUESS.seed, GUESS.prompt)
    assert found.prompt + found.rest == pytest.approx(50.0**2, rel=0.05)
    assert spread_of(np.full((3, 1), 50.0)) is None and pooled([]) is None


def test_more_of_anything_shows_less():
    usual = detectable(GUESS, 3, 200)
    assert 2.8 * standard_error(GUESS, 3, 200) < usual < 2.8 * interval_error(GUESS, 3, 200)
    assert standard_error(GUESS, 1, 200) == interval_error(GUESS, 1, 200) == pytest.approx((2496 / 200) ** 0.5)
    assert detectable(GUESS, 5, 200) < usual and detectable(GUESS, 3, 400) < usual < detectable(GUESS, 3, 200, 4)
    assert detectable(GUESS, 1, 2) == 50.0
    # chance can make a part negative, and no part of the pooled spread is
    assert pooled([Spread(-4.0, 1.0, 2.0), Spread(2.0, 3.0, 4.0)]) == Spread(0.0, 2.0, 3.0)
