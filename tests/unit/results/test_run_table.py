"""The run table and the files behind it: what is read, and which faults are named."""

import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results

from pipeline.jobs.io import InputError, read_json, read_yaml, write_json, write_parquet, write_yaml
from pipeline.results.run_table import (
    read_cost,
    read_evaluation,
    read_metrics,
    read_responses,
    read_run_table,
    read_scores,
    read_verdicts,
)


@pytest.fixture
def table_path(tmp_path):
    return build_results(tmp_path, seeds=(1, 2), prompts=5)


def test_reads_runs_in_order(tmp_path):
    table = read_run_table(build_results(tmp_path, prompts=2, groups=(("world", "W1M"), ("other", "W1M"))))
    assert table.groups == [("world", "W1M", ""), ("other", "W1M", "")]
    assert [run.run for run in table.runs_of(("other", "W1M"))] == ["sft", DPO, DPR]
    assert table.hyperparameters == ["beta", "learning_rate", "g", "gamma"]
    assert table.baseline_of(("world", "W1M")) is table.runs[1]
    assert table.baseline_of(("none", "W1M")) is None
    assert table.runs[0].seeds_with("cost") == []
    assert table.runs[1].seeds_with("cost") == [1, 2, 3]


def test_reads_the_files_of_a_run(table_path):
    run = read_run_table(table_path).runs[2]
    columns = ["prompt_id", "order", "preference", "status", "len_run", "len_baseline"]
    assert read_verdicts(run, 1, "chosen").columns.tolist() == columns
    assert read_scores(run, 2).index.tolist() == ["p000", "p001", "p002", "p003", "p004"]
    assert len(read_evaluation(run, 2)) == 5
    assert read_responses(run, 1).at["p001", "prompt"] == "Question 1?"
    assert read_cost(run, 1)["steps"] == 20
    assert set(read_metrics(run, 1)["metric"]) == {"loss", "rewards/accuracies", "rewards/margins"}


def drop(key):
    return lambda content: content["runs"][0].pop(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("baseline"), "no key 'baseline'"),
        (lambda content: content.update(runs=[]), "runs: there are none"),
        (lambda content: content.update(runs="all"), "runs: must be a list of runs, not 'all'"),
        (lambda content: content.update(colour="red"), "unknown key 'colour'"),
        (drop("method"), r"runs\[0\]: no key 'method'"),
        (drop("seeds"), r"runs\[0\]: no key 'seeds'"),
        (lambda content: content["runs"][0].update(seeds={}), r"runs\[0\].seeds: there are none"),
        (lambda content: content["runs"][1]["hyperparameters"].update(beta=[1]), r"hyperparameters.beta: must be one"),
        (lambda content: content["runs"][1]["seeds"][2].pop("responses"), r"runs\[1\].seeds.2: no key 'responses'"),
        (lambda content: content["runs"][1]["seeds"][2]["verdicts"].clear(), "seeds.2.verdicts: no key 'chosen'"),
        (lambda content: content["runs"].append(content["runs"][0]), "world/W1M/sft stands in it 2 times"),
    ],
)
def test_a_faulty_table_is_refused_with_its_place(table_path, change, message):
    content = read_yaml(table_path)
    change(content)
    write_yaml(content, table_path)
    with pytest.raises(InputError, match=message) as error:
        read_run_table(table_path)
    assert str(table_path) in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("run", "dpo", "run is 'dpo'; it must be"),
        ("seed", 9, "seed is 9; it must be 1"),
        ("baseline", "sft", "baseline is 'sft'"),
        ("status", "maybe", "status is 'maybe'; it must be one of parsed"),
        ("preference", 1.5, "preference is 1.5; a parsed one is 0 to 1"),
        ("preference", None, "preference is nan; a parsed one is 0 to 1"),
        ("status", "refused", "it must be null where not parsed"),
        ("prompt_id", "p000", "each order of a prompt stands once"),
    ],
)
def test_a_faulty_verdict_is_refused_with_its_row(table_path, column, value, message):
    run = read_run_table(table_path).runs[2]
    path = run.verdicts[1]["chosen"]
    frame = pd.read_parquet(path)
    frame.loc[3, column] = value
    write_parquet(frame, path)
    with pytest.raises(InputError, match=message) as error:
        read_verdicts(run, 1, "chosen")
    assert str(error.value).startswith(f"{path}: row 3 (prompt ")


def test_a_missing_column_and_a_missing_file_are_named(table_path, tmp_path):
    run = read_run_table(table_path).runs[0]
    path = run.files[1]["scores"]
    write_parquet(pd.read_parquet(path).rename(columns={"response_score": "score"}), path)
    with pytest.raises(InputError, match=r"scores\.parquet: no column 'response_score'"):
        read_scores(run, 1)
    with pytest.raises(InputError, match="no-such-file"):
        read_run_table(tmp_path / "no-such-file.yaml")


@pytest.mark.parametrize(("column", "value"), [("response_logps", float("nan")), ("chosen_logps", float("-inf"))])
def test_a_measurement_that_is_no_number_is_refused(table_path, column, value):
    run = read_run_table(table_path).runs[1]
    path = run.files[1]["evaluation"]
    frame = pd.read_parquet(path)
    frame.loc[2, column] = value
    write_parquet(frame, path)
    with pytest.raises(InputError, match=rf"row 2 \(prompt p002\): {column} is .*; it must be a finite number"):
        read_evaluation(run, 1)


def test_a_pair_without_a_reference_is_missing_as_a_whole(table_path):
    run = read_run_table(table_path).runs[1]
    path = run.files[1]["evaluation"]
    frame = pd.read_parquet(path)
    pair = ["chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps"]
    frame.loc[2, pair] = float("nan")
    write_parquet(frame, path)
    read = read_evaluation(run, 1)
    assert read.loc["p002", pair].isna().all() and len(read) == 5 and read.drop("p002").notna().all(None)
    frame.loc[2, "chosen_logps"] = -1.0
    write_parquet(frame, path)
    with pytest.raises(InputError, match=r"row 2 \(prompt p002\): rejected_logps is nan; it must be a finite number"):
        read_evaluation(run, 1)


def test_a_prompt_that_stands_twice_is_refused(table_path):
    run = read_run_table(table_path).runs[1]
    path = run.files[1]["scores"]
    frame = pd.read_parquet(path)
    frame.loc[4, "prompt_id"] = "p001"
    write_parquet(frame, path)
    with pytest.raises(InputError, match=r"row 4 \(prompt p001\): prompt_id is 'p001'; each prompt stands once"):
        read_scores(run, 1)


@pytest.mark.parametrize(
    ("change", "message"), [({"steps": -1}, "steps must be a number of at least 0"), ({"seconds": "long"}, "seconds")]
)
def test_a_faulty_cost_is_refused(table_path, change, message):
    run = read_run_table(table_path).runs[1]
    path = run.files[1]["cost"]
    write_json(read_json(path) | change, path)
    with pytest.raises(InputError, match=message):
        read_cost(run, 1)
