"""What the plan says at its end: the time of each method, GPU hours, the disk, and what it is all known by."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline.config.extents import budget_spec
from pipeline.jobs.forecast import PlannedJob
from pipeline.jobs.io import read_yaml
from pipeline.plan import forecast as module
from pipeline.plan.forecast import Forecast, describe_time, size
from pipeline.plan.pairs import planned_pairs, prepared_pairs
from pipeline.plan.power import describe_power
from pipeline.plan.specs import specs
from pipeline.plan.speeds import START

SMALL = Path(__file__).parents[2] / "data/small.yaml"
PLACE = {"dataset": "small", "model": "tiny"}
RUN = PLACE | {"run": "dpr-beta0.1-g0.3-gamma0.3", "seed": "1"}
NAMES = {
    "prepare_data": {"dataset": "small"},
    "train_sft": PLACE,
    "train_reward": {"dataset": "small", "reward_model": "tiny"},
    "compute_reference": PLACE | {"split": "train"},
    "train_policy": RUN,
    "generate_responses": RUN | {"split": "eval"},
    "score_responses": PLACE | {"run": RUN["run"], "split": "eval"},
    "judge_responses": RUN | {"split": "eval", "baseline": "chosen"},
}


@pytest.fixture
def results(tmp_path):
    prepared_pairs.cache_clear()
    return tmp_path / "results"


def planned(results, gpus=0, output=""):
    return [
        PlannedJob(
            rule, f"{results}/benchmarks/{rule}/a.tsv", 1, gpus if rule.startswith("train") else 0, (), i, names, output
        )
        for i, (rule, names) in enumerate(NAMES.items())
    ]


def forecast_of(plan, results, accelerators=()):
    return Forecast(plan, specs(plan, {}), list(accelerators), results)


def test_without_earlier_jobs_the_times_are_a_stated_guess(small, results):
    forecast, jobs = forecast_of(small(device="auto"), results), planned(results, gpus=1)
    seconds = forecast.seconds(jobs)
    assert all(one and 2 < one < 100 for one in seconds)
    assert forecast.basis(jobs).startswith("a guess by usual speeds of a CPU")
    text = describe_time(forecast, jobs, seconds, 2, None)
    lines = text.splitlines()
    assert lines[0].startswith("  what methods share, ") and "GPU" not in text
    assert re.match(r"  dpr: its trainings, responses and verdicts, \d+ s", lines[1])
    assert re.match(r"About \d+ kB of disk, and .* more while trainings run; .* are free", lines[2])


def test_a_methods_time_on_gpus_is_told_in_their_hours(small, results):
    large = {"definitions": small().settings.config["definitions"], "device": "t4"}
    large["definitions"]["models"]["tiny"] = {"path": "me/tiny-7b"}
    large["definitions"]["reward_models"]["tiny"]["train"]["sft"] = True
    forecast = forecast_of(small(**large), results, ["Tesla T4"])
    jobs = planned(results, gpus=1)
    seconds = dict(zip(NAMES, forecast.seconds(jobs), strict=True))
    text = describe_time(forecast, jobs, list(seconds.values()), 8, 1)
    hours = float(re.search(r"dpr: .* (\d+\.\d) GPU hours", text)[1])
    assert hours == pytest.approx(seconds["train_policy"] / 3600, abs=0.05)
    assert forecast.basis(jobs).startswith("a guess by usual speeds of a GPU like Tesla T4")


def test_a_full_disk_is_said_before(small, results, monkeypatch):
    forecast, jobs = forecast_of(small(), results), planned(results)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000.0))
    assert describe_time(forecast, jobs, forecast.seconds(jobs), 2, None).endswith("1 kB are free: too little")


def write_data(plan, results, **changed):
    folder = results / "data/small"
    folder.mkdir(parents=True, exist_ok=True)
    mean = {"mean": 80}
    card = {"response_characters": {"chosen": mean, "rejected": mean}, "samples": [{"prompt": "a" * 40}]}
    (folder / "card.json").write_text(json.dumps(card | {"splits": {"train": 100, "selection": 16, "eval": 30}}))
    record = {"spec": plan.settings.data_spec("small") | changed, "finished": "2026-01-01T00:00:00+00:00"}
    (folder / "provenance.json").write_text(json.dumps(record))
    prepared_pairs.cache_clear()


def write_training(plan, results, seconds, **changed):
    names = {name: RUN[name] for name in ("dataset", "model", "run")}
    output = f"results/policies/{'/'.join(names.values())}/seed1"
    folder = results.parent / output
    folder.mkdir(parents=True, exist_ok=True)
    record = {"script": "train_policy.py", "spec": plan.settings.policy_spec(**names) | changed, "outputs": [output]}
    record |= {"options": {"threads": 1}, "device": {"type": "cpu", "processes": 1}, "seconds": seconds}
    (folder / "provenance.json").write_text(json.dumps(record | {"finished": "2026-01-01T01:00:00+00:00"}))
    time = results / f"benchmarks/train_policy/{'/'.join(names.values())}/seed1.tsv"
    time.parent.mkdir(parents=True, exist_ok=True)
    time.write_text(f"s\n{seconds + 7}\n")
    return PlannedJob("train_policy", str(time), 1, 0, (), 0, RUN, f"{output}/model")


def test_a_dataset_counts_as_it_is_prepared_or_will_be(small, results):
    plan = small()
    unseen = planned_pairs(plan.settings, "small", results)
    assert unseen.rows == {"train": 112, "selection": 16, "eval": 32} and unseen.counted and not unseen.prepared
    write_data(plan, results)
    there = planned_pairs(plan.settings, "small", results)
    assert there.rows["train"] == 100 and (there.prompt, there.response) == (10, 20)
    write_data(plan, results, size=99)
    other = planned_pairs(plan.settings, "small", results)
    assert other.rows == unseen.rows and (other.prompt, other.response) == (10, 20)


def test_an_earlier_jobs_time_is_taken_where_it_did_the_same_and_scaled_where_not(small, results):
    plan = small()
    write_data(plan, results)
    job = write_training(plan, results, 300.0)
    forecast = forecast_of(plan, results)
    [again] = forecast.seconds([job])
    assert again == pytest.approx(307, abs=0.5) and forecast.basis([job]) == "by the times of earlier jobs"
    # five times the steps, but one start
    policy = read_yaml(SMALL)["policy"] | {"max_steps": 50}
    [longer] = forecast_of(small(policy=policy), results).seconds([job])
    assert longer == pytest.approx(7 + 5 * 300, rel=0.02)
    # a job that ran before the data were made anew says nothing
    record = json.loads((results / "data/small/provenance.json").read_text()) | {
        "finished": "2026-02-01T00:00:00+00:00"
    }
    (results / "data/small/provenance.json").write_text(json.dumps(record))
    prepared_pairs.cache_clear()
    assert forecast_of(plan, results).speeds.are_guessed


def test_a_judge_behind_a_service_is_not_counted(small, results):
    plan = small(judge="U")
    jobs = [job for job in planned(results) if job.rule == "judge_responses"]
    assert forecast_of(plan, results).seconds(jobs) == [None]


def test_rows_that_nobody_knows_are_assumed_and_said(small, results):
    definitions = small().settings.config["definitions"]
    definitions["datasets"]["small"] = {"source": "plain", "path": "me/pairs", "reward_model": "tiny", "judge": "U"}
    definitions["datasets"]["small"]["eval_share"] = 0.1
    plan = small(definitions=definitions)
    forecast, jobs = forecast_of(plan, results), planned(results)
    text = describe_time(forecast, jobs, forecast.seconds(jobs), 2, None)
    assert text.endswith("nobody knows how many rows there are of small: 10,000 assumed")
    assert "(assumed) prompts" in describe_power(plan.settings, results)


def test_the_power_is_a_guess_first_and_measured_later(small, results):
    settings = small(seeds=[1, 2, 3]).settings
    text = describe_power(settings, results)
    assert text.startswith("With 3 seeds and 32 prompts a method shows a difference from the baseline of ")
    assert "which is a guess" in text and "as one of 5 runs" in text
    draw = np.random.default_rng(0)
    for seed in (1, 2, 3):
        folder = results / f"verdicts/small/tiny/dpr/seed{seed}"
        folder.mkdir(parents=True)
        frame = pd.DataFrame({"prompt_id": [f"p{i}" for i in range(40)], "preference": draw.random(40) / 100 + 0.5})
        frame.to_parquet(folder / "eval-vs-dpo-beta0.1.parquet")
        shutil.copy(folder / "eval-vs-dpo-beta0.1.parquet", folder / "eval-vs-chosen.parquet")
    measured = describe_power(settings, results)
    assert "by the spread of earlier runs" in measured and "of 0.1 points" in measured
    assert "one seed says nothing" in describe_power(small().settings, results)


def test_sizes_are_for_readers():
    assert [size(count) for count in (10, 45e6, 1.23e9, 2e12)] == ["1 kB", "45 MB", "1.2 GB", "2.0 TB"]


def test_a_budget_counts_as_its_seconds_first_and_as_its_steps_once_they_are_counted(small, results):
    tasks = [{"method": "dpo", "budget": {"seconds": 5000}}, {"method": "dpr", "g": 0.3, "budget": {"relative": 2}}]
    tasks += [{"method": "dpp", "budget": {"tokens": 64000}}, {"method": "dpp", "budget": {"tokens": 6400000}}]
    plan = small(tasks=tasks, baseline="dpo-budget_seconds5000")
    runs = list(plan.settings.task_runs)[-4:]
    jobs = [PlannedJob("train_policy", names=PLACE | {"run": run, "seed": "1"}) for run in runs]
    start = START["cpu"]
    seconds = forecast_of(plan, results).seconds(jobs)
    assert seconds[:2] == pytest.approx([start + 5000, start + 10000])
    assert seconds[3] - start == pytest.approx(100 * (seconds[2] - start), rel=0.1)
    # by the steps that a job found, but not by those of another budget
    folder = results / "budgets/small/tiny"
    folder.mkdir(parents=True)
    spec = budget_spec(plan.settings, "small", "tiny", runs[0])
    found = []
    for steps, recorded in ((10, spec), (20, spec), (20, spec | {"budget": {"seconds": 1}})):
        (folder / f"{runs[0]}.json").write_text(json.dumps({"steps": steps}))
        (folder / f"{runs[0]}.provenance.json").write_text(json.dumps({"spec": recorded}))
        found.append(forecast_of(plan, results).seconds(jobs)[:2])
    assert found[1][0] - start == pytest.approx(2 * (found[0][0] - start)) and found[0][0] < 5000
    assert found[0][1] - start == pytest.approx(2 * (found[0][0] - start)) and found[2][0] == start + 5000


def test_an_earlier_training_of_a_budget_did_the_steps_that_its_record_has(small, results):
    plan = small()
    write_data(plan, results)
    job = write_training(plan, results, 300.0)
    [usual] = forecast_of(plan, results).earlier
    path = results.parent / job.output.removesuffix("/model") / "provenance.json"
    record = json.loads(path.read_text())
    values = record["spec"]["hyperparameters"]
    record["options"]["steps"] = 3 * values["max_steps"]
    record["spec"]["hyperparameters"] = values | {"max_steps": None, "budget_seconds": 60.0}
    path.write_text(json.dumps(record))
    [counted] = forecast_of(plan, results).earlier
    assert counted.work.operations == pytest.approx(3 * usual.work.operations)


def test_jobs_of_budgets_and_checkpoints_count_as_what_they_do(small, results):
    tasks = [{"method": "dpo", "budget": {"seconds": 50}}, {"method": "dpr", "g": 0.3, "seconds_like": "dpo-beta0.1"}]
    plan = small(tasks=[*small().settings.config["tasks"], *tasks], baseline="dpo-beta0.1", evaluate_checkpoints=3)
    own, like = list(plan.settings.task_runs)[-2:]
    forecast = forecast_of(plan, results)
    count, both = (PlannedJob("count_steps", names=PLACE | {"run": run}) for run in (own, like))
    kept = {"split": "eval", "kept": "3", "seed": "1"}
    sampled, start = (PlannedJob("evaluate_checkpoints", names=PLACE | kept | {"run": run}) for run in (own, "sft"))
    ten = forecast.work(PlannedJob("train_policy", names=PLACE | {"run": "dpo-beta0.1", "seed": "1"}))
    assert forecast.work(count).operations == ten.operations and forecast.work(count).written == 0
    assert forecast.work(both).operations > 2 * ten.operations
    assert forecast.work(sampled).operations == 4 * forecast.work(start).operations > 0
    new = [replace(job, benchmark=str(results / "none.tsv")) for job in (count, both, sampled, start)]
    assert all(one > START["cpu"] for one in forecast.seconds(new))
    time = results / "benchmarks/count_steps/a.tsv"
    time.parent.mkdir(parents=True)
    time.write_text("s\n77\n")
    assert forecast.seconds([replace(count, benchmark=str(time))]) == [77]


def test_jobs_of_a_set_of_prompts_count_its_turns_once_it_is_prepared(small, results):
    sets = {"prompts": ["mine"], "judge": "reward"}
    config = read_yaml(SMALL)["definitions"] | {"prompts": {"mine": {"path": "mine.jsonl"}}}
    plan = small(**sets, definitions=config)
    names = RUN | {"set": "mine"}
    jobs = [
        PlannedJob("answer_prompts", None, 1, 0, (), 0, names, ""),
        PlannedJob("judge_prompts", None, 1, 0, (), 1, names | {"baseline": "dpo-beta0.1"}, ""),
    ]
    before = forecast_of(plan, results)
    assert all(before.seconds(jobs)) and before.guessed_sets(jobs) == ["mine"]
    assert "Nobody knows the prompts of mine: 1,000 assumed" in describe_time(before, jobs, before.seconds(jobs), 2, 0)
    (results / "prompts").mkdir(parents=True)
    card = {"turns": {"1": 100, "2": 1000}, "prompt_characters": {"mean": 600.0}}
    (results / "prompts/mine.json").write_text(json.dumps(card))
    spec = specs(plan, {})["prompts/mine"]()
    (results / "prompts/mine.provenance.json").write_text(json.dumps({"spec": spec}))
    after = forecast_of(plan, results)
    assert after.guessed_sets(jobs) == []
    for one, other in ((before.work(job), after.work(job)) for job in jobs):
        assert other.operations == pytest.approx(2.1 * one.operations) and one.operations > 0
