"""Length-controlled win rates: what a run would win if its responses were as long as its opponent's.

A logistic regression without intercept explains the preference q of a pair by the run itself (a constant 1), by how
much longer the opponent's response is, tanh(Δ / sd(Δ)) with Δ in characters, and by the prompt's difficulty. The
length-controlled win rate is the mean prediction at Δ = 0. Source: Dubois et al., "Length-Controlled AlpacaEval",
arXiv 2404.04475. Here the regression has scikit-learn's default L2 penalty (C = 1).
"""

import numpy as np

from pipeline.metrics.bootstrap import CHUNK_DRAWS, LEVEL, draw_two_levels, percentile_intervals

# Weight of a run's own effect and length effect where the difficulties are fitted: their penalty becomes negligible.
UNPENALISED = 100.0
RIDGE = {"C": 1.0, "solver": "newton-cholesky", "tol": 1e-8, "max_iter": 1000}
MOST_STEPS, AT_REST = 30, 1e-10  # of Newton's method from zero, which takes about five; gradient of a row's loss


def length_controlled_rate(
    preference: np.ndarray,
    length_difference: np.ndarray,
    difficulty: np.ndarray | None = None,
    counts: np.ndarray | None = None,
) -> float:
    """Length-controlled win rate in per cent; NaN without verdicts, or where none counts.

    Args:
        preference: shape (n,), q in [0, 1].
        length_difference: shape (n,), characters of the opponent's response minus those of the run's.
        difficulty: shape (n,), of each row's prompt; left out of the regression where it is None.
        counts: shape (n,), how often each row counts; once where it is None.
    """
    weights = np.ones(len(preference)) if counts is None else counts
    return float(_resampled_rates(preference, length_difference, difficulty, weights[None])[0])


def _resampled_rates(
    preference: np.ndarray, length_difference: np.ndarray, difficulty: np.ndarray | None, counts: np.ndarray
) -> np.ndarray:
    """`length_controlled_rate` of R resamples, all fitted side by side.

    Args:
        counts: shape (R, n), how often each resample has each row.

    Returns:
        Shape (R,).
    """
    rates, drawn = np.full(len(counts), np.nan), counts.sum(axis=1)
    known = drawn > 0
    rates[known] = counts[known] @ preference / drawn[known]
    fitted = known & (rates > 0) & (rates < 1)  # of all lost or all won that is the rate, whatever the lengths
    if fitted.any():
        columns = [np.ones(len(preference)), _scaled(length_difference)]
        features = np.column_stack(columns if difficulty is None else [*columns, difficulty])
        coefficients = _fit_resampled(features, preference, counts[fitted])
        features[:, 1] = 0  # equal lengths
        predicted = _logistic(coefficients @ features.T)
        rates[fitted] = (counts[fitted] * predicted).sum(axis=1) / drawn[fitted]
    return 100 * rates


