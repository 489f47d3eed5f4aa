"""Which of many runs are drawn, and by what names."""

import pandas as pd
import pytest

from pipeline.figures.choice import FEW_RUNS, LONGEST, MAX_RUNS, cut_names, short_names, shown_runs, spoken_names
from pipeline.figures.drawing import panel_specification
from pipeline.figures.parts import parts_figure
from pipeline.figures.winrates import winrate_figure
from pipeline.report.findings import MOST_FINDINGS, group_findings
from pipeline.results.parts_table import WHOLE
from pipeline.results.run_table import Run, RunTable

GROUP = ("world", "W1M")
DPO = "dpo-beta0.1"


def run(name, method, **hyperparameters):
    return Run(*GROUP, name, method, hyperparameters, ["chosen", DPO], {1: {}}, {1: {}})


def sweep(count):
    """A table of the baseline and so many runs of DPR, and win rates that grow with g but for the baseline's."""
    runs = [
        run(f"dpr-beta0.1-learning_rate1e-05-gamma0-g{i / 1000}", "dpr", beta=0.1, g=i / 1000) for i in range(count)
    ]
    runs.append(run(DPO, "dpo", beta=0.1))
    rows = []
    for i, one in enumerate(runs):
        for baseline in [name for name in one.baselines if name != one.run]:
            rate = 40.0 if one.run == DPO else 50 + 40 * i / count
            row = {"dataset": GROUP[0], "model": GROUP[1], "run": one.run, "method": one.method, "baseline": baseline}
            row |= {"win_rate": rate, "win_rate_low": rate - 1, "win_rate_high": rate + 1, "p_value_holm": 1e-5}
            rows.append(row | {"difference": rate - 50, "difference_low": rate - 51, "difference_high": rate - 49})
    frame = pd.DataFrame(rows).assign(difference_p_value_holm=1e-5)
    return RunTable("runs.yaml", "tag", "eval", DPO, [1], runs), frame


def test_of_too_many_runs_the_best_are_shown_and_the_baseline():
    table, winrate = sweep(100)
    shown = shown_runs(table, winrate, GROUP)
    assert len(shown) == MAX_RUNS and shown[-1].run == DPO
    assert [one.run for one in shown[:-1]] == [
        f"dpr-beta0.1-learning_rate1e-05-gamma0-g{i / 1000}" for i in range(99, 40, -1)
    ]
    panel = winrate_figure(table, winrate).rows[0][0]
    assert "60 of 101 runs: the baseline, each method's best, and the highest ratings" in panel.title
    few, winrate = sweep(FEW_RUNS - 1)
    assert shown_runs(few, winrate, GROUP) == few.runs
    more, winrate = sweep(FEW_RUNS)
    assert shown_runs(more, winrate, GROUP)[:2] == [more.runs[FEW_RUNS - 1], more.runs[FEW_RUNS - 2]]


def test_runs_stand_by_their_rating_and_each_methods_best_is_among_them():
    table, winrate = sweep(100)
    table.runs.append(run("ddp-r0.1", "ddp", r=0.1))
    rates = winrate["win_rate"].where(winrate["run"] != DPO, 0.0)
    worst = pd.DataFrame([{**winrate.iloc[0], "run": "ddp-r0.1", "win_rate": 1.0}])
    frame = pd.concat([winrate.assign(rating=-rates), worst.assign(rating=-1000.0)])
    shown = shown_runs(table, frame, GROUP)
    assert [one.run for one in shown[:2]] == [DPO, "dpr-beta0.1-learning_rate1e-05-gamma0-g0.0"] and len(
        shown
    ) == MAX_RUNS
    assert shown[-1].run == "ddp-r0.1", "the best of its method, though the last of all"
    chosen = {(*GROUP, "dpr-beta0.1-learning_rate1e-05-gamma0-g0.09")}
    assert [one.run for one in shown_runs(table, frame, GROUP, 3, chosen)] == [
        DPO,
        *(name for *_, name in chosen),
        "ddp-r0.1",
    ]


