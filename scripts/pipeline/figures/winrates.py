"""The figures on the runs: those of `FIGURES`. Methods differ in colour and in marker."""

from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from pipeline.columns.prompts import CHECK
from pipeline.figures.choice import CHOICE, LABEL, MAX_RUNS, label_expression, short_names, shown_runs
from pipeline.figures.curves import DASHES, learning_curves
from pipeline.figures.drawing import BLUE, LINE, PAPER, SKY, Figure, Panel, reference_line, save_figure, values
from pipeline.figures.names import name_layers
from pipeline.figures.styles import method_color, method_shape
from pipeline.jobs.io import InputError
from pipeline.results.csv_tables import rows_of
from pipeline.results.opponents import against, rate_name
from pipeline.results.run_names import kind_of
from pipeline.results.run_table import Run, RunTable
from pipeline.results.seed_table import seed_table

FIGURES = ("winrate", "rating", "winrate_vs_kl", "winrate_vs_length", "learning_curves", "reward", "cost")
# Names beside the points of a scatter plot, up to so many of them.
MAX_NAMES = 12
ROW = 30
Rows = dict[str, dict]


def figures(
    table: RunTable, winrate: pd.DataFrame, cost: pd.DataFrame, seeds: pd.DataFrame, best: set | None = None
) -> dict[str, Figure]:
    """The figures of `FIGURES`, by name.

    Args:
        table: the run table.
        winrate: the win-rate table of these runs, as `pipeline.results.tables.read_table` gives it.
        cost: the cost table, likewise.
        seeds: what each seed gave, as `pipeline.results.seed_table.seed_table` gives it.
        best: (dataset, model, run) of each method's best run, where it was chosen: those curves are drawn.

    Raises:
        InputError: a run of the table has no row in `winrate`.
    """
    rows = set(winrate[["dataset", "model", "run", "decoding"]].itertuples(index=False, name=None))
    for run in table.runs:
        if run.baselines and (*run.place, run.decoding) not in rows:
            raise InputError(f"{table.path}: run {run.run!r} has no row in the win-rate table; make that table anew")
    drawn = [
        winrate_figure(table, winrate),
        rating_figure(table, winrate),
        reward_figure(table, winrate),
        scatter_figure(table, winrate, seeds, "winrate_vs_kl", "kl", "KL to the reference, nats per response"),
        scatter_figure(
            table, winrate, seeds, "winrate_vs_length", "mean_response_length", "characters of a response, mean"
        ),
        learning_curves(
            table.first, {group: shown_runs(table, winrate, group, len(DASHES), best) for group in table.first.groups}
        ),
        cost_figure(table, winrate, cost),
    ]
    return {figure.name: figure for figure in drawn}


def write_figures(
    table: RunTable, winrate: pd.DataFrame, cost: pd.DataFrame, folder: str | Path, seeds: pd.DataFrame | None = None
) -> None:
    """Draw `figures` as SVG files, and the win rates as winrate.png too; without a seed table, it is made."""
    drawn = figures(table, winrate, cost, seed_table(table) if seeds is None else seeds)
    for name, figure in drawn.items():
        save_figure(figure, Path(folder) / f"{name}.svg")
    save_figure(drawn["winrate"], Path(folder) / "winrate.png")


def winrate_figure(table: RunTable, winrate: pd.DataFrame) -> Figure:
    """Win rate with its interval per run, a panel per opponent, a row of panels per (dataset, model)."""
    opponents = [name for name in dict.fromkeys((table.common, table.baseline)) if name in set(winrate["baseline"])]
    rates = winrate[["win_rate", "win_rate_low", "win_rate_high"]]
    limits = [max(0.0, min(rates.min().min() - 4, 45.0)), min(100.0, max(rates.max().max() + 4, 55.0))]
    rows = []
    for group in table.groups:
        panels = []
        for opponent in opponents:
            if not (runs := [run for run in shown_runs(table, winrate, group) if opponent in run.baselines]):
                continue
            even, axis = None if opponent == CHECK else 50, f"{rate_name(opponent)}, %"
            chart = _intervals(runs, _rows(winrate, group, opponent), "win_rate", axis, limits, even)
            panels.append(Panel(_title(table, group, against(opponent)), chart))
        rows.append(panels)
    return Figure(
        "winrate",
        "Win rates",
        "Share of prompts on which the judge prefers the run's response, with its 95% interval. An interval that "
        "crosses the dashed line at 50% shows no clear difference.",
        rows,
    )


def reward_figure(table: RunTable, winrate: pd.DataFrame) -> Figure:
    """Mean reward-model score of the responses with its interval per run, a panel per (dataset, model)."""
    rows = []
    for group in table.groups:
        found = _rows(winrate, group)
        base = found.get(table.baseline, {}).get("mean_reward")
        line = None if base is None or pd.isna(base) else base
        if all(pd.isna(row["mean_reward"]) for row in found.values()):
            continue
        chart = _intervals(shown_runs(table, winrate, group), found, "mean_reward", "mean score", None, line, ".2f")
        rows.append([Panel(_title(table, group, f"dashed: {table.baseline}" if line is not None else ""), chart)])
    return Figure(
        "reward",
        "Rewards",
        "Mean score that the reward model gives to the responses, with its 95% interval. A method that was trained on "
        "the same reward model is expected to score well here; the win rates are the judge's word.",
        rows,
    )


