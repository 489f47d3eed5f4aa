"""Which runs are drawn where there are more than one picture can hold, and what they are called beside it."""

import math

import pandas as pd

from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import Run, RunTable

# More rows than this cannot be read in one picture; the tables hold all runs.
MAX_RUNS = 60
LONGEST = 34  # characters of a name beside a row


def shown_runs(table: RunTable, winrate: pd.DataFrame, group: tuple[str, ...]) -> list[Run]:
    """The runs of a (dataset, model); of more than MAX_RUNS the best by win rate, the baseline always among them.

    Args:
        winrate: the win-rate table, in which a run's first row is that against the chosen responses.

    Returns:
        In the config's order, or the highest win rate first where not all are shown.
    """
    runs = table.runs_of(group)
    if len(runs) <= MAX_RUNS:
        return runs
    rates = rows_of(winrate, group).drop_duplicates("run").set_index("run")["win_rate"].dropna()
    best = sorted(runs, key=lambda run: -rates.get(run.run, -math.inf))
    baseline = table.baseline_of(group)
    return [run for run in best if run is not baseline][: MAX_RUNS - 1] + ([baseline] if baseline else [])


def short_names(runs: list[Run]) -> dict[str, str]:
    """{run: its method and what varies among the runs}, of those whose names are too long to stand beside a row.

    A name that would then be another run's too stays as it is.
    """
    settings = [run.hyperparameters for run in runs]
    known = dict.fromkeys(name for setting in settings for name in setting)
    varied = [name for name in known if len({str(setting.get(name, "")) for setting in settings}) > 1]
    names = {run.run: " ".join([run.method, *_values(run, varied)]) for run in runs}
    given = list(names.values())
    return {run: name for run, name in names.items() if len(run) > LONGEST and given.count(name) == 1}


def _values(run: Run, names: list[str]) -> list[str]:
    known = {name: run.hyperparameters[name] for name in names if run.hyperparameters.get(name) is not None}
    return [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in known.items()]
