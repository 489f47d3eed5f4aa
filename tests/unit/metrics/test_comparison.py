"""Statistics of any table of verdicts: against published figures, by hand, and at the edges."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm

import compute_winrate
from pipeline.jobs.io import InputError
from pipeline.metrics import length_control
from pipeline.metrics.bootstrap import bootstrap_intervals, bootstrap_means
from pipeline.metrics.comparison import compare, holm, two_sided_p_value
from pipeline.metrics.leaderboard import rating_intervals, ratings
from pipeline.metrics.length_control import fit_difficulty, length_controlled_rate

ALPACA = Path(__file__).parents[4] / "shared" / "alpaca_eval"


def verdicts(preferences: dict, baseline="base", order="none", lengths=(100, 100), seed=0) -> pd.DataFrame:
    """{run: preferences by prompt} as a table."""
    rows = [
        (run, baseline, seed, f"p{i:04}", order, q, *lengths)
        for run, values in preferences.items()
        for i, q in enumerate(values)
    ]
    return pd.DataFrame(
        rows, columns=["run", "baseline", "seed", "prompt_id", "order", "preference", "len_run", "len_baseline"]
    )


def test_preferences_of_any_type_of_number_are_numbers():
    plain = verdicts({"a": [1, 0, 0, 1]})
    right = one_row(plain)
    for values in ([True, False, False, True], pd.array([1, 0, 0, 1], "Int64"), np.array([1, 0, 0, 1], object)):
        pd.testing.assert_series_equal(one_row(plain.assign(preference=values)), right)
    some = one_row(plain.assign(preference=pd.array([1, None, 0, 1], "Float64"), prompt_id=range(2**60, 2**60 + 4)))
    assert (some["n"], some["unparsed"], some["prompts"]) == (3, 1, 3) and some["win_rate"] == pytest.approx(200 / 3)


def one_row(table: pd.DataFrame, **kwargs) -> pd.Series:
    [(_, row)] = compare(table, resamples=200, refits=20, **kwargs).iterrows()
    return row


@pytest.fixture(scope="module")
def alpaca(tmp_path_factory):
    """The command's table on real GPT-4 verdicts, by run; their published figures."""
    if not ALPACA.exists():
        pytest.skip("../shared/alpaca_eval is not there")
    folder = tmp_path_factory.mktemp("alpaca")
    raw = pd.read_parquet(ALPACA / "verdicts.parquet")
    table = pd.DataFrame({"run": raw["model"], "baseline": "gpt4_turbo", "prompt_id": raw["i"].astype(str)})
    table["preference"] = raw["preference"].where(raw["preference"] != 0, 1.5) - 1
    table = table.assign(len_run=raw["len_2"], len_baseline=raw["len_1"])
    table.to_parquet(folder / "verdicts.parquet")
    difficulty = pd.read_parquet(ALPACA / "difficulty.parquet")
    difficulty.assign(prompt_id=difficulty["i"].astype(str)).to_parquet(folder / "difficulty.parquet")
    files = {name: str(folder / f"{name}.parquet") for name in ("verdicts", "difficulty")}
    options = ["--verdicts", files["verdicts"], "--difficulty", files["difficulty"], "--refits", "25"]
    compute_winrate.main([*options, "--resamples", "500", "--output", str(folder / "w.csv")])
    return pd.read_csv(folder / "w.csv").set_index("run"), pd.read_csv(ALPACA / "published.csv", index_col=0)


def test_published_win_rates_and_errors_are_met(alpaca):
    table, published = alpaca
    assert set(table.index) == set(published.index) and (table["n"] == 805).all()
    for run, row in published.iterrows():
        assert table.loc[run, "win_rate"] == pytest.approx(row["win_rate"], abs=1e-9)
        assert table.loc[run, "se"] == pytest.approx(row["standard_error"], abs=1e-9)
        interval = table.loc[run, ["win_rate_low", "win_rate_high"]]
        # a percentile interval of a mean is about ±1.96 standard errors
        assert interval.iloc[1] - interval.iloc[0] == pytest.approx(3.92 * row["standard_error"], rel=0.15)


def test_published_length_controlled_rates_are_met_within_a_point(alpaca):
    table, published = alpaca
    for run, row in published.iterrows():
        assert table.loc[run, "lc_win_rate"] == pytest.approx(row["length_controlled_winrate"], abs=1.0)
        assert table.loc[run, "lc_win_rate_low"] < table.loc[run, "lc_win_rate"] < table.loc[run, "lc_win_rate_high"]


