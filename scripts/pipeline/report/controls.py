"""Each method beside its controls: other trainings that share one thing with it, such as the number of steps."""

import math

import pandas as pd

from pipeline.report.findings import direct_comparison
from pipeline.report.section import Section
from pipeline.results.caveats import of_rows
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import CHOSEN, Run, RunTable

Key = tuple[str, ...]
SAME = 0.01  # part by which steps may differ and still count as as many
RATE = ("win_rate", "win_rate_low", "win_rate_high")


def controls_section(table: RunTable, winrate: pd.DataFrame, cost: pd.DataFrame) -> list[Section]:
    """The section, in a list; none where no run has controls.

    Args:
        winrate, cost: the tables, as `pipeline.results.tables.read_table` gives them.
    """
    boards = []
    for run in (run for run in table.runs if run.controls):
        opponents = _opponents(winrate, run.group)
        costs = _costs(cost, run.group)
        rows = [_row(run, opponents, costs)]
        for control in _controls(table, run):
            direct = opponents.get((run.run, control.run), {})
            against = {f"direct{name.removeprefix('win_rate')}": direct.get(name, math.nan) for name in RATE}
            rows.append(_row(control, opponents, costs) | against | {"p": direct.get("p_value_holm", math.nan)})
        boards.append({"title": table.title_of(run.group), "run": run.run, "rows": rows})
    return [Section("controls", "Controls", "controls.jinja", {"boards": boards})] if boards else []


def control_sentences(table: RunTable, winrate: pd.DataFrame, cost: pd.DataFrame) -> dict[Key, str]:
    """What direct comparisons say of each run and its controls of as many steps, by group and run."""
    found = {}
    for run in (run for run in table.runs if run.controls):
        opponents, costs = _opponents(winrate, run.group), _costs(cost, run.group)
        steps = _steps(costs, run.run)
        matched = [other for other in _controls(table, run) if abs(_steps(costs, other.run) - steps) <= SAME * steps]
        rows = [(other.run, opponents.get((run.run, other.run))) for other in matched]
        sentences = [
            f"With as many steps ({steps:.0f}): {_lowered(direct_comparison(run.run, name, row, of_rows([row])))}"
            for name, row in rows
            if row is not None and not math.isnan(row["win_rate"])
        ]
        if sentences:
            found[(*run.group, run.run)] = " ".join(sentences)
    return found


def _controls(table: RunTable, run: Run) -> list[Run]:
    return [other for other in table.runs_of(run.group) if other.run in run.controls]


def _opponents(winrate: pd.DataFrame, group: tuple[str, ...]) -> dict[tuple[str, str], dict]:
    """Rows of the win-rate table by run and opponent."""
    return {(row["run"], row["baseline"]): row for row in rows_of(winrate, group).to_dict("records")}


def _costs(cost: pd.DataFrame, group: tuple[str, ...]) -> dict[str, dict]:
    return {row["run"]: row for row in rows_of(cost, group).to_dict("records")}


def _steps(costs: dict[str, dict], run: str) -> float:
    return costs.get(run, {}).get("steps", math.nan)


def _row(run: Run, opponents: dict, costs: dict) -> dict:
    """What a run took, and its win rate against the chosen responses."""
    chosen, cost = opponents.get((run.run, CHOSEN), {}), costs.get(run.run, {})
    measured = {name: chosen.get(name, math.nan) for name in RATE}
    return {"run": run.run, **measured, **{name: cost.get(name, math.nan) for name in ("steps", "training_seconds")}}


def _lowered(sentence: str) -> str:
    """A sentence that goes on behind a colon: names of runs stay as they are."""
    return f"n{sentence[1:]}" if sentence.startswith("No clear") else sentence
