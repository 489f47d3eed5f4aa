"""Win rates, errors and bootstrap intervals against numbers derived by hand, a plain loop, and real verdicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics import bootstrap

SHARED = Path(__file__).resolve().parents[4] / "shared" / "alpaca_eval"


def test_win_rate_and_standard_error_by_hand():
    # Mean of 1, 1, 0, ½ is 0.625; squared deviations 9/64 + 9/64 + 25/64 + 1/64 = 44/64, over 3, root: sd = 0.478714.
    preference = np.array([1.0, 1.0, 0.0, 0.5, np.nan])
    assert bootstrap.win_rate(preference) == pytest.approx(62.5, abs=1e-12)
    assert bootstrap.win_rate_se(preference) == pytest.approx(100 * (44 / 64 / 3) ** 0.5 / 2, abs=1e-12)


def test_win_rate_of_nothing_and_of_one():
    assert np.isnan(bootstrap.win_rate(np.array([np.nan])))
    assert bootstrap.win_rate(np.array([1.0])) == 100
    assert np.isnan(bootstrap.win_rate_se(np.array([1.0])))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the published verdicts are not at {SHARED}")
def test_published_win_rates_of_alpaca_eval():
    published = pd.read_csv(SHARED / "published.csv", index_col=0)
    verdicts = pd.read_parquet(SHARED / "verdicts.parquet")
    assert len(published) == 2
    for model, expected in published.iterrows():
        preference = verdicts.loc[verdicts["model"] == model, "preference"].to_numpy() - 1
        assert bootstrap.win_rate(preference) == pytest.approx(expected["win_rate"], abs=1e-9)
        assert bootstrap.win_rate_se(preference) == pytest.approx(expected["standard_error"], abs=1e-9)


def test_both_orders_are_one_value():
    verdicts = pd.DataFrame(
        {"prompt_id": ["b", "a", "a", "b", "c", "c"], "preference": [1, 0, 1, np.nan, np.nan, np.nan]}
    )
    means = bootstrap.order_means(verdicts)
    assert means.index.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(means, [0.5, 1.0, np.nan])
    pd.testing.assert_series_equal(means, bootstrap.order_means(verdicts.iloc[::-1]))


def test_cells_are_aligned_by_prompt_not_by_position():
    values = {1: pd.Series([1.0, 2.0], ["a", "b"]), 2: pd.Series([3.0, 4.0], ["c", "a"])}
    cells = bootstrap.cell_matrix(values, [1, 2, 3], pd.Index(["a", "b", "c"]))
    np.testing.assert_array_equal(cells, [[1, 2, np.nan], [4, np.nan, 3], [np.nan] * 3])
    assert bootstrap.cell_mean(cells) == 2.5
    np.testing.assert_array_equal(bootstrap.prompt_means(cells), [2.5, 2, 3])


def test_seed_spread_by_hand():
    # Seed means 1, 2, 3 (the last from one prompt): sd with ddof=1 is 1. One seed has no spread.
    cells = np.array([[0.0, 2.0], [2.0, 2.0], [3.0, np.nan], [np.nan, np.nan]])
    assert bootstrap.seed_spread(cells) == pytest.approx(1.0)
    assert np.isnan(bootstrap.seed_spread(cells[:1]))


def test_positive_share_counts_ties_half():
    assert bootstrap.positive_share(np.array([2.0, 0.0, -1.0, 0.1])) == pytest.approx(2.5 / 4)
    assert np.isnan(bootstrap.positive_share(np.array([])))


def loop_means(cells: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The two-level bootstrap as one would write it down: draw seeds, draw prompts, average what is there."""
    measurements, seeds, prompts = cells.shape
    seed_stream, prompt_stream = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    drawn_seeds = seed_stream.integers(0, seeds, size=(resamples, seeds))
    drawn_prompts = prompt_stream.integers(0, prompts, size=(resamples, prompts))
    means = np.full((resamples, measurements), np.nan)
    for r in range(resamples):
        for k in range(measurements):
            drawn = [cells[k, s, p] for s in drawn_seeds[r] for p in drawn_prompts[r]]
            drawn = [value for value in drawn if not np.isnan(value)]
            if drawn:
                means[r, k] = sum(drawn) / len(drawn)
    return means