def test_with_one_opponent_ratings_are_the_logits_of_win_rates(alpaca):
    table, _ = alpaca
    assert table["rating"].to_numpy() == pytest.approx(logit(table["win_rate"].to_numpy() / 100), abs=1e-4)


# length control


def test_length_control_takes_out_what_length_explains():
    rng = np.random.default_rng(0)
    longer = rng.normal(0, 300, 4000)
    wins = (rng.random(4000) < expit(-0.5 - 2 * np.tanh(longer / longer.std(ddof=1)))).astype(float)
    # won when short by construction: at equal length σ(−0.5) = 37.8%
    assert length_controlled_rate(wins, longer + 0.0) == pytest.approx(37.8, abs=2)
    shorter = longer < 0
    assert length_controlled_rate(wins[shorter], longer[shorter]) < 100 * wins[shorter].mean() - 5


def test_equal_lengths_leave_the_win_rate_as_it_is():
    wins = np.array([1.0, 0.5, 0.0, 1.0] * 50)
    assert length_controlled_rate(wins, np.zeros(200)) == pytest.approx(100 * wins.mean(), abs=0.3)


def test_counts_are_repetitions():
    rng = np.random.default_rng(1)
    wins, longer, counts = rng.random(60), rng.normal(0, 50, 60), rng.integers(0, 4, 60)
    features = np.repeat(np.arange(60), counts)
    weighted = length_controlled_rate(wins, longer, counts=counts.astype(float))
    spread = longer.std(ddof=1) / longer[features].std(ddof=1)  # the scale stays that of all rows
    assert weighted == pytest.approx(length_controlled_rate(wins[features], longer[features] * spread), abs=1.0)


@pytest.mark.parametrize("won", ["by chance", "by the shorter one", "nearly always", "by difficulty"])
def test_resamples_fitted_side_by_side_are_those_of_scikit_learn(won, monkeypatch):
    rng = np.random.default_rng(3)
    longer, difficulty = rng.normal(0, 200, 120), rng.normal(0, 3, 120)
    wins = {
        "by chance": rng.choice([0, 0.5, 1], 120),
        "by the shorter one": (longer < 0) + 0.0,  # separable: only the penalty holds the coefficients
        "nearly always": (np.arange(120) != 7) + 0.0,  # some resamples have no loss
        "by difficulty": (rng.random(120) < expit(2 * difficulty)) + 0.0,
    }[won]
    rows = wins, longer, difficulty if won == "by difficulty" else None, np.arange(120), np.repeat([1, 2, 3], 40)
    fast = length_control.length_controlled_interval(*rows, 50, 0)
    fits, fit = [], length_control.fit_logistic
    monkeypatch.setattr(
        length_control, "fit_logistic", lambda *given, **options: fits.append(1) or fit(*given, **options)
    )
    monkeypatch.setattr(length_control, "CHUNK_DRAWS", 700)  # five resamples at a time
    assert length_control.length_controlled_interval(*rows, 50, 0) == pytest.approx(fast, abs=1e-9) and not fits
    monkeypatch.setattr(length_control, "MOST_STEPS", 1)
    assert length_control.length_controlled_interval(*rows, 50, 0) == pytest.approx(fast, abs=1e-5) and fits


def test_difficulty_is_found_from_several_runs():
    rng = np.random.default_rng(2)
    easy = rng.normal(0, 2, 200)
    runs, prompts = np.repeat([f"run{i}" for i in range(8)], 200), np.tile(np.arange(200), 8)
    wins = (rng.random(1600) < expit(np.tile(easy, 8) - 0.5)).astype(float)
    found = fit_difficulty(wins, rng.normal(0, 100, 1600), runs, prompts)
    assert np.corrcoef(found[:200], easy)[0, 1] > 0.8
    assert fit_difficulty(wins[:200], np.zeros(200), runs[:200], prompts[:200]) is None


