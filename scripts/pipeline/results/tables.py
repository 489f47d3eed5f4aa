"""The two result tables: win rates with intervals, and training costs, one row per run."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.jobs.io import InputError
from pipeline.metrics import bootstrap
from pipeline.metrics.comparison import REFITS
from pipeline.results import sweep_comparison
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

WINRATE_LEFT = ["dataset", "model", "run", "method", "baseline"]
WINRATE_RIGHT = [
    "seeds",
    "n",
    "unparsed",
    "refused",
    "failed",
    "ties",
    "win_rate",
    "win_rate_low",
    "win_rate_high",
    "win_rate_se",
    "win_rate_seed_sd",
    "difference",
    "difference_low",
    "difference_high",
    "mean_reward",
    "mean_reward_low",
    "mean_reward_high",
    "reward_difference",
    "reward_difference_low",
    "reward_difference_high",
    "mean_response_length",
    "reward_accuracy",
    "reward_margin",
    "kl",
    *sweep_comparison.COLUMNS,
]
COST_COLUMNS = [
    "dataset",
    "model",
    "run",
    "method",
    "seeds",
    "training_seconds",
    "rollout_seconds",
    "steps",
    "seconds_per_step",
    "peak_memory_mib",
    "seconds_ratio_to_baseline",
    "memory_ratio_to_baseline",
    "device",
]
COUNTS = dict.fromkeys(("n", "unparsed", "refused", "failed", "ties", "flipped"), int)
TEXT_COLUMNS = {*WINRATE_LEFT, "seeds", "device"}


def winrate_columns(table: RunTable) -> list[str]:
    """The columns of the win-rate table; the hyperparameters of all runs stand in the middle."""
    for name in table.hyperparameters:
        if name in WINRATE_LEFT + WINRATE_RIGHT:
            raise InputError(f"{table.path}: hyperparameter {name!r} has the name of a column of the win-rate table")
    return WINRATE_LEFT + table.hyperparameters + WINRATE_RIGHT


def winrate_table(
    table: RunTable, resamples: int = bootstrap.RESAMPLES, seed: int = 0, refits: int = REFITS
) -> pd.DataFrame:
    """One row per (dataset, model, run, baseline), seeds aggregated, in the order of the run table, `chosen` first.

    Rates are percentages. A rate is the mean over (seed, prompt) cells, a cell being the mean of its parsed orders; n,
    unparsed and ties count single verdicts, unparsed all that have no preference; refused (by the judge) and failed (no
    usable reply) are part of those. `win_rate_se` is AlpacaEval's standard error over prompts, after averaging
    a prompt over its seeds; the interval also holds the variation between seeds. Differences to the baseline run are
    taken cell by cell, over the seeds and prompts that both runs have, and stand only on rows of the other runs. Tests,
    length-controlled win rates and ratings are those of `pipeline.results.sweep_comparison`.

    Args:
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.
        refits: resamples of what needs a fit, 0 to leave it out.
    """
    columns = winrate_columns(table)
    rows = []
    for group in table.groups:
        baseline = table.baseline_of(group)
        reference = _Cells(baseline) if baseline else None
        for run in table.runs_of(group):
            rows += _winrate_rows(run, reference, resamples, seed)
    compared = sweep_comparison.sweep_comparison(table, resamples, seed, refits)
    for row in rows:
        found = compared.loc[tuple(row[key] for key in sweep_comparison.KEYS)]
        row |= {key: bootstrap.rounded(value) for key, value in found.items() if pd.notna(value)}
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    # The hyperparameters stay as they were given: 1 is not 1.0, and a field that does not apply is empty.
    return frame.astype({column: COUNTS.get(column, float) for column in WINRATE_RIGHT if column != "seeds"})


def cost_table(table: RunTable) -> pd.DataFrame:
    """One row per trained run, seeds aggregated, in the order of the run table.

    training_seconds, rollout_seconds (the part of them spent on sampling) and steps are means over seeds,
    seconds_per_step is the ratio of the two sums, peak_memory_mib the maximum. The ratios to the baseline run are means
    over the common seeds of the ratio within a seed.
    """
    rows = []
    for group in table.groups:
        baseline = table.baseline_of(group)
        reference = _costs(baseline) if baseline else {}
        for run in table.runs_of(group):
            costs = _costs(run)
            if costs:
                rows.append(_cost_row(run, costs, reference))
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def read_table(path: str | Path) -> pd.DataFrame:
    """A win-rate or cost table as written: names and hyperparameters are text, measured columns are numbers.

    Empty fields are NaN in the measured columns and "" elsewhere.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column of both tables, or has text in a measured column.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from error
    wanted = WINRATE_LEFT + WINRATE_RIGHT if "baseline" in frame.columns else COST_COLUMNS
    for column in wanted:
        if column not in frame.columns:
            raise InputError(f"{path}: no column {column!r}; it must have {', '.join(wanted)}")
    for column in set(wanted) - TEXT_COLUMNS:
        try:
            frame[column] = pd.to_numeric(frame[column].replace("", None))
        except ValueError as error:
            raise InputError(f"{path}: column {column!r} must hold numbers ({error})") from error
    return frame


