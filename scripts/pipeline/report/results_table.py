"""The table of all results that the page filters and sorts: rows of runs, and of each of their seeds."""

import math
from collections.abc import Sequence

import pandas as pd

from pipeline.figures.choice import FEW_RUNS
from pipeline.report.section import Section
from pipeline.results.caveats import SEPARATOR
from pipeline.results.measurements import unfinished_share
from pipeline.results.run_table import RunTable
from pipeline.results.set_results import SetResults

# (column, heading, digits, whether it has an interval)
MEASURED = [
    ("win_rate", "win rate, %", 1, True),
    ("lc_win_rate", "length-controlled, %", 1, True),
    ("difference", "difference", 1, True),
    ("p_value_holm", "p against ½, Holm", 4, False),
    ("difference_p_value_holm", "p of difference, Holm", 4, False),
    ("rating", "rating", 2, True),
    ("mean_reward", "reward", 2, True),
    ("mean_response_length", "characters", 1, False),
    ("kl", "KL, nats", 2, False),
    ("kl_bound", "KL at most, nats", 2, False),
    ("unfinished_share", "unfinished, %", 1, False),
    ("win_rate_seed_sd", "sd of seeds", 1, False),
    ("judge_agreement", "judge right, %", 1, True),
    ("n", "verdicts", 0, False),
    ("unparsed", "unparsed", 0, False),
    ("ties", "ties", 0, False),
    ("flipped", "flipped", 0, False),
    ("reward_accuracy", "pair accuracy", 3, False),
    ("reward_margin", "pair margin", 3, False),
    ("training_seconds", "training, s", 1, False),
    ("seconds_ratio_to_baseline", "time ratio", 2, False),
    ("peak_memory_mib", "memory, MiB", 0, False),
]
SHOWN = {
    *("win_rate", "lc_win_rate", "difference", "difference_p_value_holm"),
    *("mean_reward", "mean_response_length", "kl", "kl_bound", "seconds_ratio_to_baseline", "judge_agreement"),
}
NAMES = ("tag", "dataset", "model", "decoding", "method", "run", "against", "seed", "caveats")


def results_section(
    table: RunTable,
    winrate: pd.DataFrame,
    cost: pd.DataFrame,
    seeds: pd.DataFrame,
    best: set[tuple[str, str, str]] | None,
    note: str,
    of_sets: Sequence[tuple[SetResults, pd.DataFrame | None]] = (),
) -> tuple[Section, dict]:
    """The section, and the table that its script shows.

    Args:
        seeds: what each seed gave, as `pipeline.results.seed_table.seed_table` gives it.
        best: (dataset, model, run) of the best run of each method, as the selection split has it; None without one.
        note: how the best of a sweep is chosen, or why it is not.
        of_sets: results on sets of prompts, each with what each seed gave there; with them rows tell their set.
    """
    swept = swept_hyperparameters(table)
    costs = {(row["dataset"], row["model"], row["run"]): row for row in cost.to_dict("records")}
    unfinished = {(*run.place, run.decoding): unfinished_share(run, run.seeds) for run in table.runs}
    hyper = {run.place: run.hyperparameters for run in table.runs}
    frames = [(table.split, False, winrate), (table.split, True, seeds)]
    frames += [(one.name, False, one.winrate) for one, _ in of_sets]
    frames += [(one.name, True, own) for one, own in of_sets if own is not None]
    rows = []
    for name_of_set, seeded, frame in frames:
        for row in frame.to_dict("records"):
            key = (row["dataset"], row["model"], row["run"])
            names = {"tag": table.tag, "against": row["baseline"], "seeded": seeded, "best": bool(best and key in best)}
            names |= {name: str(row[name]) for name in ("dataset", "model", "decoding", "method", "run")}
            names["seed"] = str(row["seed"] if seeded else row["seeds"])
            names["hyper"] = {name: _shown(hyper[key][name]) for name in swept if hyper[key].get(name) is not None}
            names["caveats"] = "" if seeded else ", ".join(str(row["caveats"]).split(SEPARATOR))
            cut = {"unfinished_share": unfinished.get((*key, row["decoding"]))} if name_of_set == table.split else {}
            measured = row if seeded else costs.get(key, {}) | row | cut
            rows.append(names | ({"set": name_of_set} if of_sets else {}) | _numbers(measured))
    # Shown from the start where there are any.
    shown = SHOWN | {"unfinished_share"} if any(row.get("unfinished_share") for row in rows) else SHOWN
    columns = [
        {"name": name, "title": title, "digits": digits, "interval": interval, "shown": name in shown}
        for name, title, digits, interval in MEASURED
        if any(name in row for row in rows)
    ]
    many = any(len(table.runs_of(group)) > FEW_RUNS for group in table.groups)
    content = {"names": list(NAMES), "hyper": swept, "columns": columns, "rows": rows, "selected": best is not None}
    content["byRating"] = many  # from the start
    section = Section("results", "All results", "results.jinja", {"note": note, "can_select": best is not None})
    return section, content


def swept_hyperparameters(table: RunTable) -> list[str]:
    """Hyperparameters that have several values among the runs."""
    names = []
    for name in table.hyperparameters:
        found = {str(run.hyperparameters[name]) for run in table.runs if run.hyperparameters.get(name) is not None}
        if len(found) > 1:
            names.append(name)
    return names


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _numbers(row: dict) -> dict:
    names = [name + end for name, _, _, interval in MEASURED for end in (("", "_low", "_high") if interval else ("",))]
    numbers = {name: row[name] for name in names if isinstance(row.get(name), int | float)}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
