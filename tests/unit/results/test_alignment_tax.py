"""What alignment costs elsewhere: numbers by hand, pairs of questions, groups, what is refused, the section."""

import json
from pathlib import Path

import pandas as pd
import pytest
from fixtures_lm_eval import put_benchmarks, write_benchmarks
from fixtures_results import DPO, DPR, build_results

import compute_alignment_tax
from pipeline.columns.benchmark_samples import SAMPLE_COLUMNS
from pipeline.jobs.io import InputError, read_yaml, write_parquet
from pipeline.report.alignment_tax import alignment_tax_section
from pipeline.results.alignment_tax import alignment_tax_table, read_alignment_tax
from pipeline.results.run_table import read_run_table


@pytest.fixture
def path(tmp_path):
    return put_benchmarks(tmp_path / "lm_eval", build_results(tmp_path, seeds=(1, 2), prompts=4))


def table_of(path):
    return alignment_tax_table(read_run_table(path), resamples=200).set_index(["run", "metric"])


def files_of(path, run, seed, kind="lm_eval"):
    [entry] = [entry for entry in read_yaml(path)["runs"] if entry["run"] == run]
    return Path(entry["seeds"][seed][kind])


def test_numbers_by_hand(path):
    table = table_of(path)
    assert table.index.tolist() == [(run, f"{m},none") for run in ("sft", DPO, DPR) for m in ("acc", "loose")]
    dpo, dpr, start = (table.loc[(run, "acc,none")] for run in (DPO, DPR, "sft"))
    assert (dpo["score"], dpo["start_score"], dpo["difference"]) == (0.75, 0.5, 0.25)
    assert (dpr["score"], dpr["difference"], dpr["baseline_difference"]) == (0.125, -0.375, -0.625)
    assert (dpr["interval"], dpr["questions"], dpr["num_fewshot"], dpr["seeds"]) == ("paired", 4, 5, "1 2")
    assert dpr["baseline_difference_low"] < -0.625 < dpr["baseline_difference_high"] <= 0
    assert start["score"] == 0.5 and start[["difference", "difference_low"]].isna().all()
    assert dpo[["baseline_difference", "baseline_difference_high"]].isna().all() and dpo["difference_low"] >= 0


def test_a_metric_that_is_no_mean_has_a_normal_interval_by_its_errors(path):
    row = table_of(path).loc[(DPR, "loose,none")]
    assert row["interval"] == "stderr" and row["difference"] == pytest.approx(-0.1)
    half = 1.959964 * (0.1**2 + 0.1**2) ** 0.5
    assert row["difference_high"] == pytest.approx(-0.1 + half, abs=1e-6)
    assert row["baseline_difference_low"] == pytest.approx(-0.3 - half, abs=1e-6)
    assert row["score_low"] == pytest.approx(0.4 - 1.959964 * 0.1, abs=1e-6)


def test_differences_between_seeds_widen_it(path):
    own = files_of(path, DPR, 2)
    write_benchmarks(own, [0, 0, 0, 0], 0.8)
    row = table_of(path).loc[(DPR, "loose,none")]
    half = 1.959964 * (0.4**2 / 2 / 2 + 0.1**2 + 0.1**2) ** 0.5
    assert row["difference_low"] == pytest.approx(0.1 - half, abs=1e-6)


def test_a_score_without_a_standard_error_has_no_interval(path):
    for seed in (1, 2):
        own = files_of(path, DPR, seed)
        own.write_text(own.read_text().replace('"loose_stderr,none": 0.1', '"loose_stderr,none": "N/A"'))
    row = table_of(path).loc[(DPR, "loose,none")]
    assert row["difference"] == pytest.approx(-0.1) and row[["difference_low", "difference_high"]].isna().all()


def test_only_the_same_questions_are_compared(path):
    answers = files_of(path, DPO, 1).with_suffix(".parquet")
    frame = pd.read_parquet(answers)
    frame.loc[1, "question"] = "1:another"  # the data set has changed since
    write_parquet(frame, answers)
    row = table_of(path).loc[(DPO, "acc,none")]
    assert row["difference"] == pytest.approx(1 / 7) and row["score"] == 0.75


