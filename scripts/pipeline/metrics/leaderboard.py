"""Bradley-Terry leaderboard: one rating per player from all games between any of them.

P(i beats j) = σ(θ_i − θ_j), a tie counting as half a win for each. Ratings are in logits; with all games against one
opponent a rating is the win rate's logit. Source: Bradley and Terry, Biometrika 39 (1952) 324.
"""

import numpy as np
import pandas as pd

from pipeline.metrics.bootstrap import LEVEL, draw_two_levels
from pipeline.metrics.length_control import fit_logistic

# Beyond this a rating is given as infinite: the player won or lost all that decides it.
BOUND = 15.0
# No penalty to speak of: it only keeps the rating of a player who won all from running away for ever.
UNPENALISED = {"C": 1e9, "solver": "newton-cholesky", "tol": 1e-10, "max_iter": 200}


def ratings(games: pd.DataFrame, anchor: str) -> pd.Series:
    """Maximum-likelihood ratings in logits, the anchor's being 0, in descending order.

    Args:
        games: columns run, baseline (the players) and preference (q in [0, 1] for `run`); NaN rows do not count.

    Returns:
        A rating per player; ±inf for one who won or lost against all, NaN for one whom no games connect to the anchor.

    Raises:
        ValueError: the anchor plays no game.
    """
    pairs, wins, played = _tally(games)
    players = sorted({player for pair in pairs for player in pair})
    if anchor not in players:
        raise ValueError(f"{anchor!r} plays no game; players are {', '.join(players)}")
    return _ratings(pairs, wins, played, players, anchor).sort_values(ascending=False, kind="stable")


def rating_intervals(games: pd.DataFrame, anchor: str, resamples: int, seed: int, level: float = LEVEL) -> pd.DataFrame:
    """`ratings` with percentile intervals over resampled seeds and prompts: columns rating, rating_low, rating_high.

    Args:
        games: as for `ratings`, with prompt_id and seed; all games on a prompt are drawn together, whoever plays, and
            all games of a training seed.
    """
    point = ratings(games, anchor)
    pairs = _tally(games)[0]
    games = games.dropna(subset=["preference"])
    prompts, prompt = np.unique(games["prompt_id"], return_inverse=True)
    seeds, training = np.unique(games["seed"], return_inverse=True)
    which = pd.MultiIndex.from_tuples(pairs).get_indexer(pd.MultiIndex.from_frame(games[["run", "baseline"]]))
    sums = np.zeros((2, len(seeds), len(prompts), len(pairs)))
    np.add.at(sums[0], (training, prompt, which), games["preference"].to_numpy())
    np.add.at(sums[1], (training, prompt, which), 1)
    sums = sums.reshape(2, -1, len(pairs))
    drawn = []
    for seed_counts, prompt_counts in zip(*draw_two_levels(resamples, len(seeds), len(prompts), seed), strict=True):
        counts = np.outer(seed_counts, prompt_counts).ravel()
        drawn.append(_ratings(pairs, counts @ sums[0], counts @ sums[1], sorted(point.index), anchor)[point.index])
    frame = point.to_frame("rating")
    tails = [(1 - level) / 2, (1 + level) / 2]
    frame[["rating_low", "rating_high"]] = np.nan
    # A resample without a seed of a player's has no rating of it. Ratings may be infinite: order statistics do not
    # interpolate between them.
    rated = point.notna().to_numpy()
    if drawn and len(prompts) > 1:
        limits = np.nanquantile(np.array(drawn)[:, rated], tails, axis=0, method="nearest").T
        frame.loc[rated, ["rating_low", "rating_high"]] = limits
    return frame


def _tally(games: pd.DataFrame) -> tuple[list[tuple[str, str]], np.ndarray, np.ndarray]:
    """(run, baseline) pairs with the sum of preferences and the number of games of each."""
    grouped = games.dropna(subset=["preference"]).groupby(["run", "baseline"], sort=True)["preference"]
    table = grouped.agg(["sum", "size"])
    return list(table.index), table["sum"].to_numpy(float), table["size"].to_numpy(float)


def _ratings(pairs: list, wins: np.ndarray, played: np.ndarray, players: list[str], anchor: str) -> pd.Series:
    number = {player: i for i, player in enumerate(players)}
    design = np.zeros((len(pairs), len(players)))
    for row, (run, baseline) in enumerate(pairs):
        design[row, number[run]] += 1
        design[row, number[baseline]] -= 1
    free = [i for i, player in enumerate(players) if player != anchor]
    result = pd.Series(0.0, index=players)
    total = max(played.sum(), 1)
    result.iloc[free] = fit_logistic(design[:, free], wins / total, (played - wins) / total, **UNPENALISED)
    result[~result.index.isin(_connected(pairs, played, anchor))] = np.nan
    return result.where(result.abs() < BOUND, np.sign(result) * np.inf)


def _connected(pairs: list, played: np.ndarray, anchor: str) -> set[str]:
    reached, grown = {anchor}, True
    while grown:
        more = {p for pair, n in zip(pairs, played, strict=True) if n and reached & {*pair} for p in pair} - reached
        reached, grown = reached | more, bool(more)
    return reached