class _Cells:
    """What was measured on one run, per seed a series indexed by prompt_id."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.verdicts = {
            baseline: {seed: read_verdicts(run, seed, baseline) for seed in run.seeds} for baseline in run.baselines
        }
        self.preferences = {
            baseline: {seed: 100 * bootstrap.order_means(frame) for seed, frame in frames.items()}
            for baseline, frames in self.verdicts.items()
        }
        self.rewards = {seed: read_scores(run, seed) for seed in run.seeds_with("scores")}

    def prompts(self) -> pd.Index:
        series = [*self.rewards.values(), *(s for by_seed in self.preferences.values() for s in by_seed.values())]
        return pd.Index(sorted({prompt for values in series for prompt in values.index}))


def _winrate_rows(run: Run, reference: _Cells | None, resamples: int, seed: int) -> list[dict]:
    is_baseline = reference is not None and reference.run is run
    measured = reference if is_baseline else _Cells(run)
    prompts = measured.prompts()

    def matrix(values: dict[int, pd.Series]) -> np.ndarray:
        return bootstrap.cell_matrix(values, run.seeds, prompts)

    cells = {("win_rate", opponent): matrix(values) for opponent, values in measured.preferences.items()}
    cells["reward"] = matrix(measured.rewards)
    if reference is not None and not is_baseline:
        if CHOSEN in measured.preferences and CHOSEN in reference.preferences:
            cells["difference"] = cells["win_rate", CHOSEN] - matrix(reference.preferences[CHOSEN])
        cells["reward_difference"] = cells["reward"] - matrix(reference.rewards)
    intervals = dict(
        zip(cells, bootstrap.bootstrap_intervals(np.stack(list(cells.values())), resamples, seed), strict=True)
    )

    def estimate(column: str, key: str | tuple[str, str]) -> dict:
        if key not in cells:
            return {}
        low, high = intervals[key]
        return _numbers({column: bootstrap.cell_mean(cells[key]), f"{column}_low": low, f"{column}_high": high})

    shared = {
        "dataset": run.dataset,
        "model": run.model,
        "run": run.run,
        "method": run.method,
        **run.hyperparameters,
        "seeds": " ".join(str(seed) for seed in run.seeds),
        **estimate("mean_reward", "reward"),
        **estimate("reward_difference", "reward_difference"),
        **_numbers(_policy_measurements(run)),
    }
    rows = []
    for opponent in sorted(run.baselines, key=lambda name: name != CHOSEN):
        verdicts = pd.concat(measured.verdicts[opponent].values())
        parsed = verdicts["preference"].notna()
        row = {
            **shared,
            "baseline": opponent,
            "n": int(parsed.sum()),
            "unparsed": int((~parsed).sum()),
            **{status: int((verdicts["status"] == status).sum()) for status in ("refused", "failed")},
            "ties": int((verdicts["preference"] == 0.5).sum()),
            **estimate("win_rate", ("win_rate", opponent)),
            **_numbers(
                {
                    "win_rate_se": bootstrap.win_rate_se(bootstrap.prompt_means(cells["win_rate", opponent]) / 100),
                    "win_rate_seed_sd": bootstrap.seed_spread(cells["win_rate", opponent]),
                }
            ),
        }
        if opponent == CHOSEN:
            row |= estimate("difference", "difference")
        rows.append(row)
    return rows


def _policy_measurements(run: Run) -> dict[str, float]:
    """Means over seeds and prompts: length of the responses, implicit reward of the evaluation pairs, KL."""
    lengths = [read_responses(run, seed)["response"].str.len() for seed in run.seeds]
    measurements = {"mean_response_length": bootstrap.cell_mean(np.concatenate(lengths))}
    evaluations = [read_evaluation(run, seed) for seed in run.seeds_with("evaluation")]
    if not evaluations:
        return measurements
    frame = pd.concat(evaluations)
    measurements["kl"] = bootstrap.cell_mean(frame["response_logps"] - frame["ref_response_logps"])
    beta = run.hyperparameters.get("beta")
    if beta is not None:
        chosen = frame["chosen_logps"] - frame["ref_chosen_logps"]
        margins = beta * (chosen - (frame["rejected_logps"] - frame["ref_rejected_logps"]))
        measurements["reward_accuracy"] = bootstrap.positive_share(margins)
        measurements["reward_margin"] = bootstrap.cell_mean(margins)
    return measurements


def _numbers(values: dict[str, float]) -> dict[str, float]:
    """Rounded, without the sign of a zero; NaN is left out so that its field stays empty."""
    return {key: bootstrap.rounded(value) for key, value in values.items() if np.isfinite(value)}


def _costs(run: Run) -> dict[int, dict]:
    return {seed: read_cost(run, seed) for seed in run.seeds_with("cost")}


def _cost_row(run: Run, costs: dict[int, dict], reference: dict[int, dict]) -> dict:
    def values(key: str) -> list[float]:
        return [cost[key] for cost in costs.values()]

    def ratio(key: str) -> float:
        common = [seed for seed in costs if reference.get(seed, {}).get(key)]
        return bootstrap.cell_mean(np.array([costs[seed][key] / reference[seed][key] for seed in common]))

    steps = float(np.mean(values("steps")))
    return {
        "dataset": run.dataset,
        "model": run.model,
        "run": run.run,
        "method": run.method,
        "seeds": " ".join(str(seed) for seed in costs),
        "training_seconds": float(np.mean(values("seconds"))),
        "rollout_seconds": float(np.mean(values("rollout_seconds"))),
        "steps": steps,
        "seconds_per_step": sum(values("seconds")) / sum(values("steps")) if steps else float("nan"),
        "peak_memory_mib": float(max(values("peak_memory_mib"))),
        "seconds_ratio_to_baseline": ratio("seconds"),
        "memory_ratio_to_baseline": ratio("peak_memory_mib"),
        "device": "; ".join(sorted({str(cost["device"]) for cost in costs.values()})),
    }
