"""The numbers and the picture of the README: made from small tables, each of which is made from those of a run."""

import re
from pathlib import Path

import pandas as pd

from pipeline.columns.responses import EXTERNAL
from pipeline.figures.drawing import save_figure
from pipeline.figures.winrates import winrate_figure
from pipeline.jobs.io import InputError
from pipeline.report.numbers import number
from pipeline.results.csv_tables import read_numbers
from pipeline.results.run_table import CHOSEN, Run, RunTable

MEASURED = tuple(f"{name}{end}" for name in ("win_rate", "difference") for end in ("", "_low", "_high"))
SPREAD = "win_rate_seed_sd"
NUMBERS = (*MEASURED, SPREAD, "time_ratio", "control")
COLUMNS = ("decoding", "called", "run", "method", "baseline", *NUMBERS)
# The README's tables, and what the marks that each stands between call it.
TABLES = {"winrate": "win rates", "methods": "every method"}
SIGNS = {"beta": "β", "gamma": "γ", "rho": "ρ", "pi": "π", "learning_rate": "rate"}
PART = r"-([a-z_]+)(\d[\d.]*(?:e-?\d+)?)(?=-|$)"  # of a run's name: a hyperparameter and its value
# What a run's name has beside numbers, in words.
WORDS = {
    "steps_like": "as many steps as {}",
    "seconds_like": "as many seconds as {}",
    "rollout_policy": "pairs of the SFT model",
    "estimator": "the published code's estimator",
}
SAID = rf"-({'|'.join(WORDS)})_(\w+)"


def shrunk(winrate: pd.DataFrame, cost: pd.DataFrame, controls: pd.DataFrame | None = None) -> pd.DataFrame:
    """The small table, of COLUMNS, from a run's tables of one dataset and model.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        cost: the cost table, likewise.
        controls: the win-rate table of another run, whose runs are marked as controls where the first has them not. So
            are those of the first that have another's length, the SFT model's pairs or another estimator.

    Raises:
        InputError: the win-rate table has several datasets or models.
    """
    places = winrate[["dataset", "model"]].drop_duplicates()
    if len(places) > 1:
        raise InputError(f"the win-rate table has {len(places)} datasets and models; it must have one")
    ratios = cost.set_index("run")["seconds_ratio_to_baseline"]
    said = winrate["run"].map(lambda name: int(bool(re.search(SAID, name))))
    parts = [winrate.assign(control=said, time_ratio=winrate["run"].map(ratios))]
    if controls is not None:
        more = controls[~controls["run"].isin(winrate["run"]) & controls["decoding"].isin(winrate["decoding"])]
        parts.append(more.assign(control=1, time_ratio=float("nan")))
    frame = pd.concat(parts, ignore_index=True)
    baseline = next((name for name in frame["baseline"] if name != CHOSEN), "")
    frame = frame[frame["baseline"].isin([CHOSEN, baseline])]  # comparisons with controls are the run's own table's
    called = frame[["method", "run"]].apply(lambda row: _called(row["method"], row["run"], baseline), axis=1)
    return frame.assign(called=called)[list(COLUMNS)]


def read_small(path: str | Path) -> pd.DataFrame:
    """The small table.

    Raises:
        InputError: the file is missing, a column is, or one holds other text than numbers.
    """
    return read_numbers(path, COLUMNS, NUMBERS)


def markdown(frame: pd.DataFrame) -> str:
    """The README's table: a line per run, the controls marked, each decoding beside the others."""
    rows = {name: part.set_index(["decoding", "baseline"]) for name, part in frame.groupby("run", sort=False)}
    decodings = list(dict.fromkeys(frame["decoding"]))
    baseline = next(name for name in frame["baseline"] if name != CHOSEN)
    base = frame.loc[frame["run"] == baseline, "called"].iloc[0]
    measured = {"against the chosen responses": (CHOSEN, "win_rate")}
    if len(decodings) == 1:
        measured[f"difference to {base} there"] = (CHOSEN, "difference")
    measured[f"against {base}"] = (baseline, "win_rate")
    measured["SD of seeds"] = (CHOSEN, SPREAD)
    of = {name: f"{name}: " if len(decodings) > 1 else "" for name in decodings}
    heads = [f"{of[name]}{head}" for name in decodings for head in measured]
    lines = [["run", *heads, f"training time, {base} = 1"], ["---"] * (len(heads) + 2)]
    for found in rows.values():
        first = found.iloc[0]
        ratio = first["time_ratio"]
        places = [(name, opponent, column) for name in decodings for opponent, column in measured.values()]
        cells = [
            _estimate(found.loc[name, opponent].to_dict() if (name, opponent) in found.index else {}, column)
            for name, opponent, column in places
        ]
        time = "" if ratio != ratio else "1" if ratio == 1 else number(ratio)
        lines.append([("* " if first["control"] else "") + first["called"], *cells, time])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |").replace("|  |", "| |")


def marks(table: str) -> tuple[str, str]:
    """The lines that a table of TABLES stands between."""
    return f"<!-- {TABLES[table]}: scripts/write_readme.py -->", f"<!-- end of {TABLES[table]} -->"


def with_table(readme: str, frame: pd.DataFrame, table: str) -> str:
    """The README's text with a table of TABLES as its small table has it.

    Raises:
        InputError: the marks that it stands between are missing.
    """
    first, last = marks(table)
    start, end = readme.find(first), readme.find(last)
    if not 0 <= start < end:
        raise InputError(f"README.md: the table must stand between {first!r} and {last!r}")
    return readme[: start + len(first)] + f"\n\n{markdown(frame)}\n" + readme[end:]


def draw(frame: pd.DataFrame, path: Path) -> None:
    """The picture: win rates of all but the controls, a panel for each decoding."""
    frame = frame[frame["control"] == 0].assign(dataset="", model="")
    runs = [
        Run("", "", name, part["method"].iloc[0], {}, list(part["baseline"]), {1: {}}, {1: {}}, decoding=decoding)
        for (decoding, name), part in frame.groupby(["decoding", "run"], sort=False)
    ]
    baseline = next(name for name in frame["baseline"] if name != CHOSEN)
    save_figure(winrate_figure(RunTable(str(path), "", "", baseline, [1], runs), frame), path)


def _called(method: str, run: str, baseline: str) -> str:
    """A run by its method and what it has beside the baseline run: "DPR, g 0.6, γ 0"."""
    words = [WORDS[key].format(value.upper()) for key, value in re.findall(SAID, run)]
    name = re.sub(SAID, "", run)
    parts, known = (re.findall(PART, text) for text in (name, baseline))
    kind = name.removesuffix("".join(f"-{key}{value}" for key, value in parts))  # dpo, or a name of a loss: ipo
    if method == EXTERNAL or not re.fullmatch(r"[a-z_]+", kind):
        return run
    told = [f"{SIGNS.get(key, key)} {value}" for key, value in parts if (key, value) not in known]
    return ", ".join([kind.replace("_", " ").upper(), *told, *words])


def _estimate(row: dict, name: str) -> str:
    value = row.get(name, float("nan"))
    if value != value:
        return ""
    if name == SPREAD:
        return number(value)
    return f"{number(value)} [{number(row[f'{name}_low'])}, {number(row[f'{name}_high'])}]"
