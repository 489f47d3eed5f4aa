"""Steps that follow from a budget or from another run, and what a step takes."""

import os
import time

import pandas as pd
import pytest
import torch
from fixtures_models import cpu_device
from fixtures_training import FRAME, TRAINING

from pipeline.jobs.io import InputError, write_json
from pipeline.plan.work import MEASURED_STEPS
from pipeline.training.policy import policy_trainer
from pipeline.training.reference import reference_logps
from pipeline.training.speed import (
    KEYS,
    TIMED,
    WARM,
    keep_speed,
    kept_speed,
    measured_speed,
    read_speed,
    rows_hash,
    sample_rows,
    speed_path,
)
from pipeline.training.steps import steps_in_budget, steps_of, with_steps

pytestmark = pytest.mark.usefixtures("without_cards")
SAIL = {"g": 0.5, "gamma": 0.0, "rollout_max_new_tokens": 4, "rollout_prompts": 64, "rollout_reuse": 2, "max_age": 99}
VALUES = TRAINING | {"beta": 0.1, "loss_type": "sigmoid", "label_smoothing": 0.0}
SPEC = {
    "dataset": "mine",
    "model": {"name": "tiny"},
    "run": "dpr-g0.5",
    "method": "dpr",
    "hyperparameters": VALUES | SAIL,
}


@pytest.fixture(scope="module")
def start(base, tmp_path_factory):
    """(folder of a tiny Qwen2, the reference's log-probabilities of FRAME)"""
    scratch = str(tmp_path_factory.mktemp("reference"))
    return base, reference_logps({"model": {}, "max_length": 128}, FRAME, base, cpu_device(), scratch)


def make(start, scratch, **changes):
    folder, reference = start
    reward = lambda prompts, completions, **columns: [float(len(str(text))) for text in completions]  # noqa: E731
    spec = {"model": {}, "method": "dpr", "hyperparameters": SPEC["hyperparameters"] | changes}
    return policy_trainer(spec, FRAME, reference, str(folder), 3, cpu_device(), str(scratch), reward)


def test_passes_are_counted_as_the_trainer_counts_them(start, tmp_path):
    changes = {"epochs": 1.5, "max_steps": None, "global_batch_size": 3}
    trainer = make(start, tmp_path, **changes)
    trainer.train()
    extent = {"epochs": 1.5 / (1 - 0.5), "global_batch_size": 3}
    assert trainer.state.max_steps == steps_of(extent, len(FRAME), None) == 9


def test_a_step_s_tokens_are_the_same_by_any_clock_and_its_sampling_is_spread(start, tmp_path, monkeypatch):
    speeds = []

    def trainer(scratch):
        made = make(start, scratch, max_steps=WARM + TIMED)
        speeds.append(made)
        return made

    first = kept_speed(tmp_path / "one", SPEC, [], trainer, cpu_device())
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: 9 * clock())
    second = kept_speed(tmp_path / "two", SPEC, [], trainer, cpu_device())
    assert first["tokens_per_step"] == second["tokens_per_step"] and first["steps"] == WARM + TIMED
    assert second["seconds_per_step"] > 2 * first["seconds_per_step"]
    assert len({steps_in_budget({"tokens": 9_999}, speed) for speed in (first, second)}) == 1
    made = speeds[0]
    # 64 prompts were sampled at once, for 128 rows, of which some twenty were used
    assert made._prompts_drawn == 64 and made.used_share() == 1 - len(made.pool) / 128 and made.used_share() < 0.4
    trained = max(entry["num_tokens"] for entry in made.state.log_history if "num_tokens" in entry)
    assert first["tokens_per_step"] == (trained + made.used_share() * made.rollout_tokens) / (WARM + TIMED)
    assert 0 < first["seconds_per_step"] < 60


