"""The win-rate table before its seeds are aggregated: what each training seed gave."""

from collections.abc import Callable

import pandas as pd

from pipeline.metrics import bootstrap
from pipeline.results.measurements import policy_measurements, unfinished_share, verdict_counts
from pipeline.results.run_table import CHOSEN, Run, RunTable, read_cost, read_scores, read_verdicts

KEYS = ["dataset", "model", "decoding", "run", "method", "baseline", "seed"]
COLUMNS = [
    *KEYS,
    *("n", "unparsed", "ties", "win_rate", "win_rate_se", "mean_reward", "mean_response_length", "kl"),
    *("unfinished_share", "training_seconds"),
]


def seed_table(table: RunTable, read: Callable[[Run, int, str], pd.DataFrame] = read_verdicts) -> pd.DataFrame:
    """One row per (dataset, model, decoding, run, baseline, seed), the columns those of the win-rate and other tables.

    `win_rate_se` is over prompts, so it says nothing about other seeds. What a run has no file for is NaN.

    Args:
        read: gives the verdicts of a run, seed and opponent, as `read_verdicts` does.
    """
    rows = [row for run in table.runs for seed in run.seeds for row in _rows(run, seed, read)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(run: Run, seed: int, read: Callable[[Run, int, str], pd.DataFrame]) -> list[dict]:
    shared = {name: getattr(run, name) for name in KEYS[:5]} | {"seed": seed}
    shared |= policy_measurements(run, [seed]) | {"unfinished_share": unfinished_share(run, [seed])}
    if "scores" in run.files[seed]:
        shared["mean_reward"] = bootstrap.cell_mean(read_scores(run, seed))
    if "cost" in run.files[seed]:
        shared["training_seconds"] = read_cost(run, seed)["seconds"]
    rows = []
    for baseline in sorted(run.baselines, key=lambda name: name != CHOSEN):
        verdicts = read(run, seed, baseline)
        means = bootstrap.order_means(verdicts)
        rates = {"win_rate": bootstrap.win_rate(means), "win_rate_se": bootstrap.win_rate_se(means)}
        rows.append(shared | {"baseline": baseline} | verdict_counts(verdicts) | rates)
    return rows
