"""Each method beside its controls."""

import dataclasses

import pytest
from fixtures_results import DPO, DPR, build_results

from pipeline.report.controls import control_sentences, controls_section
from pipeline.report.findings import group_findings
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import cost_table, winrate_table

KEY = ("world", "W1M", "", DPR)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Run table, in which DPO is a control of DPR, win rates and costs."""
    table = read_run_table(build_results(tmp_path_factory.mktemp("results"), prompts=10))
    runs = [dataclasses.replace(run, controls=(DPO,)) if run.run == DPR else run for run in table.runs]
    table = dataclasses.replace(table, runs=runs)
    return table, winrate_table(table, resamples=50, refits=5), cost_table(table)


def test_a_control_stands_below_its_run_with_what_both_took(made):
    [section] = controls_section(*made)
    [board] = section.values["boards"]
    run, control = board["rows"]
    assert (board["run"], run["run"], control["run"]) == (DPR, DPR, DPO)
    assert (run["steps"], run["training_seconds"], control["training_seconds"]) == (20, 40, 20)
    frame = made[1].set_index(["run", "baseline"])
    assert control["direct"] == frame.loc[(DPR, DPO), "win_rate"] and "direct" not in run
    assert run["win_rate"] == frame.loc[(DPR, "chosen"), "win_rate"]


def test_only_controls_of_as_many_steps_are_in_the_findings(made):
    table, winrate, cost = made
    sentence = control_sentences(table, winrate, cost)[KEY]
    assert sentence.startswith(f"With as many steps (20): {DPR} beats {DPO} on fewer than 100 prompts: it wins ")
    findings = group_findings(table, winrate, KEY[:3], None, {KEY: sentence})
    assert [finding.text.endswith(sentence) for finding in findings.runs if finding.run == DPR] == [True]
    assert sentence in findings.headline
    fewer = cost.assign(steps=cost["steps"].where(cost["run"] != DPO, 10))
    assert control_sentences(table, winrate, fewer) == {}


def test_without_controls_there_is_no_section(made):
    table, winrate, cost = made
    plain = dataclasses.replace(table, runs=[dataclasses.replace(run, controls=()) for run in table.runs])
    assert controls_section(plain, winrate, cost) == [] and control_sentences(plain, winrate, cost) == {}
