"""The figure of win rates against costs: axes and their units, intervals, the front, which runs are drawn."""

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results

from pipeline.figures import winrate_vs_cost as figure
from pipeline.figures.drawing import panel_specification, save_figure
from pipeline.figures.winrate_vs_cost import axis_figures, whole_figure
from pipeline.results.run_table import read_run_table
from pipeline.results.winrate_vs_cost import COLUMNS


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read_run_table(build_results(tmp_path_factory.mktemp("results"), seeds=(1,), prompts=2))


def costs(**of_runs):
    """The table of costs of SFT, DPO and DPR: of the latter two what is given, by column."""
    rows = []
    for run, method, rate in (("sft", "sft", 30.0), (DPO, "dpo", 50.0), (DPR, "dpr", 60.0)):
        row = dict.fromkeys(COLUMNS, np.nan) | {"dataset": "world", "model": "W1M", "decoding": "", "front": ""}
        row |= {"run": run, "method": method, "name": method.upper(), "win_rate": rate, "unknown": ""}
        rows.append(row | {"win_rate_low": rate - 5, "win_rate_high": rate + 5} | of_runs.get(method, {}))
    return pd.DataFrame(rows)


def drawn(panel):
    """{kind of mark: rows of its data, of the last layer of that kind}, and the x axis of the points."""
    specification = panel_specification(panel)
    found, axis = {}, None
    for layer in specification["layer"]:
        data = layer.get("data") or specification["data"]
        kind = layer["mark"]["type"]
        key = "circle" if layer["mark"].get("shape") == "circle" else "wide" if "x2" in layer["encoding"] else kind
        found[key] = specification["datasets"][data["name"]] if "name" in data else data["values"]
        axis = layer["encoding"]["x"] if key == "point" else axis
    return found, axis


def front(*columns):
    return {"front": " ".join(columns)}


def test_a_figure_for_each_known_axis_the_first_by_default(table):
    frame = costs(dpo={"steps": 300, "training_seconds": 90}, dpr={"steps": 200})
    assert [axis.column for axis in axis_figures(table, frame)] == ["training_seconds", "steps"]
    assert [len(row) for row in whole_figure(table, frame).rows] == [1, 1]
    assert axis_figures(table, costs()) == {} and whole_figure(table, costs()).rows == []


@pytest.mark.parametrize(
    ("seconds", "unit", "shown"),
    [((40, 100), "seconds", [40, 100]), ((60, 300), "minutes", [1, 5]), ((3600, 10_800), "hours", [1, 3])],
)
def test_times_have_a_unit_that_fits(table, seconds, unit, shown):
    frame = costs(dpo={"device_seconds": seconds[0]}, dpr={"device_seconds": seconds[1]})
    [panel] = axis_figures(table, frame).popitem()[1].rows[0]
    found, axis = drawn(panel)
    assert [row["cost"] for row in found["point"]] == shown and axis["title"].endswith(f", {unit}")
    assert axis["scale"] == {"domain": [0, pytest.approx(1.06 * shown[-1])]}


def test_costs_that_are_alike_do_not_begin_at_0_and_very_different_ones_are_logarithmic(table):
    for other, scale in ((310, {"zero": False, "padding": 24}), (30_000, {"type": "log", "padding": 24})):
        frame = costs(dpo={"steps": 300}, dpr={"steps": other})
        [panel] = axis_figures(table, frame).popitem()[1].rows[0]
        assert drawn(panel)[1]["scale"] == scale


def test_costs_have_intervals_where_seeds_differ(table):
    same = {"tokens": 9e6, "tokens_low": 9e6, "tokens_high": 9e6}
    frame = costs(dpo=same, dpr={"tokens": 8e6, "tokens_low": 7e6, "tokens_high": 9e6})
    [panel] = axis_figures(table, frame).popitem()[1].rows[0]
    found, axis = drawn(panel)
    assert [(row["run"], row["cost_low"], row["cost_high"]) for row in found["wide"]] == [(DPR, 7e6, 9e6)]
    assert len(found["rule"]) == 2 and axis["axis"]["format"] == "~s"  # both have one of the win rate
    [panel] = axis_figures(table, costs(dpo=same, dpr=same)).popitem()[1].rows[0]
    assert "wide" not in drawn(panel)[0]


def test_the_front_is_joined_circled_and_named(table):
    frame = costs(dpo={"steps": 100} | front("steps"), dpr={"steps": 200} | front("steps", "tokens"))
    [panel] = axis_figures(table, frame).popitem()[1].rows[0]
    found, _ = drawn(panel)
    for kind in ("line", "circle"):
        assert [row["run"] for row in found[kind]] == [DPO, DPR], kind
    assert "DPR" in [row["name"] for row in found["text"]]
    frame = costs(dpo={"steps": 100} | front("steps"), dpr={"steps": 200} | front("tokens"))
    [panel] = axis_figures(table, frame).popitem()[1].rows[0]
    assert [row["run"] for row in drawn(panel)[0]["circle"]] == [DPO]


def test_of_many_runs_the_front_the_baseline_and_the_best_are_drawn(table, monkeypatch):
    monkeypatch.setattr(figure, "MAX_RUNS", 2)
    frame = costs(sft={"steps": 1} | front("steps"), dpo={"steps": 300}, dpr={"steps": 400})
    [panel] = axis_figures(table, frame).popitem()[1].rows[0]
    assert {row["run"] for row in drawn(panel)[0]["point"]} == {"sft", DPO}
    assert panel.title == f"the front, {DPO} and the best of 3 runs by win rate, 2 in all"


def test_the_svg_has_all_axes_and_the_same_bytes_twice(table, tmp_path):
    frame = costs(dpo={"steps": 300, "dollars": 1.5}, dpr={"steps": 200, "dollars": 2.5})
    for name in ("one.svg", "two.svg"):
        save_figure(whole_figure(table, frame), tmp_path / name)
    content = (tmp_path / "one.svg").read_text()
    assert content == (tmp_path / "two.svg").read_text() and ElementTree.fromstring(content).tag.endswith("svg")
    assert "dollars for one training" in content and "optimizer steps of one training" in content
