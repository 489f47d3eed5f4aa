"""The win-rate table before its seeds are aggregated: what each training seed gave."""

import pandas as pd

from pipeline.metrics import bootstrap
from pipeline.results.run_table import (
    CHOSEN,
    Run,
    RunTable,
    read_cost,
    read_evaluation,
    read_responses,
    read_scores,
    read_verdicts,
)

KEYS = ["dataset", "model", "run", "method", "baseline", "seed"]
COLUMNS = [
    *KEYS,
    *("n", "unparsed", "ties", "win_rate", "win_rate_se", "mean_reward", "mean_response_length", "kl"),
    "training_seconds",
]


def seed_table(table: RunTable) -> pd.DataFrame:
    """One row per (dataset, model, run, baseline, seed), the columns those of the win-rate and cost tables.

    `win_rate_se` is over prompts, so it says nothing about other seeds. What a run has no file for is NaN.
    """
    rows = [row for run in table.runs for seed in run.seeds for row in _rows(run, seed)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(run: Run, seed: int) -> list[dict]:
    shared = {"dataset": run.dataset, "model": run.model, "run": run.run, "method": run.method, "seed": seed}
    shared["mean_response_length"] = bootstrap.cell_mean(read_responses(run, seed)["response"].str.len())
    if "scores" in run.files[seed]:
        shared["mean_reward"] = bootstrap.cell_mean(read_scores(run, seed))
    if "evaluation" in run.files[seed]:
        evaluation = read_evaluation(run, seed)
        shared["kl"] = bootstrap.cell_mean(evaluation["response_logps"] - evaluation["ref_response_logps"])
    if "cost" in run.files[seed]:
        shared["training_seconds"] = read_cost(run, seed)["seconds"]
    rows = []
    for baseline in sorted(run.baselines, key=lambda name: name != CHOSEN):
        verdicts = read_verdicts(run, seed, baseline)
        means = bootstrap.order_means(verdicts)
        counts = {
            "n": int(verdicts["preference"].notna().sum()),
            "unparsed": int(verdicts["preference"].isna().sum()),
            "ties": int((verdicts["preference"] == 0.5).sum()),
        }
        rates = {"win_rate": bootstrap.win_rate(means), "win_rate_se": bootstrap.win_rate_se(means)}
        rows.append(shared | {"baseline": baseline} | counts | rates)
    return rows
