"""The two result tables: win rates with intervals, and training costs, one row per run."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.jobs.io import InputError
from pipeline.metrics import bootstrap
from pipeline.metrics.comparison import REFITS
from pipeline.results import caveats
from pipeline.results.csv_tables import read_csv, require, to_numbers
from pipeline.results.judge_agreement import AGREEMENT_COLUMNS
from pipeline.results.limits import disagreeing, disagreeing_controls, row_caveats
from pipeline.results.measurements import kl_bound, policy_measurements
from pipeline.results.run_table import CHOSEN, Run, RunTable, read_cost, read_scores
from pipeline.results.sweep_comparison import sweep_comparison

SET = "set"  # column of the win-rate table where there are sets of prompts: the split's name, a set's, or "all"
WINRATE_LEFT = ["dataset", "model", "decoding", "run", "method", "baseline"]
WINRATE_RIGHT = [
    *("seeds", "n", "unparsed", "refused", "failed", "ties"),
    *("win_rate", "win_rate_low", "win_rate_high", "win_rate_se", "win_rate_seed_sd"),
    *("difference", "difference_low", "difference_high"),
    *("mean_reward", "mean_reward_low", "mean_reward_high"),
    *("reward_difference", "reward_difference_low", "reward_difference_high"),
    *("mean_response_length", "reward_accuracy", "reward_margin", "kl"),
    *("p_value", "p_value_holm", "difference_p_value", "difference_p_value_holm", "flipped"),
    *("lc_win_rate", "lc_win_rate_low", "lc_win_rate_high", "rating", "rating_low", "rating_high"),
    *("win_rate_t_low", "win_rate_t_high", "difference_t_low", "difference_t_high"),
    *AGREEMENT_COLUMNS,
    "caveats",
]
COST_COLUMNS = [
    *("dataset", "model", "run", "method", "seeds", "training_seconds", "rollout_seconds", "steps", "seconds_per_step"),
    *("peak_memory_mib", "seconds_ratio_to_baseline", "memory_ratio_to_baseline", "device", "halved"),
]
KL_BOUND = "kl_bound"
Scores = dict[int, pd.Series]  # by seed, then by prompt_id
COUNTS = dict.fromkeys(("n", "unparsed", "refused", "failed", "ties", "flipped"), int)
TEXT_COLUMNS = {*WINRATE_LEFT, "seeds", "device", "caveats"}


def winrate_columns(table: RunTable) -> list[str]:
    """The columns of the win-rate table; the hyperparameters of all runs stand in the middle.

    After them, where a run has one, what its KL is at most (KL_BOUND), as `kl` is empty of it.
    """
    for name in table.hyperparameters:
        if name in WINRATE_LEFT + WINRATE_RIGHT:
            raise InputError(f"{table.path}: hyperparameter {name!r} has the name of a column of the win-rate table")
    bounds = [KL_BOUND] if any(map(np.isfinite, map(kl_bound, table.runs))) else []
    return WINRATE_LEFT + table.hyperparameters + bounds + WINRATE_RIGHT


def winrate_table(
    table: RunTable,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
    refits: int = REFITS,
    coin_like: Collection[str] = (),
) -> pd.DataFrame:
    """One row per (dataset, model, decoding, run, baseline), seeds aggregated, in the order of the run table.

    Of a run's rows that against `chosen` is the first. `caveats` are those of `pipeline.results.caveats`.

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
        coin_like: datasets whose judge cannot be told from a coin.
    """
    columns = winrate_columns(table)
    compared = sweep_comparison(table, resamples, seed, refits).to_dict("index")
    rows = []
    for group in table.groups:
        baseline = table.baseline_of(group)
        reference = _scores(baseline) if baseline else None
        controls = {run.run: run for run in table.runs_of(group)}
        for run in table.runs_of(group):
            scores = reference if run is baseline else _scores(run)
            row = _rewards(run, scores, None if run is baseline else reference, resamples, seed)
            measured = policy_measurements(run, run.seeds) | {KL_BOUND: kl_bound(run)}
            row |= {name: bootstrap.rounded(value) for name, value in measured.items()}
            names = {name: getattr(run, name) for name in WINRATE_LEFT[:-1]}
            for opponent in sorted(run.baselines, key=lambda name: name != CHOSEN):
                measured = compared[(*group, run.run, opponent)] | row
                known = row_caveats(
                    run, controls.get(opponent, baseline), measured["prompts"], run.dataset in coin_like
                )
                rows.append(measured | names | {"baseline": opponent, "caveats": known} | run.hyperparameters)
    known = pd.DataFrame(rows)
    disagreed = disagreeing(known, table.baseline), disagreeing_controls(known, table.baseline)
    for row in rows:
        place, control = (row["dataset"], row["model"], row["run"]), row["baseline"] not in (CHOSEN, table.baseline)
        disagree = (*place, row["baseline"]) in disagreed[1] if control else place in disagreed[0]
        row["caveats"] = caveats.written([*row["caveats"], *(["decodings-disagree"] if disagree else [])])
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    # The hyperparameters stay as they were given: 1 is not 1.0, and a field that does not apply is empty.
    numbers = [column for column in columns if column in (*WINRATE_RIGHT, KL_BOUND) and column not in TEXT_COLUMNS]
    return frame.astype({column: COUNTS.get(column, float) for column in numbers})


def cost_table(table: RunTable) -> pd.DataFrame:
    """One row per trained run, however it is decoded, seeds aggregated, in the order of the run table.

    training_seconds, rollout_seconds (the part of them spent on sampling) and steps are means over seeds,
    seconds_per_step is the ratio of the two sums, peak_memory_mib the maximum, halved how often memory ran out and the
    batch was halved. The ratios to the baseline run are means over the common seeds of the ratio within a seed.
    """
    rows, table = [], table.first
    for group in table.groups:
        baseline = table.baseline_of(group)
        reference = _costs(baseline) if baseline else {}
        rows += [_cost_row(run, costs, reference) for run in table.runs_of(group) if (costs := _costs(run))]
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def read_table(path: str | Path) -> pd.DataFrame:
    """A win-rate or cost table as written: names and hyperparameters are text, measured columns are numbers.

    Of a win-rate table that has sets of prompts too, the rows of the split, which come first, and no column `set`;
    `read_set_rates` reads all. Empty fields are NaN in the measured columns and "" elsewhere.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column of both tables, or has text in a measured column.
    """
    frame = read_set_rates(path)
    return frame[frame[SET] == frame[SET].iloc[0]].drop(columns=SET) if SET in frame.columns else frame


def read_set_rates(path: str | Path) -> pd.DataFrame:
    """`read_table` with the rows of all sets of prompts, and the column `set` where there are any."""
    frame = read_csv(path, dtype=str)
    wanted = WINRATE_LEFT + WINRATE_RIGHT if "baseline" in frame.columns else COST_COLUMNS
    require(frame, wanted, path)
    return to_numbers(frame, {*wanted, *({KL_BOUND} & set(frame.columns))} - TEXT_COLUMNS, path)


def _scores(run: Run) -> Scores:
    return {seed: read_scores(run, seed) for seed in run.seeds_with("scores")}


def _rewards(run: Run, own: Scores, reference: Scores | None, resamples: int, seed: int) -> dict[str, float]:
    """The mean reward, and its paired difference to the reference's scores, each with its interval."""
    prompts = bootstrap.all_prompts(own)
    cells = bootstrap.cell_matrix(own, run.seeds, prompts)
    measured = {"mean_reward": cells}
    if reference is not None:
        measured["reward_difference"] = cells - bootstrap.cell_matrix(reference, run.seeds, prompts)
    return bootstrap.estimates(measured, resamples, seed)


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
        **{name: getattr(run, name) for name in ("dataset", "model", "run", "method")},
        "seeds": " ".join(str(seed) for seed in costs),
        "training_seconds": float(np.mean(values("seconds"))),
        "rollout_seconds": float(np.mean(values("rollout_seconds"))),
        "steps": steps,
        "seconds_per_step": sum(values("seconds")) / sum(values("steps")) if steps else float("nan"),
        "peak_memory_mib": float(max(values("peak_memory_mib"))),
        "seconds_ratio_to_baseline": ratio("seconds"),
        "memory_ratio_to_baseline": ratio("peak_memory_mib"),
        "device": "; ".join(sorted({str(cost["device"]) for cost in costs.values()})),
        "halved": sum(cost.get("batch", {}).get("halved", 0) for cost in costs.values()),
    }
