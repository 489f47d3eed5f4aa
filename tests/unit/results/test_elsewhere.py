"""A run whose responses were made elsewhere, in the tables and the report: what nobody knows of it is empty."""

import pytest
from fixtures_records import write_records
from fixtures_results import DPO, DPR, build_results

from pipeline.columns.responses import EXTERNAL
from pipeline.jobs.io import read_yaml, write_csv, write_yaml
from pipeline.report.bad_answers import SAME, bad_answers_section, find_faults
from pipeline.report.findings import group_findings
from pipeline.report.selection import selection_of
from pipeline.results.caveats import read
from pipeline.results.run_names import kind_of
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import cost_table, read_table, winrate_table
from pipeline.results.whole_cost import whole_costs

GIVEN = "sft"  # the run of the tree that stands for one made elsewhere


@pytest.fixture
def table(tmp_path):
    """The tree's table, in which one run was made elsewhere: it has neither log-probabilities nor a training."""
    path = build_results(tmp_path, prompts=30)
    content = read_yaml(path)
    for entry in content["runs"]:
        if entry["run"] == GIVEN:
            entry |= {"method": EXTERNAL, "called": GIVEN}
            entry["seeds"] = {
                seed: {kind: file for kind, file in files.items() if kind != "evaluation"}
                for seed, files in entry["seeds"].items()
            }
    write_yaml(content, path)
    return read_run_table(path)


@pytest.fixture
def winrate(table, tmp_path):
    """Its win-rate table."""
    write_csv(winrate_table(table, 50, 0, 5), tmp_path / "winrate.csv")
    return read_table(tmp_path / "winrate.csv")


def test_it_is_judged_and_ranked_and_what_nobody_knows_is_empty(table, winrate):
    rows = winrate[winrate["run"] == GIVEN]
    assert set(rows["method"]) == {EXTERNAL} and set(rows["baseline"]) == {"chosen", DPO}
    assert rows[["win_rate", "lc_win_rate", "rating", "mean_reward"]].notna().all(axis=None)
    assert rows.loc[rows["baseline"] == "chosen", "difference"].notna().all()
    assert rows[["kl", "reward_accuracy", "reward_margin"]].isna().all(axis=None)
    assert winrate.loc[winrate["run"] == DPR, "kl"].notna().all()
    assert GIVEN not in set(cost_table(table)["run"])


def test_its_rows_say_that_it_was_made_elsewhere(winrate):
    named = {row["run"]: [caveat.name for caveat in read(row["caveats"])] for row in winrate.to_dict("records")}
    assert "made-elsewhere" in named[GIVEN] and "made-elsewhere" not in named[DPR] + named[DPO]


def test_it_has_a_finding_but_is_no_answer_to_which_method_wins(table, winrate):
    found = group_findings(table, winrate, table.groups[0])
    assert GIVEN in [finding.run for finding in found.runs]
    assert GIVEN not in found.headline and GIVEN.upper() not in found.lead and found.lead.startswith("DPR")


def test_several_of_them_are_no_sweep(table):
    assert kind_of(next(run for run in table.runs if run.run == GIVEN)) == GIVEN
    assert "no sweep" in selection_of(table, None, None).note


def test_that_it_is_the_same_with_every_seed_is_no_fault_of_it(table):
    [board] = bad_answers_section(table, find_faults(table)).values["boards"]
    rows = {row["run"]: row for row in board["rows"]}
    assert SAME in rows[DPO] and SAME not in rows[GIVEN] and rows[GIVEN]["answers"] == 90


def test_it_has_no_cost_and_no_share_of_that_of_others(table, tmp_path):
    write_records(tmp_path)
    rows = {row["run"]: row for row in whole_costs(table)}
    assert set(rows) == {DPO, DPR}
