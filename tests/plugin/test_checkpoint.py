"""A killed run goes on from its last whole checkpoint to the same weights."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from plugin import resumable
from plugin.tiny import weights
from sail.checkpoint import last_whole_checkpoint, load_state, save_state, state_path
from sail.rollouts import RolloutPair, RolloutPool

pytestmark = pytest.mark.usefixtures("without_cards")

METHODS = {
    "ddp": {"r": 0.5, "rho": 0.7},
    "dpp": {"p": 0.5, "pi": 0.7},
    "dpr": {"g": 0.5, "gamma": 0.3},
    "mix upstream": {"r": 0.2, "p": 0.3, "g": 0.3, "estimator": "upstream"},
    "mix": {"r": 0.2, "p": 0.3, "g": 0.3, "revkl": 0.1, "baseline": "leave-one-out"},
    "two epochs": {"g": 0.5, "max_steps": -1, "num_train_epochs": 1.0, "save_steps": 3},
    "at an epoch's end": {"r": 0.2, "g": 0.3, "max_steps": -1, "num_train_epochs": 1.0, "save_steps": 4},
    "grouped by length": {"g": 0.5, "max_steps": 11, "train_sampling_strategy": "group_by_length"},
    "accumulated": {"g": 0.5, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "gamma": 0.5},
    "labels drawn": {"r": 0.3, "p": 0.3, "rho": 0.0, "pi": 0.0, "loss_type": "hinge", "rollout_reuse": 2},
}


class StoppedError(Exception):
    pass


class StopBefore(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise StoppedError


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_run_goes_on_to_the_same_weights(method, checkpoint, tokenizer, tmp_path):
    changes = METHODS[method]
    whole = resumable.trainer(checkpoint, tokenizer, tmp_path / "whole", **changes | {"save_strategy": "no"})
    whole.train()
    steps = whole.state.global_step
    assert steps >= 6
    for stop in (changes.get("save_steps", 1), steps - 1):
        folder = tmp_path / f"stopped{stop}"
        stopped = resumable.trainer(checkpoint, tokenizer, folder, **changes)
        stopped.add_callback(StopBefore(stop))
        with pytest.raises(StoppedError):
            stopped.train()
        resumed = resumable.trainer(checkpoint, tokenizer, folder, **changes)
        resumed.train(resume_from_checkpoint=True)
        assert_equal(weights(resumed), weights(whole))
        assert resumed._routing.get_state().equal(whole._routing.get_state())
        assert resumed._labels.get_state().equal(whole._labels.get_state())
        assert resumed._baseline.state_dict() == whole._baseline.state_dict()
        if resumed._samples:
            assert resumed.pool.state_dict() == whole.pool.state_dict()
            assert resumed._prompts_drawn == whole._prompts_drawn


@pytest.fixture(scope="module")
def whole_dpr(checkpoint, tokenizer, tmp_path_factory):
    """A run of DPR that was not stopped: its folder, with a checkpoint of every step, and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = resumable.trainer(checkpoint, tokenizer, folder, **METHODS["dpr"])
    trainer.train()
    return folder, weights(trainer)


def test_the_pool_of_the_resumed_run_was_not_empty(whole_dpr):
    """So that the test above would fail if the pool were not in the checkpoint."""
    sizes = {path.name: len(load_state(path, 0)["pool"]) for path in whole_dpr[0].glob("checkpoint-*")}
    assert sum(size > 0 for size in sizes.values()) >= 3, sizes