def rating_figure(table: RunTable, winrate: pd.DataFrame) -> Figure:
    """Bradley-Terry ratings with their intervals, highest first, a panel per (dataset, model)."""
    rows = []
    for group in table.groups:
        found = _rows(winrate, group)
        known = {name: row for name, row in found.items() if abs(row["rating"]) < float("inf")}
        runs = [run for run in shown_runs(table, winrate, group) if run.run in known]
        if not runs:
            continue
        runs.sort(key=lambda run: -known[run.run]["rating"])
        chart = _intervals(runs, known, "rating", "rating, logits", None, 0, ".2f")
        rows.append([Panel(_title(table, group, f"dashed: {table.baseline} = 0"), chart)])
    return Figure("rating", "Ratings", "", rows)


def scatter_figure(
    table: RunTable, winrate: pd.DataFrame, seeds: pd.DataFrame, name: str, column: str, axis: str
) -> Figure:
    """Win rate against what all runs stand against over a measurement of the run: each seed, and the run's mean."""
    rows = []
    for group in table.groups:
        runs, found = shown_runs(table, winrate, group), _rows(winrate, group, table.common)
        shown = [run for run in runs if run.run in found and pd.notna(found[run.run][column])]
        if not shown:
            continue
        names = {run.run for run in shown}
        single = values(
            row
            for row in rows_of(seeds, group).to_dict("records")
            if row["baseline"] == table.common and row["run"] in names
        )
        x = alt.X(f"{column}:Q", title=axis, scale=alt.Scale(zero=False, padding=14))
        y = alt.Y("win_rate:Q", title=f"win rate against {table.common}, %", scale=alt.Scale(zero=False, padding=10))
        style = {"color": method_color(runs), "shape": method_shape(runs)}
        tips = [alt.Tooltip("run:N"), alt.Tooltip("seed:Q"), *_tips(column), *_tips("win_rate", ".1f")]
        mean = alt.Chart(values(_described(run) | found[run.run] for run in shown))
        layers = [
            reference_line(50, vertical=False),
            alt.Chart(single).mark_point(size=26, opacity=0.75).encode(x=x, y=y, tooltip=tips, **style),
            mean.mark_rule(strokeWidth=1.5).encode(x=x, y="win_rate_low:Q", y2="win_rate_high:Q", color=style["color"]),
            mean.mark_point(filled=True, size=110, opacity=1).encode(
                x=x, y=y, tooltip=[alt.Tooltip("run:N"), *_tips(column), *_interval_tips("win_rate", ".1f")], **style
            ),
        ]
        if len(shown) <= MAX_NAMES:
            ends = [50.0, *(found[run.run][f"win_rate_{end}"] for run in shown for end in ("low", "high"))]
            height = float(np.ptp([end for end in ends if pd.notna(end)]))
            layers[1:1] = name_layers(_named(shown, found, column), x, y, (column, "win_rate"), height)
        rows.append([Panel(_title(table, group, ""), alt.layer(*layers).properties(height=300))])
    what = "divergence from the SFT model" if column == "kl" else "length"
    return Figure(
        name,
        "Win rate and distance from the reference" if column == "kl" else "Win rate and length",
        f"How much win rate goes with how much {what}. Filled: the run's mean with the 95% interval of its win rate; "
        "hollow: each seed."
        + (" Up and to the left is better." if column == "kl" else " Length-controlled rates are in the table."),
        rows,
    )


def _named(runs: list[Run], found: Rows, column: str) -> list[dict]:
    """The points that get a name: the method's, where it has one run, else the run's."""
    methods, called = [kind_of(run) for run in runs], short_names(runs)
    return [
        {column: found[run.run][column], "win_rate": found[run.run]["win_rate"]}
        | {"name": kind_of(run) if methods.count(kind_of(run)) == 1 else called.get(run.run, run.run)}
        for run in runs
    ]


