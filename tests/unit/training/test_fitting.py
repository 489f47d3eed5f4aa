"""How many rows of a training fit: by trial or estimate; kept, and halved where memory runs out after all."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from datasets import disable_progress_bars
from fixtures_models import cpu_device
from safetensors.torch import load_file

from pipeline.jobs.io import InputError, read_json
from pipeline.models.fitting import GIB
from pipeline.training import fitting, running
from pipeline.training.fitting import estimated, first_fit, fit, halve, tried
from pipeline.training.reward import reward_trainer
from pipeline.training.running import run_training
from pipeline.training.sft import sft_trainer

disable_progress_bars()
AUTO = dict.fromkeys(("sft", "policy", "reward", "reference", "generate"), "auto")
DEVICE = replace(cpu_device(), batch_sizes=AUTO)
SFT = {
    **{"learning_rate": 1e-2, "epochs": 1, "max_steps": 3, "warmup_steps": 0, "lr_scheduler": "constant"},
    **{"optimizer": "adamw_torch", "max_length": 48, "global_batch_size": 8, "seed": 0, "responses": "chosen"},
}
REWARD = {key: value for key, value in SFT.items() if key != "responses"}
LORA = {"adapter": "lora", "lora": {"r": 2, "alpha": 4, "dropout": 0.2, "target_modules": "all-linear"}}
FRAME = pd.DataFrame(
    [(f"What is {i}?", f"It is {i}." * (1 + i % 3), "Thank you!") for i in range(24)],
    columns=["prompt", "chosen", "rejected"],
)


@pytest.fixture
def make(base, tmp_path):
    """A function that makes a trainer of a stage."""

    def make(stage="sft", device=DEVICE, folder=tmp_path, **entry):
        if stage == "reward":
            return reward_trainer({"train": REWARD}, FRAME, base, device, str(folder))
        return sft_trainer({"model": {"path": base, **entry}, "sft": SFT}, FRAME, device, str(folder))

    return make


@pytest.mark.parametrize(
    ("most", "most_again", "found", "asked"),
    [
        (8, 8, (8, False), [(8, False)]),
        (3, 8, (2, False), [(8, False), (4, False), (2, False)]),
        (0, 5, (4, True), [*((n, False) for n in (8, 4, 2, 1)), (8, True), (4, True)]),
        (0, 0, (1, True), [(n, again) for again in (False, True) for n in (8, 4, 2, 1)]),
    ],
)
def test_the_largest_that_fits_is_found(most, most_again, found, asked):
    tries = []

    def fits(rows, checkpointing):
        tries.append((rows, checkpointing))
        return rows <= (most_again if checkpointing else most)

    assert first_fit([8, 4, 2, 1], [False, True], fits) == found
    assert tries == asked


def limit(trainer, rows, after=0):
    """Let a model run out of memory above so many sequences, after some batches; gives the batches that it saw."""
    forward, seen = trainer.model.forward, []

    def limited(*args, **kwargs):
        seen.append(tuple(kwargs["input_ids"].shape))
        if len(kwargs["input_ids"]) > rows and len(seen) > after:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **kwargs)

    trainer.model.forward = limited
    return seen


def state_of(trainer):
    weights = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    return weights, torch.get_rng_state(), [p.grad for p in trainer.model.parameters()], trainer.optimizer


@pytest.mark.parametrize(("stage", "sequences", "entry"), [("sft", 1, {}), ("sft", 1, LORA), ("reward", 2, {})])
def test_a_trial_is_at_full_length_and_leaves_no_trace(stage, sequences, entry, make):
    trainer = make(stage, **entry)
    before = state_of(trainer)
    seen = limit(trainer, 4 * sequences)
    fits = tried(trainer, stage)
    assert first_fit([8, 4, 2, 1], [False, True], fits) == (4, False)
    assert fits(4, True) and not fits(8, True)
    assert seen == [(rows * sequences, 48) for rows in (8, 4, 4, 8)]
    weights, random, gradients, optimizer = state_of(trainer)
    assert all(map(torch.equal, weights, before[0])) and torch.equal(random, before[1])
    assert gradients == before[2] == [None] * len(gradients) and optimizer is before[3] is None
    assert not trainer.model.is_gradient_checkpointing


def test_processes_agree_on_what_fits_in_all(make, monkeypatch, tmp_path):
    """The other process, which has less memory, fits two rows."""
    trainer, asked = make(), []
    monkeypatch.setattr(fitting, "tried", lambda *args: lambda rows, again: asked.append(rows) or rows <= 4)
    monkeypatch.setattr(fitting, "gathered", lambda own, kind: own | {1: asked[-1] <= 2})
    device = SimpleNamespace(type="cuda", activation_checkpointing="auto")
    assert fitting._find(trainer, "sft", device, [8, 4, 2, 1]) == {"rows": 2, "checkpointing": False, "halved": 0}
    assert asked == [8, 4, 2]


@pytest.mark.parametrize("stage", ["sft", "reward"])
def test_the_estimate_follows_the_room(stage, make, monkeypatch):
    trainer = make(stage)
    before = state_of(trainer)

    def found(megabytes):
        monkeypatch.setattr(fitting, "room", lambda device: megabytes * 2**20)
        return first_fit([8, 4, 2, 1], [False, True], estimated(trainer, stage, DEVICE))

    rows = [found(megabytes)[0] for megabytes in (1, 2, 3, 4, 8, 1024)]
    assert rows == sorted(rows) and rows[-1] == 8 and len(set(rows)) > 2
    assert found(0) == (1, True)
    assert torch.equal(torch.get_rng_state(), before[1])
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


@pytest.mark.parametrize(("jobs", "rows"), [(1, 8), (4096, 1)])
def test_a_trainer_gets_what_fits_and_the_global_batch_stays(jobs, rows, make, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.models.fitting.total_memory", lambda: 64 * GIB)
    trainer, device = make(), replace(DEVICE, side_by_side=jobs)
    batch = fit(trainer, "sft", device, tmp_path)
    assert (batch["rows"], batch["steps"]) == (rows, 8 // rows)
    assert trainer.args.per_device_train_batch_size == rows and trainer.args.gradient_accumulation_steps == 8 // rows
    assert next(iter(trainer.get_train_dataloader()))["input_ids"].shape[0] == rows
    assert trainer.args.activation_checkpointing == batch["checkpointing"] == (jobs > 1)
    trainer.train()
    assert trainer.state.global_step == 3
    assert fit(make(device=cpu_device()), "sft", cpu_device(), tmp_path) is None


def test_a_training_that_goes_on_keeps_its_batch(make, tmp_path, monkeypatch):
    (tmp_path / "training-rows.json").write_text(json.dumps({"rows": 2, "checkpointing": True, "halved": 1}))
    monkeypatch.setattr(fitting, "_find", lambda *args: 1 / 0)
    assert fit(make(), "sft", DEVICE, tmp_path) == {"rows": 2, "checkpointing": True, "halved": 1, "steps": 4}


def test_halving_ends_with_one_row_computed_again(tmp_path):
    assert halve(tmp_path, 6) is None
    file = tmp_path / "training-rows.json"
    file.write_text(json.dumps({"rows": 6, "checkpointing": False, "halved": 0}))
    found = []
    while choice := halve(tmp_path, json.loads(file.read_text())["rows"]):
        found.append((choice["rows"], choice["checkpointing"], choice["halved"]))
    assert found == [(3, False, 1), (1, False, 2), (1, True, 3)]
    file.write_text(json.dumps({"rows": 2, "checkpointing": False, "halved": 1}))
    assert halve(tmp_path, 4)["rows"] == 2  # another process halved it


class FakeRecord:
    """What `run_training` asks of a record."""

    key, device, seconds = "key", DEVICE, None

    def write(self, seconds):
        self.seconds = seconds


@pytest.mark.parametrize("after", [0, 1])
def test_memory_that_runs_out_later_halves_the_batch_and_training_goes_on(after, make, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fitting, "_find", lambda *args: {"rows": 8, "checkpointing": False, "halved": 0})
    monkeypatch.setattr(running, "track", lambda *args: None)
    record, made = FakeRecord(), []
    record.device = replace(DEVICE, checkpoint_seconds=0)  # a checkpoint after every step
    run_training("sft", lambda folder: make(folder=folder), record, tmp_path / "whole", ())
    weights = load_file(tmp_path / "whole" / "model" / "model.safetensors")

    def limited(folder):
        made.append(make(folder=folder))
        limit(made[-1], 4, after)
        return made[-1]

    run_training("sft", limited, record, tmp_path / "out", ())
    cost = read_json(tmp_path / "out" / "cost.json")
    assert cost["batch"] == {"rows": 4, "checkpointing": False, "halved": 1, "steps": 2} and cost["steps"] == 3
    assert len(made) == 2 and record.seconds > 0
    said = capsys.readouterr().out
    assert "out of memory with 8 rows per device; goes on from the last checkpoint with 4" in said
    assert ("continues after step 1" in said) == (after == 1)
    for name, value in load_file(tmp_path / "out" / "model" / "model.safetensors").items():
        assert torch.allclose(value, weights[name], atol=1e-5), name


def test_memory_that_does_not_suffice_for_one_row_is_an_error(make, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "_find", lambda *args: {"rows": 1, "checkpointing": True, "halved": 0})
    monkeypatch.setattr(running, "track", lambda *args: None)

    def limited(folder):
        trainer = make(folder=folder)
        limit(trainer, 0)
        return trainer

    with pytest.raises(InputError, match=r"out of memory with 1 rows per device; .*\.sft is one already"):
        run_training("sft", limited, FakeRecord(), tmp_path / "out", ())
    assert not (tmp_path / "out").exists()


def test_a_number_that_is_too_large_says_what_would_be_right(make, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "track", lambda *args: None)
    record, device = FakeRecord(), cpu_device(4)
    record.device = device

    def limited(folder):
        trainer = make(device=device, folder=folder)
        limit(trainer, 2)
        return trainer

    message = r"out of memory with 4 rows per device; per_device_batch_size\.sft auto, or below 4, may fit"
    with pytest.raises(InputError, match=message):
        run_training("sft", limited, record, tmp_path / "out", ())