def test_out_of_memory_is_measured_again_with_fewer_rows(start, tmp_path, capsys):
    tried = []

    def trainer(scratch):
        made = make(start, scratch, max_steps=WARM + TIMED, g=0.0)
        loss = made.compute_loss

        def too_large(*args, **kwargs):
            tried.append(made.args.per_device_train_batch_size)
            if tried[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return loss(*args, **kwargs)

        made.compute_loss = too_large
        return made

    speed = measured_speed(trainer, cpu_device("auto"))
    assert speed["steps"] == WARM + TIMED and tried[:2] == [4, 2] and set(tried[1:]) == {2}
    assert "out of memory with 4 rows per device; measured again with 2" in capsys.readouterr().out
    tried.clear()
    with pytest.raises(InputError, match="policy auto, or below 4, may fit"):
        measured_speed(trainer, cpu_device(4))


def test_a_kept_speed_is_read_wherever_it_was_measured(tmp_path):
    def never(scratch):
        raise AssertionError("measured again")

    path = speed_path(tmp_path, SPEC, [])
    write_json({"seconds_per_step": 2.0, "tokens_per_step": 50.0}, path)
    assert kept_speed(tmp_path, SPEC, [], never, cpu_device())["seconds_per_step"] == 2.0
    other = SPEC | {"hyperparameters": SPEC["hyperparameters"] | {"global_batch_size": 8}}
    assert speed_path(tmp_path, other, []) != path
    for wrong in (0, "2", None):
        write_json({"seconds_per_step": wrong, "tokens_per_step": 50.0}, path)
        with pytest.raises(InputError, match="seconds_per_step must be a number above 0"):
            kept_speed(tmp_path, SPEC, [], never, cpu_device())
    assert KEYS == ("seconds_per_step", "tokens_per_step")


def test_a_speed_is_kept_once_with_and_without_links(tmp_path, monkeypatch):
    def no_links(source, target):
        raise PermissionError("no links here")

    for name, link in (("links", os.link), ("none", no_links)):
        monkeypatch.setattr(os, "link", link)
        path = tmp_path / name / "speed.json"
        for seconds in (1.0, 2.0):
            keep_speed(path, {"seconds_per_step": seconds, "tokens_per_step": 5.0})
            assert read_speed(path)["seconds_per_step"] == 1.0 and list(path.parent.iterdir()) == [path]


def test_other_data_or_another_reward_model_of_the_same_name_are_measured_anew(tmp_path):
    reference = pd.DataFrame({"row": [0, 1], "ref_chosen_logps": [1.0, 2.0]})
    (tmp_path / "train.parquet").write_bytes(b"some pairs")
    first = rows_hash(tmp_path / "train.parquet", reference)
    assert rows_hash(tmp_path / "train.parquet", reference.assign(ref_chosen_logps=0.5)) == first
    assert rows_hash(tmp_path / "train.parquet", reference.head(1)) != first
    (tmp_path / "train.parquet").write_bytes(b"other pairs")
    other = rows_hash(tmp_path / "train.parquet", reference)
    made_from = [[first, {"name": "mine", "path": "a"}], [other, {"name": "mine", "path": "a"}], [first, {"path": "b"}]]
    assert len({speed_path(tmp_path, SPEC, parts) for parts in made_from}) == 3


def test_the_rows_of_the_measured_steps_are_spread_over_all():
    rows = sample_rows(pd.DataFrame({"row": range(1000)}), 4)["row"]
    assert len(rows) == 4 * (WARM + TIMED) and rows.is_unique and rows.iloc[[0, -1]].tolist() == [0, 999]
    assert len(sample_rows(pd.DataFrame({"row": range(5)}), 4)) == 5
    assert MEASURED_STEPS == WARM + TIMED  # as the forecast has it


@pytest.mark.parametrize(
    ("budget", "other", "steps"),
    [
        ({"tokens": 1000}, None, 20),
        ({"seconds": 600}, None, 300),
        ({"relative": 1.5}, 100.0, 75),
        ({"seconds": 0.1}, None, 1),
        ({"relative": 1.0}, 189.99999999999997, 95),
    ],
)
def test_a_budget_is_the_nearest_number_of_steps(budget, other, steps):
    assert steps_in_budget(budget, {"seconds_per_step": 2.0, "tokens_per_step": 50.0}, other) == steps


def test_steps_take_the_place_of_what_they_follow_from():
    like = {"run": "dpo", "hyperparameters": {"epochs": 1.0, "max_steps": None, "steps_like": "dpr"}}
    known = with_steps(like | {"extent": {"epochs": 2.5, "global_batch_size": 32}}, 2432, None)
    assert known["hyperparameters"] == {"epochs": 1.0, "max_steps": 190}
    counted = like | {"extent": {"run": "grpo", "hyperparameters": {}}}
    assert with_steps(counted, 9, 40)["hyperparameters"]["max_steps"] == 40
    budget = {"run": "dpo", "hyperparameters": {"max_steps": None, "budget_seconds": 600.0}}
    assert with_steps(budget, 9, 7)["hyperparameters"] == {"max_steps": 7}
    with pytest.raises(InputError, match="give --steps"):
        with_steps(budget, 9, None)
    plain = {"run": "dpo", "hyperparameters": {"epochs": 1.0, "max_steps": 3}}
    assert with_steps(plain, 9, None) is plain
