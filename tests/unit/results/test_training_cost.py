"""What one training cost, its share of what several need included."""

import pytest
from fixtures_costs import set_costs
from fixtures_records import SECONDS, write_records
from fixtures_results import DPO, DPR, build_results

from pipeline.jobs.io import InputError, read_json, write_json
from pipeline.results.pedigree import _read
from pipeline.results.run_table import read_run_table
from pipeline.results.training_cost import training_costs

EVERY = SECONDS["train_sft"] + SECONDS["prepare_data"] + SECONDS["compute_reference"]  # each training's


@pytest.fixture
def table(tmp_path):
    return read_run_table(build_results(tmp_path, seeds=(1, 2), prompts=3))


def of(table, run, seed=1):
    frame = training_costs(table)
    [row] = frame[(frame["run"] == run) & (frame["seed"] == seed)].to_dict("records")
    return row


def test_what_several_trainings_need_is_shared_out_to_each_of_them(table, tmp_path):
    write_records(tmp_path)
    set_costs(tmp_path, {DPR: {"seconds": [300.0, 500.0], "rollout_seconds": 20.0}})
    found = of(table, DPR)
    assert found["training_seconds"] == 300 and found["sampling_seconds"] == 20 and found["steps"] == 20
    assert found["reward_model_seconds"] == SECONDS["train_reward"] / 2  # of its two seeds
    assert found["sft_seconds"] == SECONDS["train_sft"] / 4  # of all four trainings; the SFT model is none
    assert found["device_seconds"] == pytest.approx(300 + SECONDS["train_reward"] / 2 + EVERY / 4)
    assert found["alone_seconds"] == 300 + SECONDS["train_reward"] + EVERY
    assert of(table, DPR, 2)["device_seconds"] == found["device_seconds"] + 200
    plain = of(table, DPO)
    assert plain["reward_model_seconds"] == 0 and plain["device_seconds"] == 100 + EVERY / 4
    frame = training_costs(table)
    everything = 2 * SECONDS["train_policy"] + 300 + 500 + SECONDS["train_reward"] + EVERY
    assert frame["device_seconds"].sum() == pytest.approx(everything)
    assert set(frame["run"]) == {DPO, DPR} and (frame["gpu_hours"] == 0).all()


def test_gpus_count_by_the_processes(table, tmp_path):
    write_records(tmp_path, device="cuda")
    found = of(table, DPO)
    assert found["gpu_hours"] == pytest.approx(2 * found["device_seconds"] / 3600)


def test_tokens_are_those_trained_on_and_sampled(table, tmp_path):
    set_costs(tmp_path, {DPR: {"trained_tokens": [900, 950], "sampled_tokens": 50}})
    assert of(table, DPR)["tokens"] == 950 and of(table, DPR, 2)["tokens"] == 1000
    assert of(table, DPO)["tokens"] != of(table, DPO)["tokens"]  # whose trainer counted none
    set_costs(tmp_path, {DPR: {"trained_tokens": "many"}})
    with pytest.raises(InputError, match=r"cost.json: trained_tokens must be a number of at least 0, not 'many'"):
        training_costs(table)


def test_without_records_only_the_training_itself_is_known(table):
    found = of(table, DPO)
    assert found["training_seconds"] == 10 and found["device_seconds"] != found["device_seconds"]


def test_a_training_whose_steps_were_taken_over_is_no_part_of_the_cost(table, tmp_path):
    write_records(tmp_path)
    costs = {run.run: run.files[1]["cost"] for run in table.runs if "cost" in run.files[1]}
    record = tmp_path / "world/W1M" / DPO / "seed1/provenance.json"
    content = read_json(record)
    write_json(content | {"inputs": content["inputs"] | {costs[DPR]: "ab" * 32}}, record)
    _read.cache_clear()
    assert of(table, DPO)["alone_seconds"] == SECONDS["train_policy"] + EVERY