def _fit_resampled(features: np.ndarray, preference: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Coefficients, shape (R, k), of a regression for each row of counts (R, n), by Newton's method on all at once.

    They are those of `fit_logistic` with RIDGE, which fits what has not come to rest after MOST_STEPS.
    """
    coefficients = np.zeros((len(counts), features.shape[1]))
    products = (features[:, :, None] * features[:, None, :]).reshape(len(features), -1)
    moving = np.arange(len(counts))
    for _ in range(MOST_STEPS):
        drawn, there = counts[moving], coefficients[moving]
        predicted = _logistic(there @ features.T)
        gradient = there - (drawn * (preference - predicted)) @ features
        unrest = np.abs(gradient).max(axis=1) > AT_REST * drawn.sum(axis=1)
        moving, there, gradient = moving[unrest], there[unrest], gradient[unrest]
        if not moving.size:
            break
        weights = (drawn * predicted * (1 - predicted))[unrest]
        curvature = (weights @ products).reshape(*there.shape, -1) + np.eye(features.shape[1])  # of the penalty
        coefficients[moving] = there - np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
    for row in moving:
        wins, losses = counts[row] * preference, counts[row] * (1 - preference)
        coefficients[row] = fit_logistic(features, wins, losses, **RIDGE)
    return coefficients


def _logistic(logits: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(logits)


def length_controlled_interval(
    preference: np.ndarray,
    length_difference: np.ndarray,
    difficulty: np.ndarray | None,
    prompts: np.ndarray,
    seeds: np.ndarray,
    resamples: int,
    seed: int,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Percentile interval of `length_controlled_rate` over resampled seeds and prompts, fitted anew each time.

    The length's standard deviation and the difficulties stay those of all rows. NaN with fewer than two prompts.

    Args:
        prompts: shape (n,), the prompt of each row; its rows are drawn together.
        seeds: shape (n,), the training seed of each row, drawn first.
    """
    names, index = np.unique(prompts, return_inverse=True)
    seed_names, seed_index = np.unique(seeds, return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    seed_counts, prompt_counts = draw_two_levels(resamples, len(seed_names), len(names), seed)
    rates, step = [], max(1, CHUNK_DRAWS // len(preference))
    for start in range(0, resamples, step):
        chunk = slice(start, start + step)
        counts = seed_counts[chunk][:, seed_index] * prompt_counts[chunk][:, index]
        rates += [_resampled_rates(preference, length_difference, difficulty, counts)]
    [[low, high]] = percentile_intervals(np.concatenate(rates)[:, None], np.array([True]), level)
    return float(low), float(high)


def fit_difficulty(
    preference: np.ndarray, length_difference: np.ndarray, runs: np.ndarray, prompts: np.ndarray
) -> np.ndarray | None:
    """Difficulty of each row's prompt, estimated from several runs on the same prompts.

    There is one ridge-penalised effect per prompt. All runs are fitted together, each with an effect of its own and
    of its lengths.

    Args:
        preference, length_difference, runs, prompts: shape (n,).

    Returns:
        Shape (n,), higher where runs win more easily; None where fewer than two runs share prompts.
    """
    from scipy import sparse

    run_names, run_index = np.unique(runs, return_inverse=True)
    prompt_names, prompt_index = np.unique(prompts, return_inverse=True)
    if len(run_names) < 2 or len(prompt_names) == len(preference):
        return None
    rows, lengths = np.arange(len(preference)), np.empty(len(preference))
    for run in range(len(run_names)):
        lengths[run_index == run] = _scaled(length_difference[run_index == run])
    shape = (len(rows), len(run_names))
    own = sparse.csr_matrix((np.full(len(rows), UNPENALISED), (rows, run_index)), shape=shape)
    length = sparse.csr_matrix((UNPENALISED * lengths, (rows, run_index)), shape=shape)
    prompt = sparse.csr_matrix((np.ones(len(rows)), (rows, prompt_index)), shape=(len(rows), len(prompt_names)))
    features = sparse.hstack([own, length, prompt]).tocsr()
    coefficients = fit_logistic(features, preference, 1 - preference, **RIDGE | {"solver": "newton-cg"})
    return coefficients[2 * len(run_names) :][prompt_index]


def _scaled(length_difference: np.ndarray) -> np.ndarray:
    """tanh(Δ / sd(Δ)); 0 where all differences are the same and tell nothing."""
    spread = length_difference.std(ddof=1) if len(length_difference) > 1 else 0.0
    return np.tanh(length_difference / spread) if spread > 0 else np.zeros(len(length_difference))


def fit_logistic(features, wins: np.ndarray, losses: np.ndarray, **options) -> np.ndarray:
    """Coefficients, shape (k,), of a logistic regression without intercept.

    Args:
        features: shape (n, k), may be sparse.
        wins, losses: shape (n,), the weights with which each row was won and lost: q and 1 − q for a preference q.
        options: of scikit-learn's regression.
    """
    from scipy.sparse import issparse, vstack
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    rows = (vstack if issparse(features) else np.vstack)([features, features])
    outcome, weights = np.repeat([1, 0], len(wins)), np.concatenate([wins, losses])
    # Of the many fits of an interval each would take a third longer to check its numbers.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        return LogisticRegression(fit_intercept=False, **options).fit(rows, outcome, weights).coef_[0]
