"""Sweeps: what varies in a method, how its runs spread, and win rates over what varies."""

import itertools

import numpy as np
import pandas as pd
import pytest

from pipeline.figures.curves import learning_curves
from pipeline.figures.drawing import panel_specification, save_figure
from pipeline.figures.sweep import facets_figure, spread_figure, sweeps_of
from pipeline.jobs.io import write_parquet
from pipeline.report.methods import method_rows
from pipeline.results.run_table import CHOSEN, Run, RunTable

GROUP = ("world", "W1M", "")
DPO = "dpo-beta0.1"


def run(name, method, **hyperparameters):
    return Run("world", "W1M", name, method, hyperparameters, [CHOSEN, DPO], {1: {}}, {1: {}})


@pytest.fixture
def swept():
    """A baseline and DPR over three hyperparameters, whose win rates grow with g, and the chosen runs."""
    grid = itertools.product((0.1, 0.2, 0.3), (1e-5, 1e-4), (0.2, 0.6))
    runs = [run(f"dpr-{b}-{lr}-{g}", "dpr", beta=b, learning_rate=lr, g=g, gamma=0.0) for b, lr, g in grid]
    runs = [run(DPO, "dpo", beta=0.1), *runs]
    rows = []
    for one in runs:
        rate = 50 + 10 * one.hyperparameters.get("g", 0) + one.hyperparameters["beta"]
        row = {"dataset": "world", "model": "W1M", "decoding": "", "run": one.run, "method": one.method}
        row |= {"baseline": CHOSEN, "win_rate": rate, "win_rate_low": rate - 3, "win_rate_high": rate + 3}
        row |= {
            "difference": rate - 50.1,
            "rating": rate / 100,
            "p_value_holm": 0.001,
            "difference_p_value_holm": 0.001,
        }
        row |= {
            f"{name}_{end}": row[name] + (end == "high") - 0.5
            for name in ("difference", "rating")
            for end in ("low", "high")
        }
        rows.append(row)
    best = {(*GROUP[:2], DPO), (*GROUP[:2], "dpr-0.1-1e-05-0.6")}
    return RunTable("runs.yaml", "tag", "eval", DPO, [1], runs), pd.DataFrame(rows), best


def drawn(panel, layer):
    """The rows that a layer of a panel draws."""
    specification = panel_specification(panel)
    data = specification["layer"][layer].get("data") or specification["data"]
    return specification["datasets"][data["name"]] if "name" in data else data["values"]


def test_what_varies_is_found_with_its_values_in_order(swept):
    table, *_ = swept
    dpo, dpr = sweeps_of(table, GROUP)
    assert (dpo.kind, dpo.varied, len(dpr.runs)) == ("dpo", {}, 12)
    assert dpr.varied == {"beta": [0.1, 0.2, 0.3], "learning_rate": [1e-5, 1e-4], "g": [0.2, 0.6]}
    table.runs[1].hyperparameters["g"] = None  # of which a run does without
    assert sweeps_of(table, GROUP)[1].varied["g"] == [0.2, 0.6]


def test_a_panel_for_each_value_of_the_second_and_a_line_of_the_third(swept):
    table, winrate, _ = swept
    [panels] = facets_figure(table, winrate).rows
    assert [panel.title for panel in panels] == ["dpr, learning_rate 1e-05", "dpr, learning_rate 0.0001"]
    points = drawn(panels[0], 3)
    assert sorted((point["at"], point["line"], point["win_rate"]) for point in points) == [
        (str(beta), str(g), 50 + 10 * g + beta) for beta in (0.1, 0.2, 0.3) for g in (0.2, 0.6)
    ]
    line = panel_specification(panels[0])["layer"][2]
    assert line["mark"]["type"] == "line" and line["encoding"]["strokeDash"]["field"] == "line"
    single, frame = RunTable(*vars(table).values()), winrate[winrate["run"] == DPO]
    single.runs[1:] = []
    assert facets_figure(single, frame).rows == [] == spread_figure(single, frame, None, {GROUP: ["dpo"]}).rows


def test_a_method_has_one_row_with_its_best_and_its_spread(swept):
    table, winrate, best = swept
    dpr, dpo = method_rows(table, winrate, GROUP, best)
    assert (dpr["kind"], dpr["runs"], dpr["best"], dpr["better"], dpr["compared"]) == (
        "dpr",
        12,
        "dpr-0.1-1e-05-0.6",
        12,
        12,
    )
    assert dpr["win_rate"] == pytest.approx(56.1) and dpr["rating"] == pytest.approx(0.561)
    assert [dpr[name] for name in ("lowest", "median", "highest")] == pytest.approx([52.1, 54.2, 56.3])
    assert dpo["best"] == DPO and dpo["compared"] == 0
    without = method_rows(table, winrate, GROUP, None)
    assert [row["kind"] for row in without] == ["dpr", "dpo"] and {row["best"] for row in without} == {""}
    assert all(row["win_rate"] is None for row in without)


def test_the_spread_has_a_tick_for_each_run_and_a_mark_for_the_chosen(swept):
    table, winrate, best = swept
    figure = spread_figure(table, winrate, best, {GROUP: ["dpr", "dpo"]})
    [[panel]] = figure.rows
    assert len(drawn(panel, 1)) == 13 and "selection split" in figure.caption
    assert sorted(point["run"] for point in drawn(panel, 3)) == [DPO, "dpr-0.1-1e-05-0.6"]
    assert panel_specification(panel)["layer"][1]["encoding"]["y"]["sort"] == ["dpr", "dpo"]
    figure = spread_figure(table, winrate, None, {GROUP: ["dpr", "dpo"]})
    assert len(panel_specification(figure.rows[0][0])["layer"]) == 2 and "No run is marked" in figure.caption


def test_of_many_curves_a_few_are_drawn_and_others_may_be_chosen(swept, tmp_path):
    table, *_ = swept
    steps = np.arange(500)
    for number, one in enumerate(table.runs):
        frame = pd.DataFrame({"step": steps, "metric": "loss", "value": 1 / (1 + steps + number)})
        write_parquet(frame, tmp_path / f"{number}.parquet")
        one.files[1]["metrics"] = str(tmp_path / f"{number}.parquet")
    figure = learning_curves(table, {GROUP: table.runs[:3]})
    [[panel]] = figure.rows
    assert list(panel.choices) == [one.run for one in table.runs]
    specification = panel_specification(panel)
    assert [(one["name"], one["value"]) for one in specification["params"]] == [("chosen", list(panel.choices)[:3])]
    assert {point["run"] for point in drawn(panel, 1)} == set(panel.choices)
    assert len(drawn(panel, 1)) == 13 * 200, "of 13 curves each keeps its 200 steps"
    save_figure(figure, tmp_path / "curves.svg")
    text = (tmp_path / "curves.svg").read_text()
    assert table.runs[2].run in text and table.runs[3].run not in text
    [[panel]] = learning_curves(table, {GROUP: table.runs}).rows
    assert panel.choices == {} and "params" not in panel_specification(panel)
