"""What runs are called by what they are."""

from fixtures_results import DPO, DPR, build_results

from pipeline.columns.responses import EXTERNAL
from pipeline.results.run_names import kind_names, kind_of
from pipeline.results.run_table import Run, read_run_table


def run(name, method, called=""):
    return Run("world", "W1M", name, method, {}, [], {}, {}, called=called)


def test_a_kind_that_only_one_run_is_of_names_it():
    runs = [run("dpo-1", "dpo"), run("dpo-2", "dpo"), run("ipo-1", "dpo", "ipo"), run("dpr-1", "dpr")]
    assert kind_names(runs) == {"ipo-1": "IPO", "dpr-1": "DPR"}


def test_what_was_made_elsewhere_keeps_its_name():
    runs = [run("gpt-4o", EXTERNAL, "gpt-4o"), run("dpo-1", "dpo")]
    assert [kind_of(one) for one in runs] == ["gpt-4o", "dpo"] and kind_names(runs) == {"dpo-1": "DPO"}


def test_runs_of_a_table(tmp_path):
    table = read_run_table(build_results(tmp_path, seeds=(1,), prompts=2))
    assert kind_names(table.runs) == {"sft": "SFT", DPO: "DPO", DPR: "DPR"}
