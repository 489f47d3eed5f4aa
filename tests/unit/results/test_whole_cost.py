"""What each run took, by the records of all jobs that it rests on."""

import pytest
from fixtures_costs import set_costs
from fixtures_records import SECONDS, write_records
from fixtures_results import DPO, DPR, build_results
from fixtures_sets import made_set

from pipeline.jobs.io import InputError, read_json, write_json
from pipeline.jobs.records import RECORD, record_path
from pipeline.results.pedigree import _read, all_jobs, pedigree
from pipeline.results.run_table import read_run_table
from pipeline.results.set_results import all_runs
from pipeline.results.whole_cost import whole_costs

RECORD_OF_ANSWERS = {
    **{"script": "decode_responses.py", "spec": {}, "inputs": {}, "outputs": [], "packages": {}, "machine": {}},
    **{"seconds": 50, "finished": "2026-01-02T03:04:05+00:00"},
}


@pytest.fixture
def table(tmp_path):
    return read_run_table(build_results(tmp_path, seeds=(1, 2), prompts=3))


def test_jobs_are_found_from_record_to_record(table, tmp_path):
    write_records(tmp_path)
    runs = {run.run: pedigree([run]) for run in table.runs}
    stages = {name: sorted({job.stage for job in part.made}) for name, part in runs.items()}
    assert stages["sft"] == ["data", "reference", "sft"]
    assert stages[DPO] == ["data", "reference", "sft", "training"]
    assert stages[DPR] == ["data", "reference", "reward_model", "sft", "training"]
    assert [len(runs[DPR].of(stage)) for stage in ("training", "responses", "scores", "verdicts")] == [2, 2, 2, 4]
    # the reward model is the scores' too, and each job stands once
    jobs = all_jobs(table)
    assert [job.stage for job in jobs[:4]] == ["data", "sft", "reward_model", "reference"]
    assert len(jobs) == len({job.path for job in jobs}) == 4 + 4 + 6 + 6 + 10


def test_a_job_that_several_runs_need_is_shared_out(table, tmp_path):
    write_records(tmp_path)
    rows = {row["run"]: row for row in whole_costs(table)}
    assert rows[DPR]["reward_model"] == SECONDS["train_reward"] and rows[DPO]["reward_model"] == 0
    assert [rows[run]["sft"] for run in rows] == [SECONDS["train_sft"] / 3] * 3
    assert rows[DPR]["training"] == 2 * SECONDS["train_policy"]
    asked = 2 * SECONDS["generate_responses"] + 2 * SECONDS["score_responses"] + 4 * SECONDS["judge_responses"]
    shared = (SECONDS["train_sft"] + SECONDS["prepare_data"] + SECONDS["compute_reference"]) / 3
    assert rows[DPR]["total"] == pytest.approx(200 + 200 + shared + asked)
    assert rows[DPR]["alone"] == pytest.approx(200 + 200 + 3 * shared + asked)
    everything = sum(job.seconds for job in all_jobs(table))
    assert sum(row["total"] for row in rows.values()) == pytest.approx(everything)
    assert rows[DPR]["sampling"] == (10 + 20) * 2 / 4  # of the cost files
    assert rows[DPR]["sampled_tokens"] == 2 * 3 * 4 and rows[DPR]["trained_tokens"] is None
    assert all(row["gpu_seconds"] == 0 and row["judge_dollars"] is None for row in rows.values())


def test_what_answers_to_sets_of_prompts_took_is_part_of_it(table, tmp_path):
    path = made_set(tmp_path, "own", prompts=3)
    write_records(tmp_path)
    before = {row["run"]: row for row in whole_costs(table)}
    own = read_run_table(path)
    for files in (files for run in own.runs for files in run.files.values()):
        write_json({**RECORD_OF_ANSWERS, "outputs": [files["responses"]]}, record_path(files["responses"]))
    rows = {row["run"]: row for row in whole_costs(all_runs(table, [own]))}
    assert list(rows) == list(before)
    for name, row in rows.items():
        assert row["responses"] == before[name]["responses"] + 2 * 50 and row["training"] == before[name]["training"]
        assert row["total"] == pytest.approx(before[name]["total"] + 2 * 50)
        assert row["sampled_tokens"] == before[name]["sampled_tokens"] + 2 * 3 * 4


def test_tokens_trained_on_are_added_up(table, tmp_path):
    write_records(tmp_path)
    set_costs(tmp_path, {DPR: {"trained_tokens": [900, 1100], "sampled_tokens": 5}})
    rows = {row["run"]: row["trained_tokens"] for row in whole_costs(table)}
    assert rows == {"sft": None, DPO: None, DPR: 2000}


def test_a_judging_reward_model_is_shared_out_to_the_runs_that_it_judges(table, tmp_path):
    write_records(tmp_path)
    before = {row["run"]: row for row in whole_costs(table)}
    judge = tmp_path / "shared/judge/model"
    judge.mkdir(parents=True)
    write_json(read_json(tmp_path / "shared/reward" / RECORD), judge.parent / RECORD)
    judged = [run for run in table.runs if any(run.verdicts.values())]
    for path in table.paths("verdicts"):
        record = read_json(record_path(path))
        write_json(record | {"inputs": record["inputs"] | {str(judge): "ab" * 32}}, record_path(path))
    _read.cache_clear()
    rows = {row["run"]: row for row in whole_costs(table)}
    for run in judged:
        more = rows[run.run]["reward_model"] - before[run.run]["reward_model"]
        assert more == pytest.approx(SECONDS["train_reward"] / len(judged))
    assert sum(row["total"] for row in rows.values()) == pytest.approx(sum(job.seconds for job in all_jobs(table)))


def test_gpus_count_by_the_processes(table, tmp_path):
    write_records(tmp_path, device="cuda")
    for row in whole_costs(table):
        assert row["gpu_seconds"] == pytest.approx(2 * row["total"])


def test_without_records_nothing_is_claimed(table):
    assert whole_costs(table) == [] and all_jobs(table) == []


def test_a_record_that_lacks_a_key_is_named(table, tmp_path):
    write_json({"script": "train_sft.py"}, tmp_path / f"world/W1M/{DPO}/seed1/provenance.json")
    with pytest.raises(InputError, match=r"provenance.json: no key 'spec'"):
        all_jobs(table)
