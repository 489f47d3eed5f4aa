"""The numbers and the picture of the README: made from one small table, which is made from those of a run."""

import re
from pathlib import Path

import pandas as pd

from pipeline.figures.drawing import save_figure
from pipeline.figures.winrates import winrate_figure
from pipeline.jobs.io import InputError
from pipeline.report.numbers import number
from pipeline.results.csv_tables import read_csv, require, to_numbers
from pipeline.results.run_table import CHOSEN, Run, RunTable

MEASURED = tuple(f"{name}{end}" for name in ("win_rate", "difference") for end in ("", "_low", "_high"))
NUMBERS = (*MEASURED, "time_ratio", "control")
COLUMNS = ("called", "run", "method", "baseline", *NUMBERS)
MARKS = ("<!-- win rates: scripts/write_readme.py -->", "<!-- end of win rates -->")
SIGNS = {"beta": "β", "gamma": "γ", "rho": "ρ", "pi": "π"}


def shrunk(winrate: pd.DataFrame, cost: pd.DataFrame, controls: pd.DataFrame | None = None) -> pd.DataFrame:
    """The small table, of COLUMNS, from a run's tables of one dataset and model, under the first decoding.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        cost: the cost table, likewise.
        controls: the win-rate table of another run, whose runs are marked as controls where the first has them not.

    Raises:
        InputError: the win-rate table has several datasets or models.
    """
    places = winrate[["dataset", "model"]].drop_duplicates()
    if len(places) > 1:
        raise InputError(f"the win-rate table has {len(places)} datasets and models; it must have one")
    winrate = winrate[winrate["decoding"] == winrate["decoding"].iloc[0]]
    ratios = cost.set_index("run")["seconds_ratio_to_baseline"]
    parts = [winrate.assign(control=0, time_ratio=winrate["run"].map(ratios))]
    if controls is not None:
        more = controls[~controls["run"].isin(winrate["run"]) & (controls["decoding"] == winrate["decoding"].iloc[0])]
        parts.append(more.assign(control=1, time_ratio=float("nan")))
    frame = pd.concat(parts, ignore_index=True)
    baseline = next((name for name in frame["baseline"] if name != CHOSEN), "")
    called = frame[["method", "run"]].apply(lambda row: _called(row["method"], row["run"], baseline), axis=1)
    return frame.assign(called=called)[list(COLUMNS)]


def read_small(path: str | Path) -> pd.DataFrame:
    """The small table.

    Raises:
        InputError: the file is missing, a column is, or one holds other text than numbers.
    """
    frame = read_csv(path, dtype=str)
    require(frame, COLUMNS, path)
    return to_numbers(frame, NUMBERS, path)


def markdown(frame: pd.DataFrame) -> str:
    """The README's table: a line per run, the controls marked."""
    rows = {name: part.set_index("baseline").to_dict("index") for name, part in frame.groupby("run", sort=False)}
    baseline = next(name for name in frame["baseline"] if name != CHOSEN)
    base = frame.loc[frame["run"] == baseline, "called"].iloc[0]
    heads = ["run", "against the chosen responses", f"difference to {base} there", f"against {base}"]
    lines = [[*heads, f"training time, {base} = 1"], ["---"] * 5]
    for found in rows.values():
        chosen, direct = found.get(CHOSEN, {}), found.get(baseline, {})
        any_row = chosen or direct
        ratio = any_row["time_ratio"]
        lines.append(
            [
                ("* " if any_row["control"] else "") + any_row["called"],
                _estimate(chosen, "win_rate"),
                _estimate(chosen, "difference"),
                _estimate(direct, "win_rate"),
                "" if ratio != ratio else "1" if ratio == 1 else number(ratio),
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |").replace("|  |", "| |")


def with_table(readme: str, frame: pd.DataFrame) -> str:
    """The README's text with its table as the small table has it.

    Raises:
        InputError: the marks that it stands between are missing.
    """
    start, end = (readme.find(mark) for mark in MARKS)
    if not 0 <= start < end:
        raise InputError(f"README.md: the table must stand between {MARKS[0]!r} and {MARKS[1]!r}")
    return readme[: start + len(MARKS[0])] + f"\n\n{markdown(frame)}\n" + readme[end:]


def draw(frame: pd.DataFrame, path: Path) -> None:
    """The picture: win rates of all but the controls."""
    frame = frame[frame["control"] == 0].assign(dataset="", model="", decoding="")
    opponents = frame.groupby("run", sort=False)["baseline"].agg(list)
    methods = frame.groupby("run", sort=False)["method"].first()
    runs = [Run("", "", name, methods[name], {}, opponents[name], {1: {}}, {1: {}}) for name in opponents.index]
    baseline = next(name for name in frame["baseline"] if name != CHOSEN)
    save_figure(winrate_figure(RunTable(str(path), "", "", baseline, [1], runs), frame), path)


def _called(method: str, run: str, baseline: str) -> str:
    """A run by its method and what it has beside the baseline run: "DPR, g 0.6, γ 0"."""
    parts, known = run.split("-"), baseline.split("-")
    found = [re.fullmatch(r"([a-z_]+)([\d.]+)", part) for part in parts[1:]]
    if parts[0] != method or not all(found):
        return run.upper() if run == method else run
    told = [f"{SIGNS.get(one[1], one[1])} {one[2]}" for one in found if one[0] not in known]
    return ", ".join([method.upper(), *told])


def _estimate(row: dict, name: str) -> str:
    value = row.get(name, float("nan"))
    if value != value:
        return ""
    return f"{number(value)} [{number(row[f'{name}_low'])}, {number(row[f'{name}_high'])}]"