def test_difficulty_is_at_the_optimum():
    """Found anew in all coefficients at once, with each one's own penalty; the loss is flat along runs and prompts."""
    rng = np.random.default_rng(4)
    runs, prompts, longer = np.repeat(range(6), 80), np.tile(range(80), 6), rng.normal(0, 100, 480)
    wins = rng.choice([0, 0.5, 1], 480, p=[0.1, 0.1, 0.8])
    lengths = np.concatenate([np.tanh(part / part.std(ddof=1)) for part in longer.reshape(6, 80)])
    own = runs[:, None] == range(6)
    features = np.hstack([own, own * lengths[:, None], prompts[:, None] == range(80)])
    penalty = np.repeat([1e-4, 1.0], [12, 80])

    def loss(at):
        logits = features @ at
        gradient = features.T @ (expit(logits) - wins) + penalty * at
        return np.logaddexp(0, logits).sum() - wins @ logits + penalty @ at**2 / 2, gradient

    best = minimize(loss, np.zeros(92), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}).x[12:]
    found = fit_difficulty(wins, longer, runs, prompts)[:80]
    assert found == pytest.approx(best, abs=1e-5) and found.std() > 0.2


# the leaderboard


def games(*rows) -> pd.DataFrame:
    """(run, baseline, wins, losses) as verdicts."""
    return pd.concat(
        [verdicts({run: [1.0] * wins + [0.0] * losses}, baseline) for run, baseline, wins, losses in rows],
        ignore_index=True,
    )


def test_ratings_by_hand():
    """a beats b 3:1, b beats c 3:1; a against c would be 9:1."""
    found = ratings(games(("a", "b", 30, 10), ("b", "c", 30, 10)), anchor="c")
    assert list(found.index) == ["a", "b", "c"]
    assert found.to_list() == pytest.approx([np.log(9), np.log(3), 0], abs=1e-4)


def test_a_player_without_a_loss_has_no_finite_rating():
    found = ratings(games(("a", "b", 10, 0), ("c", "b", 0, 10), ("d", "e", 1, 1)), anchor="b")
    assert found["a"] == np.inf and found["c"] == -np.inf and found["b"] == 0
    assert found[["d", "e"]].isna().all()  # no game connects them to the anchor
    with pytest.raises(ValueError, match="'x' plays no game"):
        ratings(games(("a", "b", 1, 1)), anchor="x")


def test_rating_intervals_are_seeded_and_hold_the_rating():
    table = games(("a", "b", 60, 40), ("c", "b", 45, 55))
    first, again, other = (rating_intervals(table, "b", 100, seed) for seed in (0, 0, 1))
    assert first.equals(again) and not first.equals(other)
    assert (first["rating_low"] <= first["rating"]).all() and (first["rating"] <= first["rating_high"]).all()
    low, high = first.loc["a", ["rating_low", "rating_high"]]
    # the standard error of the logit of 60 of 100 is 1/sqrt(100·0.6·0.4)
    assert high - low == pytest.approx(3.92 * 0.204, rel=0.3)


# tests and differences


def test_holm_by_hand():
    """Ordered p-values times 3, 2, 1, made monotone; a row without a test counts nothing."""
    assert holm(pd.Series([0.01, np.nan, 0.04, 0.03])).tolist() == pytest.approx(
        [0.03, np.nan, 0.06, 0.06], nan_ok=True
    )
    assert np.isnan(holm(pd.Series([np.nan]))).all()


def test_p_values_are_two_sided_and_never_zero():
    assert two_sided_p_value(np.array([-1.0, 1.0] * 10), 50) == 1.0
    assert two_sided_p_value(np.array([-1.0] * 10 + [1.0] * 389), 50) == 22 / 400
    assert two_sided_p_value(np.zeros(10), 50) == 1.0
    assert two_sided_p_value(np.array([1.0] * 99), 4) == 2 / 100  # four equal prompts alone would say 1 / 8
    assert two_sided_p_value(np.array([1.0] * 99), 11) == 2**-10


def test_beyond_what_draws_show_the_normal_distribution_stands_in():
    drawn = np.random.default_rng(0).normal(5, 1, 2000)
    assert two_sided_p_value(drawn, 500) == pytest.approx(2 * norm.sf(drawn.mean() / drawn.std(ddof=1)))
    assert two_sided_p_value(-drawn, 500) == two_sided_p_value(drawn, 500)
    # and agrees with the count where both can say something
    drawn = np.random.default_rng(0).normal(3, 1, 200_000)
    tail = 2 * norm.sf(drawn.mean() / drawn.std(ddof=1))
    assert two_sided_p_value(drawn, 500) == pytest.approx(tail, rel=0.1) and two_sided_p_value(drawn, 500) != tail


