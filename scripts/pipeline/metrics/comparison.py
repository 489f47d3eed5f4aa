"""Statistics of any table of pairwise verdicts: win rates, length control, differences with tests, a leaderboard."""

import math

import numpy as np
import pandas as pd

from pipeline.columns.verdicts import COMPARED_COLUMNS
from pipeline.jobs.io import InputError
from pipeline.metrics import bootstrap
from pipeline.metrics.crossed import crossed_interval
from pipeline.metrics.leaderboard import rating_intervals
from pipeline.metrics.length_control import fit_difficulty, length_controlled_interval, length_controlled_rate

# Refitting a regression costs much more than resampling a mean does.
REFITS = 200
# Fewer draws beyond zero than this say too little of how rare that is; the normal distribution says more.
FEW_DRAWS = 10


def compare(
    verdicts: pd.DataFrame,
    difficulty: pd.Series | None = None,
    reference: str | None = None,
    resamples: int = bootstrap.RESAMPLES,
    refits: int = REFITS,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per (run, baseline), sorted by name.

    A cell is a seed's and prompt's mean over its parsed orders; rates are percentages over cells, intervals 95%
    two-level bootstraps (seeds, then prompts, of all that were judged); `_t_low` and `_t_high` are those of a crossed
    analysis of variance, from five seeds on. `se` is AlpacaEval's, over prompts. `ties` and `flipped` count prompts of
    a seed whose mean is one half, and whose two orders contradict each other. `p_value`
    tests the win rate against one half, `difference_p_value` the paired difference to the reference run against zero,
    both two-sided from the same bootstrap; `_holm` is corrected over the rows against the same baseline.
    `lc_win_rate` is length-controlled, `rating` the Bradley-Terry rating in logits over all runs and baselines, the
    reference run (else the first baseline) being 0.

    Args:
        verdicts: COMPARED_COLUMNS, one row per order; preference q in [0, 1], NaN where not parsed, lengths in
            characters. Optional: seed, order, turn (of a prompt, whose turns are one cell).
        difficulty: indexed by prompt_id; estimated from all runs where it is None and there are several.
        reference: run that the others are compared with on their common baselines, seeds and prompts.
        refits: bootstrap resamples of what needs a fit (length control, ratings); with 0 it is left out.

    Raises:
        InputError: a column is missing, a row names no run or prompt, a preference or length is no number or out of
            range, an order stands twice, the reference has no verdicts, or a prompt has no difficulty.
    """
    verdicts = _checked(verdicts)
    if reference is not None and reference not in set(verdicts["run"]):
        raise InputError(f"no verdicts on run {reference!r}; runs are {', '.join(sorted(set(verdicts['run'])))}")
    cells = _cells(verdicts)
    if refits:
        cells["difficulty"] = _difficulty(cells, difficulty)
        ratings = rating_intervals(cells, reference or sorted(set(verdicts["baseline"]))[0], refits, seed)
    judged, parsed = (dict(list(frame.groupby(["run", "baseline"], sort=True))) for frame in (verdicts, cells))
    rows = []
    for (run, baseline), all_orders in judged.items():
        own = parsed.get((run, baseline), cells[:0])
        other = parsed.get((reference, baseline), cells[:0]) if run != reference else cells[:0]
        # All that was judged is drawn: a prompt without a parsed verdict counts nothing, wherever it is drawn.
        levels = sorted(set(all_orders["seed"])), pd.Index(sorted(set(all_orders["prompt_id"])))
        matrices = [_matrix(cells, *levels) for cells in (own, other)]
        row = {"run": run, "baseline": baseline} | _counts(all_orders, own) | _rates(*matrices, resamples, seed)
        if refits:
            row |= _length_controlled(own, refits, seed)
            row |= ratings.loc[run].to_dict() if run in ratings.index else {}
        rows.append(row)
    table = pd.DataFrame(rows)
    for name in ("p_value", "difference_p_value"):
        corrected = table.groupby("baseline")[name].transform(holm)
        table.insert(table.columns.get_loc(name) + 1, f"{name}_holm", corrected)
    return table


def holm(p_values: pd.Series) -> np.ndarray:
    """Holm's correction over the values that are not NaN; the others stay NaN."""
    from statsmodels.stats.multitest import multipletests

    corrected = np.full(len(p_values), np.nan)
    present = p_values.notna().to_numpy()
    if present.any():
        corrected[present] = multipletests(p_values[present], method="holm")[1]
    return corrected


def _checked(verdicts: pd.DataFrame) -> pd.DataFrame:
    for column in COMPARED_COLUMNS:
        if column not in verdicts:
            raise InputError(f"verdicts: no column {column!r}; they must have {', '.join(COMPARED_COLUMNS)}")
    more = {"seed": 0, "order": "none", "turn": 1}
    verdicts = verdicts.assign(**{name: verdicts.get(name, usual) for name, usual in more.items()})
    for column in ("run", "baseline", "seed", "prompt_id"):
        for row in np.flatnonzero(verdicts[column].isna()):
            raise InputError(f"verdicts: row {row}: there is no {column}; a row is of one run, baseline and prompt")
    for column, highest, right in (
        ("preference", 1, "0 to 1, or null where not parsed"),
        *((name, np.finfo(float).max, "a number of characters") for name in ("len_run", "len_baseline")),
    ):
        given = verdicts[column]
        numbers = pd.to_numeric(given.where(~given.map(lambda value: isinstance(value, str))), errors="coerce")
        numbers = numbers.to_numpy(float, na_value=np.nan)
        known = (numbers >= 0) & (numbers <= highest) | (given.isna().to_numpy() if column == "preference" else False)
        for row in np.flatnonzero(~known):
            value = given.iloc[row]
            told = repr(value) if isinstance(value, str) else value
            raise InputError(f"verdicts: row {row}: {column} is {told}; it must be {right}")
        verdicts[column] = numbers
    for row in np.flatnonzero(verdicts.duplicated(["run", "baseline", "seed", "prompt_id", "order", "turn"])):
        raise InputError(f"verdicts: row {row}: this run, baseline, seed, prompt and order stand there before")
    return verdicts


def _cells(verdicts: pd.DataFrame) -> pd.DataFrame:
    """A row per run, baseline, seed and prompt that was parsed in an order at least: the means of its orders."""
    parsed = verdicts.dropna(subset=["preference"])
    keys = ["run", "baseline", "seed", "prompt_id"]
    cells = parsed.groupby(keys, sort=True)[["preference", "len_run", "len_baseline"]].mean().reset_index()
    cells["length_difference"] = (cells["len_baseline"] - cells["len_run"]).astype(float)
    return cells


def _difficulty(cells: pd.DataFrame, known: pd.Series | None) -> np.ndarray | None:
    if known is not None:
        found = cells["prompt_id"].map(known)
        if found.isna().any():
            raise InputError(f"difficulty: prompt {cells['prompt_id'][found.isna()].iloc[0]} has none")
        return found.to_numpy(float)
    columns = ("preference", "length_difference", "run", "prompt_id")
    several = cells.groupby("prompt_id")["run"].nunique().min() > 1 if len(cells) else False
    return fit_difficulty(*(cells[column].to_numpy() for column in columns)) if several else None


def _counts(verdicts: pd.DataFrame, cells: pd.DataFrame) -> dict:
    parsed = verdicts["preference"].notna()
    sides = verdicts[parsed].groupby(["seed", "prompt_id", "turn"])["preference"]
    return {
        "seeds": " ".join(map(str, sorted(set(verdicts["seed"])))),
        "prompts": cells["prompt_id"].nunique(),
        "n": int(parsed.sum()),
        "unparsed": int((~parsed).sum()),
        "ties": int((cells["preference"] == 0.5).sum()),
        "flipped": int(((sides.max() > 0.5) & (sides.min() < 0.5)).sum()),
    }


def _rates(own: np.ndarray, other: np.ndarray, resamples: int, seed: int) -> dict:
    """Win rate, its interval and test; the same of the paired difference to another run. Both of shape (S, P)."""
    measured = np.stack([own, own - other])
    drawn, known = bootstrap.bootstrap_means(measured, resamples, seed), bootstrap.several_prompts(measured)
    intervals = bootstrap.percentile_intervals(drawn, known)
    crossed = [crossed_interval(cells) for cells in measured]
    prompts = np.isfinite(measured).any(axis=1).sum(axis=1)
    return {
        "win_rate": bootstrap.cell_mean(own),
        "win_rate_low": intervals[0, 0],
        "win_rate_high": intervals[0, 1],
        "win_rate_t_low": crossed[0][0],
        "win_rate_t_high": crossed[0][1],
        "se": bootstrap.win_rate_se(bootstrap.prompt_means(own) / 100),
        "seed_sd": bootstrap.seed_spread(own),
        "p_value": two_sided_p_value(drawn[:, 0] - 50, prompts[0]) if known[0] else np.nan,
        "difference": bootstrap.cell_mean(measured[1]),
        "difference_low": intervals[1, 0],
        "difference_high": intervals[1, 1],
        "difference_t_low": crossed[1][0],
        "difference_t_high": crossed[1][1],
        "difference_p_value": two_sided_p_value(drawn[:, 1], prompts[1]) if known[1] else np.nan,
    }


def two_sided_p_value(drawn: np.ndarray, prompts: int) -> float:
    """How often a bootstrap's draws are as far beyond zero as zero is from them, both sides taken together.

    Twice (b + 1) / (R + 1), b of R draws being on the rarer side of zero (Davison and Hinkley 1997, 4.2), draws at zero
    on both. Where b is below FEW_DRAWS the tail of the normal distribution with the draws' mean and standard deviation
    stands in, so that a correction over many runs has something to correct; it is never below what a sign test gives
    for prompts that all say the same.

    Args:
        drawn: shape (R,), NaN left out.
        prompts: how many were drawn from.
    """
    drawn = drawn[np.isfinite(drawn)]
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    counted = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
    if beyond >= FEW_DRAWS or len(drawn) < 2:
        return float(counted)
    spread = drawn.std(ddof=1)
    tail = math.erfc(abs(drawn.mean()) / spread / math.sqrt(2)) if spread else 0.0
    return float(min(counted, max(tail, 2.0 ** (1 - prompts))))


def _matrix(cells: pd.DataFrame, seeds: list, prompts: pd.Index) -> np.ndarray:
    """Win rates by seed and prompt, shape (S, P), NaN where nothing was parsed."""
    values = {seed: 100 * rows.set_index("prompt_id")["preference"] for seed, rows in cells.groupby("seed")}
    return bootstrap.cell_matrix(values, seeds, prompts)


def _length_controlled(own: pd.DataFrame, refits: int, seed: int) -> dict:
    difficulty = None if own["difficulty"].isna().any() else own["difficulty"].to_numpy(float)
    fitted = own["preference"].to_numpy(), own["length_difference"].to_numpy(), difficulty
    levels = own["prompt_id"].to_numpy(), own["seed"].to_numpy()
    low, high = length_controlled_interval(*fitted, *levels, refits, seed)
    return {"lc_win_rate": length_controlled_rate(*fitted), "lc_win_rate_low": low, "lc_win_rate_high": high}