def cost_figure(table: RunTable, winrate: pd.DataFrame, cost: pd.DataFrame) -> Figure:
    """Training time as a multiple of the baseline run's, the share of sampling apart."""
    rows, table = [], table.first
    for group in table.groups:
        of_group = [row for row in rows_of(cost, group).to_dict("records") if pd.notna(row["training_seconds"])]
        ratios = [row for row in of_group if pd.notna(row["seconds_ratio_to_baseline"])]
        column = "seconds_ratio_to_baseline" if ratios else "training_seconds"
        runs = shown_runs(table, winrate, group)
        places = {run.run: place for place, run in enumerate(runs)}
        shown = sorted((row for row in ratios or of_group if row["run"] in places), key=lambda row: places[row["run"]])
        if not shown:
            continue
        parts = []
        for row in shown:
            sampling = row["rollout_seconds"] / row["training_seconds"] if row["training_seconds"] else 0.0
            for number, (part, share) in enumerate((("training", 1 - sampling), ("sampling", sampling))):
                parts.append(row | {"part": part, "length": row[column] * share, "order": number})
        axis = f"training time, {table.baseline} = 1" if ratios else "training time, seconds"
        y = alt.Y("run:N", sort=[row["run"] for row in shown], title=None, axis=_names(runs))
        x = alt.X("length:Q", title=axis, scale=alt.Scale(domainMin=0), axis=alt.Axis(gridColor=LINE))
        color = alt.Color("part:N", scale=alt.Scale(domain=["training", "sampling"], range=[BLUE, SKY]))
        tips = [alt.Tooltip("run:N"), *_tips("training_seconds", ".1f"), *_tips("rollout_seconds", ".1f")]
        form = ".2f" if ratios else ".0f"
        bars = alt.Chart(values(parts)).mark_bar(height=13)
        number = alt.Chart(values(shown)).mark_text(align="left", dx=5)
        layers = [
            bars.encode(x=x, y=y, color=color, order="order:Q", tooltip=[*tips, *_tips("peak_memory_mib", ".0f")]),
            number.encode(x=alt.X(f"{column}:Q"), y=y, text=alt.Text(f"{column}:Q", format=form)),
        ]
        layers += [reference_line(1)] if ratios else []
        rows.append([Panel(_title(table, group, ""), alt.layer(*layers).properties(height=ROW * len(shown)))])
    return Figure(
        "cost",
        "Training cost",
        f"How long each run trained, as a multiple of {table.baseline}, seed by seed; the light part went into "
        "sampling responses. Seconds depend on the machine, ratios less so.",
        rows,
    )


def _intervals(
    runs: list[Run],
    rows: Rows,
    column: str,
    axis: str,
    limits: list[float] | None,
    line: float | None,
    form: str = ".1f",
) -> alt.LayerChart:
    """Runs from top to bottom, each a point with its interval and its number."""
    shown = [run for run in runs if run.run in rows and pd.notna(rows[run.run][column])]
    kept = (column, f"{column}_low", f"{column}_high")
    data = alt.Chart(values(_described(run) | {name: rows[run.run][name] for name in kept} for run in shown))
    scale = alt.Scale(domain=limits, zero=False, nice=False) if limits else alt.Scale(zero=False, padding=24)
    y = alt.Y("run:N", sort=[run.run for run in shown], title=None, axis=_names(shown))
    x = alt.X(f"{column}:Q", title=f"{axis} (95% interval)", scale=scale)
    color, shape = method_color(runs, legend=False), method_shape(runs, legend=False)
    tips = [alt.Tooltip("run:N"), *_interval_tips(column, form)]
    layers = [
        data.mark_rule(strokeWidth=2).encode(x=alt.X(f"{column}_low:Q"), x2=f"{column}_high:Q", y=y, color=color),
        data.mark_point(filled=True, size=75, opacity=1).encode(x=x, y=y, color=color, shape=shape, tooltip=tips),
        data.mark_text(dy=-10, stroke=PAPER, strokeWidth=4).encode(x=x, y=y, text=alt.Text(f"{column}:Q", format=form)),
        data.mark_text(dy=-10).encode(x=x, y=y, text=alt.Text(f"{column}:Q", format=form)),
    ]
    if line is not None:
        layers.insert(0, reference_line(line))
    return alt.layer(*layers).properties(height=ROW * max(1, len(shown)))


def _names(runs: list[Run]) -> alt.Axis:
    """The y axis of a list of runs."""
    called = label_expression(short_names(runs))
    return alt.Axis(
        ticks=False, domain=False, grid=False, labelLimit=LABEL, labelPadding=8, labelOverlap=False, **called
    )


def _tips(column: str, form: str = ".2f") -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{column}:Q", title=column.replace("_", " "), format=form)]


def _interval_tips(column: str, form: str) -> list[alt.Tooltip]:
    return [tip for end in ("", "_low", "_high") for tip in _tips(column + end, form)]


def _described(run: Run) -> dict:
    return {"run": run.run, "method": run.method}


def _title(table: RunTable, group: tuple[str, ...], text: str) -> str:
    total = len(table.runs_of(group))
    cut = f"{MAX_RUNS} of {total} runs: {CHOICE}"
    cut = cut if total > MAX_RUNS else ""
    names = table.title_of(group) if len(table.groups) > 1 else ""
    return "; ".join(part for part in (names, text, cut) if part)


def _rows(winrate: pd.DataFrame, group: tuple[str, ...], opponent: str | None = None) -> Rows:
    """The measured columns of a group against one opponent (or of each run's first row), by run."""
    rows = rows_of(winrate, group)
    if opponent is not None:
        rows = rows[rows["baseline"] == opponent]
    rows = rows.drop_duplicates("run").set_index("run").select_dtypes("number")
    return rows.to_dict("index")