@pytest.mark.parametrize("runs", [1, 100, 300])
def test_a_run_that_wins_nearly_always_is_better_however_many_are_compared(runs):
    wins = [0.0] + [1.0] * 99
    table = compare(verdicts({f"r{number}": wins for number in range(runs)}), resamples=2000, refits=0)
    assert len(table) == runs and (table["p_value_holm"] < 1e-4).all() and (table["p_value"] > 0).all()
    assert table["p_value_holm"].tolist() == pytest.approx((runs * table["p_value"]).tolist())


def test_the_correction_is_over_the_rows_against_one_baseline():
    rng = np.random.default_rng(0)
    runs = {f"r{number}": (rng.random(60) < 0.65).astype(float) for number in range(4)}
    tables = [verdicts(runs), verdicts({"r0": runs["r0"]}, baseline="other")]
    found = compare(pd.concat(tables), resamples=500, refits=0).set_index(["baseline", "run"])
    own = found.loc["base"]
    assert own["p_value_holm"].tolist() == pytest.approx(holm(own["p_value"]).tolist())
    alone = found.loc[("other", "r0")]
    assert alone["p_value_holm"] == alone["p_value"] < own["p_value_holm"].max()


def test_differences_are_paired_by_prompt_and_not_by_position():
    rng = np.random.default_rng(3)
    hard = rng.random(300)
    base, better = (hard > 0.5).astype(float), (hard > 0.45).astype(float)
    table = verdicts({"dpo": base, "dpr": better})
    shuffled = table.sample(frac=1, random_state=0, ignore_index=True)
    row = compare(shuffled, reference="dpo", resamples=400, refits=5).set_index("run").loc["dpr"]
    gains = better - base
    assert row["difference"] == pytest.approx(100 * gains.mean())
    paired = 3.92 * 100 * gains.std(ddof=1) / np.sqrt(300)
    assert row["difference_high"] - row["difference_low"] == pytest.approx(paired, rel=0.2)
    assert row["difference_p_value"] < 0.05 and row["difference_p_value_holm"] == row["difference_p_value"]


def test_a_prompt_that_was_not_parsed_is_drawn_and_counts_nothing():
    """Interval and test come from the same draws, whether by way of a run table or not."""
    row = one_row(verdicts({"a": [1.0, np.nan, 0.0, 1.0, 1.0, 1.0]}))
    cells = np.array([[[100.0, np.nan, 0.0, 100.0, 100.0, 100.0]]])
    drawn = bootstrap_means(cells, 200)
    assert row["win_rate"] == 80 and row["p_value"] == two_sided_p_value(drawn[:, 0] - 50, 5)
    assert [row[["win_rate_low", "win_rate_high"]].tolist()] == bootstrap_intervals(cells, 200).tolist()
    assert row["p_value"] != one_row(verdicts({"a": [1.0, 0.0, 1.0, 1.0, 1.0]}))["p_value"]


def test_missing_prompts_are_left_out_of_the_pairing():
    table = verdicts({"dpo": [1.0, 0.0, 0.0, 1.0]})
    other = verdicts({"dpr": [0.0, 1.0, 1.0, 1.0]})
    row = compare(pd.concat([table, other[2:]]), reference="dpo", resamples=50, refits=5).set_index("run").loc["dpr"]
    assert row["prompts"] == 2 and row["difference"] == 50.0 and row["win_rate"] == 100.0


# the edges


def test_one_prompt_has_a_rate_and_no_interval():
    row = one_row(verdicts({"a": [1.0]}))
    assert row["win_rate"] == 100 and row["n"] == 1
    for column in ("win_rate_low", "se", "p_value", "lc_win_rate_low", "rating_low"):
        assert np.isnan(row[column]), column


@pytest.mark.parametrize(("q", "rating"), [(0.5, 0.0), (1.0, np.inf), (0.0, -np.inf)])
def test_all_alike(q, rating):
    row = one_row(verdicts({"a": [q] * 30}))
    for column in ("win_rate", "win_rate_low", "win_rate_high", "lc_win_rate", "lc_win_rate_low"):
        assert row[column] == pytest.approx(100 * q, abs=1e-6), column
    assert row["rating"] == pytest.approx(rating, abs=1e-6)
    assert row["ties"] == (30 if q == 0.5 else 0)


