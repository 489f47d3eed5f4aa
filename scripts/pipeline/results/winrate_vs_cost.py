"""Win rates against what the runs cost: a row per run, and which of them are on the Pareto front."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.metrics import bootstrap
from pipeline.metrics.pareto import on_front
from pipeline.results.cost_axes import AXES, Axis, known_axes
from pipeline.results.csv_tables import read_numbers, rows_of
from pipeline.results.run_names import kind_names
from pipeline.results.run_table import CHOSEN, Run, RunTable, read_verdicts
from pipeline.results.training_cost import MEASURED, training_costs

NAMES = ["dataset", "model", "decoding", "run", "method", "name", "seeds"]
RATES = ["win_rate", "win_rate_low", "win_rate_high"]
COSTS = [
    column
    for name in ("device_seconds", "steps", "tokens", "training_seconds", "dollars")
    for column in (name, f"{name}_low", f"{name}_high")
]
OTHERS = [name for name in MEASURED if name not in COSTS]
LAST = ["front", "front_share", "unknown"]
COLUMNS = [*NAMES, *RATES, *COSTS, *OTHERS, *LAST]


def winrate_vs_cost(
    table: RunTable,
    winrate: pd.DataFrame,
    dollars_per_hour: float | None = None,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per (dataset, model, decoding, run), in the order of the run table.

    Costs are those of one training, means over seeds, with the bootstrap's interval where there are several seeds.
    `front` names the axes (`pipeline.results.cost_axes.AXES`) on which no other run of the group costs no more and wins
    no less against the chosen responses, and one of the two truly so. `front_share` is in how many of the resamples of
    seeds and prompts, which are the same for all runs, a run is on the front of the default axis. `unknown` says why
    a run has no costs, or has not all.

    Args:
        winrate: the win-rate table of these runs, as `pipeline.results.tables.read_table` gives it.
        dollars_per_hour: what an hour of a job costs.

    Returns:
        COLUMNS; NaN where a number is not known.
    """
    costs = training_costs(table)
    costs["dollars"] = costs["device_seconds"] / 3600 * (np.nan if dollars_per_hour is None else dollars_per_hour)
    rows = []
    for group in table.groups:
        known = rows_of(winrate[winrate["baseline"] == CHOSEN], group).set_index("run")[RATES].to_dict("index")
        names = kind_names(table.runs_of(group))
        for run in table.runs_of(group):
            own = costs[(costs[["dataset", "model", "run"]] == run.place).all(axis=1)].set_index("seed")
            told = {name: getattr(run, name) for name in NAMES[:5]} | {"name": names.get(run.run, run.run)}
            told |= {"seeds": " ".join(map(str, run.seeds)), "unknown": _unknown(own)}
            rows.append(told | dict.fromkeys(RATES, np.nan) | known.get(run.run, {}) | _measured(own, resamples, seed))
    frame = pd.DataFrame(rows)
    _add_fronts(frame, table, costs, resamples, seed)
    return frame.reindex(columns=COLUMNS)


def with_rates(costs: pd.DataFrame, table: RunTable, winrate: pd.DataFrame) -> pd.DataFrame:
    """The same costs with the win rates on a set of prompts, and the fronts by those.

    Win rates are against what all runs of the set stand against; where that is the baseline run, it
    stands at 50 itself.
    `front_share` is NaN, as nothing is resampled.

    Args:
        costs: as `winrate_vs_cost` gives it.
        table: the set's runs.
        winrate: the win-rate table of these.
    """
    place = ["dataset", "model", "decoding", "run"]
    frame = costs[costs["decoding"].isin(table.decodings)].reset_index(drop=True)
    known = winrate[winrate["baseline"] == table.common].set_index(place)[RATES]
    frame[RATES] = known.reindex(pd.MultiIndex.from_frame(frame[place])).to_numpy()
    if table.common == table.baseline:
        frame.loc[frame["run"] == table.baseline, RATES] = 50.0
    _name_fronts(frame, table)
    return frame.assign(front_share=np.nan)


def read_winrate_vs_cost(path: str | Path) -> pd.DataFrame:
    """The table as written: names are text, the rest numbers.

    Raises:
        InputError: the file is missing, is no CSV, lacks a column, or has text for a number.
    """
    return read_numbers(path, COLUMNS, [*RATES, *COSTS, *OTHERS, "front_share"])


def _unknown(own: pd.DataFrame) -> str:
    if own.empty:
        return "no training here"
    return "no records of its jobs" if own["device_seconds"].isna().all() else ""


def _measured(own: pd.DataFrame, resamples: int, seed: int) -> dict[str, float]:
    """Means over seeds of what a run's trainings cost, those of the axes with intervals."""
    found = {name: bootstrap.rounded(bootstrap.cell_mean(own[name])) for name in [*MEASURED, "dollars"]}
    for axis in AXES:
        cells = own[axis.column].to_numpy(dtype=float)[None, :, None]
        several = np.isfinite(cells).sum(axis=1)[:, 0] > 1
        [ends] = bootstrap.percentile_intervals(bootstrap.bootstrap_means(cells, resamples, seed), several)
        found |= {f"{axis.column}_{end}": bootstrap.rounded(ends[i]) for i, end in enumerate(("low", "high"))}
    return found


def _add_fronts(frame: pd.DataFrame, table: RunTable, costs: pd.DataFrame, resamples: int, seed: int) -> None:
    """Add the columns front and front_share."""
    frame["front_share"] = np.nan
    axes = _name_fronts(frame, table)
    for group in table.groups if axes else ():
        own = rows_of(frame, group)
        known = own[np.isfinite(own[axes[0].column]) & np.isfinite(own["win_rate"])]
        runs = [run for run in table.runs_of(group) if run.run in set(known["run"])]
        if runs:
            frame.loc[known.index, "front_share"] = _front_share(runs, costs, axes[0].column, resamples, seed)


def _name_fronts(frame: pd.DataFrame, table: RunTable) -> list[Axis]:
    """Add the column front; the axes that are known."""
    frame["front"] = ""
    axes = known_axes(frame.to_dict("records"))
    for group in table.groups if axes else ():
        own = rows_of(frame, group)
        for axis in axes:
            front = on_front(own[axis.column].to_numpy(), own["win_rate"].to_numpy())
            frame.loc[own.index[front], "front"] += f" {axis.column}"
    frame["front"] = frame["front"].str.strip()
    return axes


def _front_share(runs: list[Run], costs: pd.DataFrame, column: str, resamples: int, seed: int) -> np.ndarray:
    """In which share of the resamples each run is on the front: shape (K,)."""
    read = [{number: read_verdicts(run, number, CHOSEN) for number in run.seeds} for run in runs]
    means = [{number: bootstrap.order_means(verdicts) for number, verdicts in each.items()} for each in read]
    seeds = sorted({number for run in runs for number in run.seeds})
    prompts = pd.Index(sorted({prompt for each in means for values in each.values() for prompt in values.index}))
    cells = np.stack([bootstrap.cell_matrix(each, seeds, prompts) for each in means])
    by_seed = costs.set_index(["dataset", "model", "run", "seed"])[column]
    spent = np.array([[by_seed.get((*run.place, number), np.nan) for number in seeds] for run in runs])
    # the same seed of the generator and as many seeds of runs: these draws of seeds are those of the verdicts
    drawn = bootstrap.bootstrap_means(spent[:, :, None], resamples, seed)
    return on_front(drawn, bootstrap.bootstrap_means(cells, resamples, seed)).mean(axis=0)
