"""What alignment costs elsewhere, in the report: benchmarks of the policies beside those of what they start from."""

import pandas as pd

from pipeline.report.section import Section

WORSE, BETTER = "worse", "better"


def alignment_tax_section(measured: pd.DataFrame) -> Section:
    """The section, from the table that `pipeline.results.alignment_tax.read_alignment_tax` reads."""
    boards = [
        {"title": ", ".join(group), "tasks": [_board(name, rows) for name, rows in _tasks(frame)]}
        for group, frame in measured.groupby(["dataset", "model"], sort=False)
    ]
    values = {"boards": boards, "answer": _answer(measured), "by_errors": "stderr" in set(measured["interval"])}
    values["one_seed"] = not measured["seeds"].str.contains(" ").all()
    return Section("alignment-tax", "What alignment costs elsewhere", "alignment_tax.jinja", values, "Alignment tax")


def _tasks(frame: pd.DataFrame):
    return frame.groupby(["task", "num_fewshot", "settings", "metric"], sort=False)


def _board(name: tuple[str, ...], rows: pd.DataFrame) -> dict:
    """One metric of a task, its runs below each other."""
    task, shots, settings, metric = name
    first = rows.iloc[0]
    about = [f"{first['questions']:.0f} questions", settings, f"{shots} worked examples" if shots > "0" else ""]
    about += ["lower is better"] if first["higher_is_better"] == "False" else []
    kind = metric.partition(",")[0] if metric.endswith(",none") else metric.replace(",", ", ")
    return {"title": f"{task}, {kind}", "about": ", ".join(filter(None, about)), "rows": rows.to_dict("records")}


def _answer(measured: pd.DataFrame) -> str:
    """Which runs clearly lost or gained, and in which tasks, in a sentence or two."""
    found: dict[str, dict[str, list[str]]] = {WORSE: {}, BETTER: {}}
    for row in measured.to_dict("records"):
        if said := _clearly(row):
            tasks = found[said].setdefault(row["run"], [])
            tasks += [row["task"]] if row["task"] not in tasks else []
    sentences = [
        f"Clearly {said} than its start: {'; '.join(f'{run} in {_listed(tasks)}' for run, tasks in runs.items())}."
        for said, runs in found.items()
        if runs
    ]
    return " ".join(sentences or ["No run is clearly better or worse than what it starts from."])


def _listed(tasks: list[str]) -> str:
    return ", ".join(tasks)


def _clearly(row: dict) -> str:
    """Whether a run is clearly worse or better than its start; empty where its interval holds 0 or there is none."""
    low, high = row["difference_low"], row["difference_high"]
    if not (low > 0 or high < 0) or row["higher_is_better"] not in ("True", "False"):
        return ""
    return BETTER if (low > 0) == (row["higher_is_better"] == "True") else WORSE