def test_of_too_many_runs_the_parts_of_those_that_gain_most_are_drawn():
    fixed = {"dataset": GROUP[0], "model": GROUP[1], "decoding": "", "baseline": DPO, "judge": "mine"}
    ends = {"mean": 1.0, "baseline_mean": 0.0, "difference_low": 0.0, "difference_high": 1.0}
    rows = [
        fixed | ends | {"run": f"run{i}", "part": part, "difference": gain}
        for i in range(MAX_RUNS + 2)
        for part, gain in (("help", -i / 100), (WHOLE, i / 100))
    ]
    [[panel]] = parts_figure(pd.DataFrame(rows)).rows
    assert panel.title == f"against {DPO}, by mine; the {MAX_RUNS} of {MAX_RUNS + 2} runs with the highest {WHOLE}"
    drawn = str(panel_specification(panel))
    assert "'run2'" in drawn and "'run1'" not in drawn
    [[panel]] = parts_figure(pd.DataFrame(rows[: 2 * MAX_RUNS])).rows
    assert panel.title == f"against {DPO}, by mine" and "'run0'" in str(panel_specification(panel))


def test_long_names_are_told_by_what_varies():
    table, winrate = sweep(20)
    short = short_names(table.runs)
    assert short["dpr-beta0.1-learning_rate1e-05-gamma0-g0.003"] == "dpr g 0.003"
    assert DPO not in short and len(set(short.values())) == 20
    axes = str(panel_specification(winrate_figure(table, winrate).rows[0][0]))
    assert "dpr g 0.003" in axes and "labelExpr" in axes
    names = [f"{'x' * LONGEST}{i}{'y' * LONGEST}" for i in range(3)]
    cut = short_names([run(name, "dpr", g=0.1) for name in names])
    assert len(set(cut.values())) == 3 and {len(name) for name in cut.values()} == {LONGEST}, (
        "by what varies all are dpr"
    )
    assert cut == cut_names(names)
    many = [run(f"{'x' * LONGEST}{lr}", "dpr", learning_rate=lr, some_long_hyperparameter=lr) for lr in (1e-5, 0.1)]
    assert list(short_names(many).values()) == ["dpr lr 1e-05 slh 1e-05", "dpr lr 0.1 slh 0.1"]
    assert "labelExpr" not in str(panel_specification(winrate_figure(*sweep(0)).rows[0][0]))


def test_where_no_two_runs_are_of_one_kind_their_kinds_are_their_names():
    long = "rft-beta0.1-learning_rate0.0001-n4-temperature1"
    made = run("a-model-of-others", "external")
    runs = [run("sft", "sft"), run(DPO, "dpo", beta=0.1), run(long, "rft", n=4), made]
    assert short_names(runs[:2]) == {} and short_names(runs) == {DPO: "dpo", long: "rft"}
    assert spoken_names(runs) == {"sft": "SFT", DPO: "DPO", long: "RFT", made.run: made.run}
    again = [*runs, run("dpo-beta0.2", "dpo", beta=0.2)]
    assert short_names(again) == {long: "rft"}
    assert spoken_names(again) == spoken_names(runs) | {DPO: DPO, "dpo-beta0.2": "dpo-beta0.2"}


@pytest.mark.parametrize("direct", [True, False])
def test_the_findings_are_the_baselines_and_the_best_ones(direct):
    table, winrate = sweep(100)
    winrate = winrate if direct else winrate[winrate["baseline"] == "chosen"]
    found = group_findings(table, winrate, GROUP)
    assert found.left_out == 101 - MOST_FINDINGS == len(table.runs) - len(found.runs)
    assert found.runs[0].run == DPO and found.runs[1].run.endswith("g0.099") and found.runs[-1].run.endswith("g0.061")
    assert "100 of 100 runs" in found.headline or "100" in found.lead
    few = group_findings(*sweep(FEW_RUNS), GROUP)
    assert few.left_out == 0 and few.runs[1].run.endswith("g0.011"), "of many the best come first"