def test_a_group_with_a_score_has_one_row_and_one_without_has_its_tasks(path):
    found = {}
    for name, scores in (("with", {"acc,none": 0.5, "acc_stderr,none": 0.1}), ("without", {"alias": "pair"})):
        for run, seed in ((DPO, 1), (DPO, 2), (DPR, 1), (DPR, 2), ("sft", 1)):
            own = files_of(path, run, seed)
            each = {"acc,none": 0.5, "acc_stderr,none": 0.2}
            results = {"one": each, "two": each, "pair": scores}
            counts = {task: {"original": 2, "effective": 2} for task in ("one", "two")}
            told = {"task": "pair", "results": results, "n-samples": counts, "n-shot": {"one": 0, "two": 0, "pair": 0}}
            told["higher_is_better"] = {task: {"acc": True} for task in results}
            write_benchmarks(own, [1], 0.5, **told)
            rows = [(0, task, f"{n}:h", "acc,none", float(n)) for task in ("one", "two") for n in (0, 1)]
            write_parquet(pd.DataFrame(rows, columns=SAMPLE_COLUMNS), own.with_suffix(".parquet"))
        found[name] = alignment_tax_table(read_run_table(path), resamples=20)
    assert found["with"]["task"].tolist() == ["pair"] * 3 and set(found["with"]["questions"]) == {4}
    assert found["without"]["task"].tolist() == ["one", "two"] * 3 and set(found["without"]["questions"]) == {2}
    assert all(set(table["interval"]) == {"paired"} and set(table["score"]) == {0.5} for table in found.values())


def test_what_does_not_belong_together_is_refused(tmp_path, path):
    own = files_of(path, DPR, 2)
    before = own.read_text()
    own.write_text(before.replace('"quiz": 5', '"quiz": 3'))
    with pytest.raises(InputError, match=r"2.json: its tasks are not those of .*1.json"):
        table_of(path)
    with pytest.raises(InputError, match="no run has measured benchmarks"):
        alignment_tax_table(read_run_table(build_results(tmp_path / "other", seeds=(1,), prompts=2)))


def test_a_question_that_was_answered_twice_is_refused(path):
    answers = files_of(path, DPR, 1).with_suffix(".parquet")
    frame = pd.read_parquet(answers)
    write_parquet(pd.concat([frame, frame.head(1)]), answers)
    with pytest.raises(InputError, match=r"1.parquet: quiz, acc,none: a question was answered twice"):
        table_of(path)


def test_what_is_written_is_read(tmp_path, path):
    csv = tmp_path / "alignment_tax.csv"
    compute_alignment_tax.main(["--runs", str(path), "--output", str(csv), "--resamples", "200"])
    found = read_alignment_tax(csv)
    assert found["difference"].notna().sum() == 4 and json.loads(
        (tmp_path / "alignment_tax.provenance.json").read_text()
    )
    section = alignment_tax_section(found)
    first, second = section.values["boards"][0]["tasks"]
    assert (first["title"], first["about"]) == ("quiz, acc", "4 questions, 5 worked examples")
    assert [row["run"] for row in second["rows"]] == ["sft", DPO, DPR] and section.values["by_errors"]
    csv.write_text(csv.read_text().replace("start_score", "start"))
    with pytest.raises(InputError, match="no column 'start_score'"):
        read_alignment_tax(csv)


@pytest.mark.parametrize(
    ("low", "high", "higher", "answer"),
    [
        (-0.3, -0.1, "True", f"Clearly worse than its start: {DPO} in quiz."),
        (0.1, 0.3, "True", f"Clearly better than its start: {DPO} in quiz."),
        (0.1, 0.3, "False", f"Clearly worse than its start: {DPO} in quiz."),
        (-0.1, 0.3, "True", "No run is clearly better or worse than what it starts from."),
        (0.1, 0.3, "", "No run is clearly better or worse than what it starts from."),
    ],
)
def test_the_answer_says_who_lost_where(path, tmp_path, low, high, higher, answer):
    csv = tmp_path / "tax.csv"
    compute_alignment_tax.main(["--runs", str(path), "--output", str(csv), "--resamples", "20"])
    rows = read_alignment_tax(csv)
    rows = rows[(rows["run"] == DPO) & (rows["metric"] == "acc,none")]
    rows = rows.assign(difference_low=low, difference_high=high, higher_is_better=higher)
    assert alignment_tax_section(rows).values["answer"] == answer