def test_both_orders_of_a_pair_are_one_observation():
    first, second = (
        verdicts({"a": [1.0, 1.0, 0.0, 1.0]}, order="ab"),
        verdicts({"a": [1.0, 0.0, 0.0, np.nan]}, order="ba"),
    )
    row = one_row(pd.concat([first, second]))
    assert (row["n"], row["unparsed"], row["prompts"], row["flipped"], row["ties"]) == (7, 1, 4, 1, 1)
    assert row["win_rate"] == pytest.approx(100 * (1 + 0.5 + 0 + 1) / 4)


def test_seeds_are_a_level_of_their_own():
    table = pd.concat([verdicts({"a": [q] * 20}, seed=seed) for seed, q in ((1, 0.2), (2, 0.8))])
    row = one_row(table)
    assert row["seeds"] == "1 2" and row["win_rate"] == pytest.approx(50)
    assert row["seed_sd"] == pytest.approx(100 * 0.6 / np.sqrt(2))
    assert row["win_rate_high"] - row["win_rate_low"] > 50  # prompts alone would give none


def test_length_control_and_ratings_vary_with_the_seeds_too():
    rng = np.random.default_rng(4)
    shares = {1: 0.25, 2: 0.5, 3: 0.75}
    alike = pd.concat([verdicts({"a": (rng.random(200) < 0.5) * 1.0}, seed=seed) for seed in shares])
    apart = pd.concat([verdicts({"a": (rng.random(200) < q) * 1.0}, seed=seed) for seed, q in shares.items()])
    for column in ("lc_win_rate", "rating"):
        widths = [row[f"{column}_high"] - row[f"{column}_low"] for row in map(one_row, (alike, apart))]
        assert widths[1] > 2 * widths[0], column


def test_a_seed_that_a_run_lacks_leaves_its_rating_and_interval():
    table = pd.concat([verdicts({"a": [1.0, 0.0, 1.0] * 5}, seed=seed) for seed in (1, 2, 3)])
    table = pd.concat([table, verdicts({"b": [1.0, 0.0] * 5}, seed=3)])
    found = compare(table, resamples=20, refits=30).set_index("run").loc["b"]
    assert found["rating"] == pytest.approx(0, abs=1e-6) and found["rating_low"] <= 0 <= found["rating_high"]


def test_what_needs_a_fit_can_be_left_out():
    table = verdicts({"a": [1.0, 0.0, 1.0]})
    assert set(compare(table, resamples=20, refits=5)) - set(compare(table, resamples=20, refits=0)) == {
        *("lc_win_rate", "lc_win_rate_low", "lc_win_rate_high"),
        *("rating", "rating_low", "rating_high"),
    }


def test_runs_without_a_parsed_verdict_stand_in_the_table():
    table = pd.concat([verdicts({"a": [1.0, 0.0]}), verdicts({"b": [np.nan, np.nan]})])
    row = compare(table, resamples=20, refits=5).set_index("run").loc["b"]
    assert (row["n"], row["unparsed"]) == (0, 2) and np.isnan(row["win_rate"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="len_run"), "no column 'len_run'"),
        (lambda t: t.assign(preference=1.5), "row 0: preference is 1.5; it must be 0 to 1"),
        (lambda t: t.assign(preference=np.inf), "row 0: preference is inf; it must be 0 to 1"),
        (lambda t: t.assign(preference="A"), "row 0: preference is 'A'; it must be 0 to 1"),
        (lambda t: t.assign(prompt_id=pd.array([None] * len(t), "Int64")), "row 0: there is no prompt_id; a row"),
        (lambda t: t.assign(run=[None, *t["run"][1:]]), "row 0: there is no run; a row"),
        (lambda t: t.assign(len_run="ten"), "row 0: len_run is 'ten'; it must be a number of characters"),
        (lambda t: t.assign(len_baseline=np.nan), "row 0: len_baseline is nan; it must be a number of characters"),
        (lambda t: pd.concat([t, t]), "row 2: this run, baseline, seed, prompt and order stand there before"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        compare(change(verdicts({"a": [1.0, 0.0]})))
    with pytest.raises(InputError, match="no verdicts on run 'x'; runs are a"):
        compare(verdicts({"a": [1.0, 0.0]}), reference="x")
    with pytest.raises(InputError, match="difficulty: prompt p0001 has none"):
        compare(verdicts({"a": [1.0, 0.0]}), difficulty=pd.Series({"p0000": 1.0}))