def test_without_its_pool_a_run_would_end_elsewhere(whole_dpr, checkpoint, tokenizer, tmp_path):
    whole = shutil.copytree(whole_dpr[0], tmp_path / "whole")
    early = [whole / f"checkpoint-{step}" for step in range(1, 5)]
    folder = max(early, key=lambda path: len(load_state(path, 0)["pool"]))
    state = load_state(folder, 0)
    assert state["pool"]
    save_state(state | {"pool": []}, folder, 0)
    resumed = resumable.trainer(checkpoint, tokenizer, tmp_path / "other", **METHODS["dpr"])
    resumed.train(resume_from_checkpoint=str(folder))
    both = zip(whole_dpr[1].values(), weights(resumed).values(), strict=True)
    assert any(not torch.equal(one, other) for one, other in both)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_weights(checkpoint, tokenizer, tmp_path, seed):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}

    def start(folder, kill_before):
        command = [sys.executable, "-m", "plugin.resumable", str(checkpoint), str(folder), str(kill_before), str(seed)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    done = start(tmp_path / "whole", -1)
    assert done.returncode == 0, done.stderr
    kills = [2, 3, 5]
    for kill in kills:
        assert start(tmp_path / "killed", kill).returncode == -signal.SIGKILL
    done = start(tmp_path / "killed", -1)
    assert done.returncode == 0, done.stderr
    one, other = ((tmp_path / name / "final.safetensors").read_bytes() for name in ("whole", "killed"))
    assert one == other


def test_an_unfinished_checkpoint_is_passed_over(whole_dpr, checkpoint, tokenizer, tmp_path):
    shutil.copytree(whole_dpr[0], tmp_path, dirs_exist_ok=True)
    changes = METHODS["dpr"]
    state_path(tmp_path / "checkpoint-6", 0).unlink()
    assert last_whole_checkpoint(tmp_path, 1) == str(tmp_path / "checkpoint-5")
    assert last_whole_checkpoint(tmp_path, 2) is None
    resumed = resumable.trainer(checkpoint, tokenizer, tmp_path, **changes)
    with pytest.raises(ValueError, match=r"checkpoint-6 has no sail_state_0.pth"):
        resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    resumed = resumable.trainer(checkpoint, tokenizer, tmp_path, **changes)
    resumed.train(resume_from_checkpoint=True)
    assert_equal(weights(resumed), whole_dpr[1])


def test_the_last_whole_checkpoint_stays_until_the_next_is_whole(checkpoint, tokenizer, tmp_path, monkeypatch):
    trainer = resumable.trainer(checkpoint, tokenizer, tmp_path, r=0.5, save_total_limit=1)
    there = []

    def saving(*args):
        there.append(last_whole_checkpoint(tmp_path, 1))
        save_state(*args)

    monkeypatch.setattr("sail.checkpoint.save_state", saving)
    trainer.train()
    assert there == [None, *(str(tmp_path / f"checkpoint-{step}") for step in range(1, 6))]
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-6"]
    assert trainer.args.save_total_limit == 1


def test_without_a_whole_checkpoint_there_is_nothing_to_go_on_from(checkpoint, tokenizer, tmp_path):
    trainer = resumable.trainer(checkpoint, tokenizer, tmp_path, g=0.5)
    with pytest.raises(ValueError, match="no whole checkpoint"):
        trainer.train(resume_from_checkpoint=True)


def test_a_state_is_written_whole_or_not_at_all(tmp_path):
    save_state({"numbers": [1, 2.5, None], "tensor": torch.arange(3)}, tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["sail_state_1.pth"]
    with pytest.raises(AttributeError):
        save_state({"cannot be written": lambda: None}, tmp_path, 1)
    assert load_state(tmp_path, 1)["numbers"] == [1, 2.5, None]


def test_checkpoints_are_counted_by_step_not_by_name(tmp_path):
    for step in (9, 10, 100):
        save_state({}, tmp_path / f"checkpoint-{step}", 0)
    (tmp_path / "checkpoint-200").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    assert Path(last_whole_checkpoint(tmp_path, 1)).name == "checkpoint-100"
    assert last_whole_checkpoint(tmp_path / "none", 1) is None


def test_a_pool_comes_back_as_it_was():
    pair = RolloutPair([1, 2], ([3, 4], [5]), 7, (-1.5, -2.5), rewards=(0.5, 0.25), preferred=1)
    pool, other = RolloutPool(3), RolloutPool(3)
    pool.extend([pair, dataclasses.replace(pair, step=8, rewards=None, preferred=None)])
    other.load_state_dict(pool.state_dict())
    assert list(other.pairs) == list(pool.pairs) and other.pairs[0] == pair
