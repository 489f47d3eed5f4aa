"""What it all cost: each run's hours, tokens and dollars, its share of what several runs need included."""

import contextlib
import sqlite3
from pathlib import Path

from pipeline.jobs.forecast import duration
from pipeline.jobs.io import InputError
from pipeline.report.numbers import number
from pipeline.report.section import Section

# Parts of a run's time as the page shows them: heading, colour, columns of `pipeline.results.whole_cost.whole_costs`.
PARTS = (
    ("its trainings", "blue", ("optimizing",)),
    ("sampling in them", "sky", ("sampling", "candidates")),
    ("reward model", "vermilion", ("reward_model",)),
    ("SFT", "orange", ("sft",)),
    ("data and reference", "pink", ("data", "reference")),
    ("responses", "green", ("responses",)),
    ("scores and verdicts", "soft", ("scores", "verdicts")),
)
PAID = "select key, sum(prompt_tokens + completion_tokens), sum(price_usd) from replies group by key"


def cost_section(rows: list[dict], dollars_per_hour: float | None = None) -> Section | None:
    """The section; None where no run has records.

    Args:
        rows: as `pipeline.results.whole_cost.whole_costs` gives them.
        dollars_per_hour: what an hour of a job costs.
    """
    if not rows:
        return None
    longest = max(row["total"] for row in rows) or 1.0
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["model"]), []).append(_view(row, longest, dollars_per_hour))
    columns = ("gpu_hours", "trained_tokens", "judge_tokens", "dollars")
    shown = {name for name in columns if any(row[name] != "–" for found in groups.values() for row in found)}
    boards = [{"dataset": name[0], "model": name[1], "rows": found} for name, found in groups.items()]
    values = {"boards": boards, "parts": PARTS, "shown": shown, "per_hour": dollars_per_hour}
    return Section("whole-cost", "What it all cost", "whole_cost.jinja", values, "Whole cost")


def _view(row: dict, longest: float, dollars_per_hour: float | None) -> dict:
    seconds = row | {"optimizing": max(row["training"] - row["sampling"], 0.0)}
    parts = [sum(seconds[column] for column in columns) for _, _, columns in PARTS]
    machine = None if dollars_per_hour is None else dollars_per_hour * row["total"] / 3600
    prices = [price for price in (machine, row["judge_dollars"]) if price is not None]
    return {
        "run": row["run"],
        "total": duration(row["total"]),
        "alone": duration(row["alone"]),
        "parts": [(duration(part) if part else "–", 100 * part / longest) for part in parts],
        "gpu_hours": number(row["gpu_seconds"] / 3600, 2) if row["gpu_seconds"] else "–",
        "trained_tokens": thousands(row["trained_tokens"]),
        "sampled_tokens": thousands(row["sampled_tokens"]),
        "judge_tokens": thousands(row["judge_tokens"]),
        "dollars": number(sum(prices), 2) if prices else "–",
    }


def thousands(count: float | None) -> str:
    """A count for readers, with three digits that count: "950", "12.3 k", "4.56 M"; a dash where there is none."""
    if count is None:
        return "–"
    for unit, one in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= one:
            part = count / one
            return f"{part:.{2 if part < 10 else 1 if part < 100 else 0}f} {unit}"
    return f"{count:.0f}"


def read_paid(path: str | Path) -> dict[str, tuple[int, float | None]]:
    """Tokens and US dollars (None without prices) of judges' replies by request key; each key has all its attempts.

    Args:
        path: a judge's store (SQLite) or a folder of such stores, which need not exist.

    Raises:
        InputError: a file is no store.
    """
    path, found = Path(path), {}
    for store in [path] if path.suffix == ".sqlite" else sorted(path.glob("*.sqlite")):
        try:
            with contextlib.closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                found |= {key: (int(tokens), price) for key, tokens, price in connection.execute(PAID)}
        except sqlite3.Error as error:
            raise InputError(f"{store}: not a store of a judge's replies ({error})") from error
    return found