@pytest.mark.parametrize("chunk", [bootstrap.CHUNK_DRAWS, 21])
def test_bootstrap_equals_the_plain_loop(monkeypatch, chunk):
    monkeypatch.setattr(bootstrap, "CHUNK_DRAWS", chunk)
    generator = np.random.default_rng(5)
    cells = generator.random((2, 3, 7))
    cells[generator.random(cells.shape) < 0.2] = np.nan
    expected = loop_means(cells, 60, seed=3)
    np.testing.assert_allclose(bootstrap.bootstrap_means(cells, 60, seed=3), expected, rtol=1e-12)
    intervals = bootstrap.bootstrap_intervals(cells, 60, seed=3)
    np.testing.assert_allclose(intervals, np.nanquantile(expected, [0.025, 0.975], axis=0).T, rtol=1e-12)


def test_resamples_without_any_value_are_left_out():
    cells = np.array([[[1.0, 3.0, 5.0], [np.nan] * 3]])
    expected = loop_means(cells, 80, seed=0)
    assert np.isnan(expected).any()
    np.testing.assert_allclose(bootstrap.bootstrap_means(cells, 80), expected)
    assert np.isfinite(bootstrap.bootstrap_intervals(cells, 80)).all()


def test_intervals_are_seeded():
    cells = np.random.default_rng(0).random((1, 3, 30))
    first = bootstrap.bootstrap_intervals(cells, 200, seed=1)
    np.testing.assert_array_equal(first, bootstrap.bootstrap_intervals(cells, 200, seed=1))
    assert not np.array_equal(first, bootstrap.bootstrap_intervals(cells, 200, seed=2))


def test_a_measurement_does_not_depend_on_those_beside_it():
    cells = np.random.default_rng(0).random((3, 2, 30))
    together = bootstrap.bootstrap_intervals(cells, 200)
    np.testing.assert_allclose(together[1:2], bootstrap.bootstrap_intervals(cells[1:2], 200), rtol=1e-12)


def test_pairing_removes_what_both_share():
    # Same noise in both: each interval is wide, that of the difference is the constant 0.25.
    noise = np.random.default_rng(0).normal(size=(3, 40))
    low_high = bootstrap.bootstrap_intervals(np.stack([noise, noise + 0.25, noise + 0.25 - noise]), 500)
    assert (low_high[:2, 1] - low_high[:2, 0] > 0.2).all()
    np.testing.assert_allclose(low_high[2], 0.25, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 50.0, 100.0])
def test_equal_values_have_an_interval_of_no_width(value):
    np.testing.assert_array_equal(bootstrap.bootstrap_intervals(np.full((1, 3, 20), value), 100), [[value, value]])


def test_one_seed_varies_prompts_only():
    values = np.random.default_rng(1).random(400)
    low, high = bootstrap.bootstrap_intervals(values[None, None], 1_000)[0]
    half_width = 1.96 * values.std(ddof=1) / 20
    assert (high - low) / 2 == pytest.approx(half_width, rel=0.1)


def test_seeds_are_a_level_of_their_own():
    # Three seeds that differ and prompts that do not: only resampling seeds can give the interval its width.
    cells = np.repeat([[0.0], [50.0], [100.0]], 50, axis=1)[None]
    low, high = bootstrap.bootstrap_intervals(cells, 1_000)[0]
    assert (low, high) == (0.0, 100.0)


@pytest.mark.parametrize("cells", [np.ones((1, 3, 1)), np.empty((1, 2, 0)), np.array([[[1.0, np.nan, np.nan]]])])
def test_fewer_than_two_prompts_have_no_interval(cells):
    assert np.isnan(bootstrap.bootstrap_intervals(cells, 50)).all()


def test_coverage_on_simulated_runs():
    # Seeds and prompts both vary; the interval should hold the truth in about 95 of 100 studies.
    generator = np.random.default_rng(7)
    studies, seeds, prompts = 200, 10, 50
    effect = generator.normal(0, 0.2, (studies, seeds, 1)) + generator.normal(0, 0.5, (studies, 1, prompts))
    cells = effect + generator.normal(0, 1, (studies, seeds, prompts))
    held = [low <= 0 <= high for low, high in (bootstrap.bootstrap_intervals(study[None], 200)[0] for study in cells)]
    assert 0.89 <= np.mean(held) <= 0.99
