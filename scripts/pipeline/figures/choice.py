"""Which of many runs are drawn, in what order, and what they are called beside it."""

import json
import math

import pandas as pd

from pipeline.results.csv_tables import rows_of
from pipeline.results.run_names import kind_names, kind_of
from pipeline.results.run_table import CHOSEN, Run, RunTable

# More rows than this cannot be read in one picture; the tables hold all runs.
MAX_RUNS = 60
# Up to so many runs stand in the config's order, and their curves are told apart; more of them stand by their rating.
FEW_RUNS = 12
CHOICE = "the baseline, each method's best, and the highest ratings"  # which ones `shown_runs` gives of many
LONGEST = 40  # characters of a name beside a row
LABEL = 260  # pixels that these surely fit into


def shown_runs(
    table: RunTable, winrate: pd.DataFrame, group: tuple[str, ...], most: int = MAX_RUNS, best: set | None = None
) -> list[Run]:
    """The runs of a (dataset, model): all, or the baseline, each method's best and then the best ones, `most` in all.

    Args:
        winrate: the win-rate table, in which a run's first row is that against the chosen responses.
        best: (dataset, model, run) of each method's best run, where it was chosen; else the first by rating is.

    Returns:
        In the config's order, or of more than FEW_RUNS the highest rating first.
    """
    runs = table.runs_of(group)
    if len(runs) <= FEW_RUNS:
        return runs
    ranked = by_rating(runs, rows_of(winrate, group))
    firsts = {kind_of(run): run for run in reversed(ranked)}
    firsts |= {kind_of(run): run for run in ranked if run.place in (best or ())}
    baseline = table.baseline_of(group)
    wanted = [[baseline] if baseline else [], [run for run in ranked if run in firsts.values()], ranked]
    kept = list(dict.fromkeys(run for part in wanted for run in part))[:most]
    return [run for run in ranked if run in kept]


def by_rating(runs: list[Run], rows: pd.DataFrame) -> list[Run]:
    """Runs by their rating, the highest first; those without one by their win rate against the chosen responses."""
    known = rows.drop_duplicates("run").set_index("run")
    rating = known["rating"] if "rating" in known and known["rating"].notna().any() else known["win_rate"]
    direct = rows[rows["baseline"] == CHOSEN].set_index("run")["win_rate"]

    def place(run: Run) -> tuple[float, float]:
        found = (values.get(run.run, math.nan) for values in (rating, direct))
        return tuple(math.inf if math.isnan(value) else -value for value in found)

    return sorted(runs, key=place)


def short_names(runs: list[Run]) -> dict[str, str]:
    """{run: a name of at most LONGEST characters}, of those whose names are longer; no two are the same.

    It is the method and what varies among its runs ("lr" for learning_rate, where it is long); where that is too long,
    or another's, the name without its middle. Where no two runs are of one kind, all are called by their kinds.
    """
    kinds = {run.run: kind_of(run) for run in runs}
    if len(set(kinds.values())) == len(kinds) and any(len(name) > LONGEST for name in kinds):
        return {name: kind for name, kind in kinds.items() if kind != name}
    told = {run.run: " ".join([kind_of(run), *_values(run, _varied(run, runs))]) for run in runs}
    if any(len(name) > LONGEST for name in told.values()):
        told = {run.run: " ".join([kind_of(run), *_values(run, _varied(run, runs), True)]) for run in runs}
    given, taken, short = list(told.values()), {run.run for run in runs if len(run.run) <= LONGEST}, {}
    for name in (run.run for run in runs if len(run.run) > LONGEST):
        said = told[name]
        if len(said) > LONGEST or given.count(said) > 1 or said in taken:
            said = _numbered(name, taken)
        taken.add(said)
        short[name] = said
    return short


def spoken_names(runs: list[Run]) -> dict[str, str]:
    """How sentences call each run: by its kind where no other run has it, else by its name, cut if it is long."""
    return {run.run: run.run for run in runs} | short_names(runs) | kind_names(runs)


def cut_names(names: list[str]) -> dict[str, str]:
    """Likewise of runs of which nothing but the names is known."""
    taken, short = {name for name in names if len(name) <= LONGEST}, {}
    for name in names:
        if len(name) > LONGEST:
            short[name] = _numbered(name, taken)
            taken.add(short[name])
    return short


def label_expression(short: dict[str, str]) -> dict[str, str]:
    """What an axis or legend is given to call its runs so; nothing where all keep their names."""
    return {"labelExpr": f"{json.dumps(short)}[datum.label] || datum.label"} if short else {}


def _varied(run: Run, runs: list[Run]) -> list[str]:
    settings = [other.hyperparameters for other in runs if kind_of(other) == kind_of(run)]
    known = dict.fromkeys(name for setting in settings for name in setting)
    return [name for name in known if len({str(setting.get(name, "")) for setting in settings}) > 1]


def _values(run: Run, names: list[str], brief: bool = False) -> list[str]:
    known = {name: run.hyperparameters[name] for name in names if run.hyperparameters.get(name) is not None}
    called = {
        name: "".join(part[0] for part in name.split("_") if part) if brief and "_" in name else name for name in known
    }
    return [
        f"{called[name]} {value:g}" if isinstance(value, float) else f"{called[name]} {value}"
        for name, value in known.items()
    ]


def _numbered(name: str, taken: set[str]) -> str:
    """Beginning and end of a name; with a number before the end, where others are the same."""
    number, end = 1, ""
    while True:
        rest = LONGEST - len(end) - 1
        cut = f"{name[: rest // 2]}…{end}{name[-(rest - rest // 2) :]}"
        if cut not in taken:
            return cut
        number, end = number + 1, f"{number + 1}…"
