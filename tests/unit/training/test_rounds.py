"""Iterated DPO: what its rounds sample and train on, and that a killed one goes on to the same bytes."""

import copy
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset, disable_progress_bars
from fixtures_training import LORA
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, TrainerCallback
from trl import DPOConfig

from pipeline.config.hyperparameters import OPTIMIZERS
from pipeline.jobs import partial
from pipeline.jobs.io import InputError, read_parquet
from pipeline.models.logps import response_logps
from pipeline.training import rounds
from pipeline.training.rounds import reset, round_prompts, shuffled
from pipeline.training.running import train_and_save
from pipeline.training.speed import TIMED, WARM, measured_speed
from sail import ReferenceColumnsDPOTrainer
from unit.training.rounds_run import DEVICE, lengths, rounds_trainer

pytestmark = pytest.mark.usefixtures("without_cards")
disable_progress_bars()
OFTEN = replace(DEVICE, checkpoint_seconds=0)  # a checkpoint after every step
RESULTS = ("model/model.safetensors", "metrics.parquet")


class Watch(TrainerCallback):
    """Keeps the policy's weights and the learning rate before each step."""

    def __init__(self):
        self.weights, self.rates = [], []

    def on_step_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
        self.weights.append(copy.deepcopy(model.state_dict()))
        self.rates.append(optimizer.param_groups[0]["lr"])


@pytest.fixture(scope="module", params=["start", "previous"])
def trained(request, base, tmp_path_factory):
    """Which reference; the trainer, after its training; what was seen; the table of each round."""
    folder = tmp_path_factory.mktemp("trained")
    trainer, seen = rounds_trainer(base, folder, round_reference=request.param), Watch()
    trainer.args.logging_steps = 1
    trainer.add_callback(seen)
    trainer.train()
    seen.weights.append(trainer.model.state_dict())
    return request.param, trainer, seen, [read_parquet(folder / f"round-{number}.parquet") for number in (1, 2)]


def with_weights(base, weights):
    model = AutoModelForCausalLM.from_pretrained(base)
    model.load_state_dict(weights)
    return model.eval()


def test_each_round_s_pairs_are_the_best_and_the_worst_of_the_policy_s_responses(trained, base):
    which, trainer, seen, tables = trained
    tokenizer, prompts = trainer.processing_class, []
    for table, begin in zip(tables, (0, 2), strict=True):
        assert len(table) == 4  # half of the prompts
        prompts += map(tuple, table["prompt_ids"])
        for name, side in (("best", "chosen"), ("worst", "rejected")):
            texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in table[f"{side}_ids"]]
            assert table[name].tolist() == [float(len(text)) for text in texts]
            policy = with_weights(base, seen.weights[begin if which == "previous" else 0])
            pairs = table[table["best"] > table["worst"]]
            ids = ([list(row) for row in pairs[column]] for column in ("prompt_ids", f"{side}_ids"))
            assert pairs[f"ref_{side}_logps"].tolist() == pytest.approx(response_logps(policy, *ids, 0, 1), rel=1e-4)
        assert (table["best"] >= table["mean"]).all() and (table["mean"] >= table["worst"]).all()
        assert (table["best"] > table["worst"]).any()
    assert len(set(prompts)) == 8  # each in one round
    first = [entry for entry in trainer.state.log_history if "rounds/round" in entry]
    assert [(entry["step"], entry["rounds/round"], entry["rounds/prompts"]) for entry in first] == [
        (1, 1, 4),
        (3, 2, 4),
    ]
    for entry, table in zip(first, tables, strict=True):
        assert entry["rounds/tied"] == (table["best"] == table["worst"]).sum()
        assert entry["rounds/reward_best"] == table["best"].mean() > entry["rounds/reward_worst"]
    # the second round begins away from the start, at its own reference
    losses = [entry["loss"] for entry in first]
    assert losses[0] == pytest.approx(np.log(2), abs=1e-4)
    assert (losses[1] == pytest.approx(np.log(2), abs=1e-4)) == (which == "previous")
    assert trainer.rollout_tokens == sum(table["tokens"].sum() for table in tables) > 0 < trainer.rollout_seconds


def test_a_round_is_a_training_of_its_own_by_dpotrainer(trained, base, tmp_path):
    """Two trainings, one from the other's weights, on the rounds' pairs in their order: the same weights and rates."""
    _, trainer, seen, tables = trained
    for number, table in enumerate(tables):
        pairs = Dataset.from_pandas(table[table["best"] > table["worst"]], preserve_index=False)
        orders = [shuffled(len(pairs), f"1:{number}:{turn}") for turn in range(8)]
        rows = [row for order in orders for row in order][:8]
        args = {key: getattr(trainer.args, key) for key in ("learning_rate", "optim", "lr_scheduler_type", "beta")}
        args |= {"warmup_steps": 1, "max_steps": 2, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}
        plain = ReferenceColumnsDPOTrainer(
            with_weights(base, seen.weights[2 * number]),
            args=DPOConfig(
                *(str(tmp_path),),
                **{"train_sampling_strategy": "sequential", "seed": 1, "max_length": 128, "report_to": "none"},
                **{"precompute_ref_log_probs": True, "use_cpu": True, "bf16": False, "activation_checkpointing": False},
                **args,
            ),
            train_dataset=pairs.select(rows),
            processing_class=trainer.processing_class,
        )
        plain.add_callback(again := Watch())
        plain.train()
        assert seen.rates[2 * number : 2 * number + 2] == again.rates == [0.0, 1e-2]
        for name, weight in plain.model.state_dict().items():
            assert torch.equal(weight, seen.weights[2 * number + 2][name]), name


def test_prompts_whose_responses_tie_are_left_out_and_counted(base, tmp_path, capsys):
    def only_red(prompts, completions, source_prompt, **columns):
        found = lengths(completions)
        return [length * ("red" in str(of)) for length, of in zip(found, source_prompt, strict=True)]

    trainer = rounds_trainer(base, tmp_path, only_red, rounds=1, n=8, max_steps=2)
    trainer.args.logging_steps = 1
    trainer.train()
    assert len(trainer.pairs) == 1 and trainer.state.log_history[0]["rounds/tied"] == 7
    assert "round 1 of 1: 8 prompts, 8 responses to each; 7 left out" in capsys.readouterr().out
    trainer = rounds_trainer(base, tmp_path / "none", lambda completions, **given: [1.0] * len(completions))
    with pytest.raises(InputError, match="round 1: of none of 4 prompts do the best and the worst of 4 responses"):
        trainer.train()


def train(base, folder, device=DEVICE, **given):
    trainer = rounds_trainer(base, folder / "state", **given)
    train_and_save(trainer, trainer.processing_class, folder / "out", device)


class StoppedError(Exception):
    pass


def stopped_at(call, function):
    """The function, which is stopped at its so many-th call, before it does anything."""
    left = [call]

    def limited(*arguments, **options):
        left[0] -= 1
        if not left[0]:
            raise StoppedError
        return function(*arguments, **options)

    return limited


@pytest.mark.parametrize("entry", [{}, LORA], ids=["whole", "lora"])
def test_stopped_between_rounds_and_amid_sampling_it_goes_on_to_the_same_bytes(base, tmp_path, monkeypatch, entry):
    """Stopped as a round begins, amid its sampling, when its pairs are there, and within it."""
    monkeypatch.setattr(rounds, "BLOCK", 8)  # responses to two prompts at a time
    train(base, tmp_path / "whole", entry=entry)
    asked = []

    def reward(prompts, completions, **given):
        asked.append(len(completions))
        return lengths(completions)

    monkeypatch.setattr(partial, "SAVE_SECONDS", 0.0)
    folder, trainer = tmp_path / "cut", rounds.RoundsDPOTrainer
    for name, call in (("_enter", 2), ("_answers", 2), ("_set_reference", 1), ("_tell", 1)):
        with monkeypatch.context() as stopping, pytest.raises(StoppedError):
            stopping.setattr(trainer, name, stopped_at(call, getattr(trainer, name)))
            train(base, folder, reward=reward, entry=entry)
        kept = {path.name for path in (folder / "state").iterdir()}
        # a checkpoint before it, though by the clock none is due
        assert "checkpoint-2" in kept and ("round-2.parquet" in kept) == (name == "_tell")
    with monkeypatch.context() as stopping, pytest.raises(StoppedError):
        stopping.setattr(trainer, "compute_loss", stopped_at(4, trainer.compute_loss))
        train(base, folder, OFTEN, reward=reward, entry=entry)
    train(base, folder, reward=reward, entry=entry)
    assert asked == [8] * 4  # nothing was sampled twice
    names = ("model/adapter_model.safetensors" if entry else RESULTS[0], RESULTS[1])
    for name in names:
        assert (tmp_path / "whole" / "out" / name).read_bytes() == (folder / "out" / name).read_bytes(), name


def test_pairs_that_are_lost_amid_a_round_are_not_made_of_another_policy(base, tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 2:
                raise StoppedError

    trainer = rounds_trainer(base, tmp_path / "state", rounds=1)
    trainer.add_callback(Stop())
    with pytest.raises(StoppedError):
        train_and_save(trainer, trainer.processing_class, tmp_path / "out", OFTEN)
    (tmp_path / "state" / "round-1.parquet").unlink()
    with pytest.raises(InputError, match="the pairs of the round that is gone on with are missing"):
        train(base, tmp_path, rounds=1)


def test_what_is_sampled_and_trained_on_is_counted(base):
    trainers = []

    def make(folder):
        trainers.append(rounds_trainer(base, folder, rounds=3, max_steps=WARM + TIMED))
        return trainers[-1]

    speed = measured_speed(make, DEVICE)
    sampled = trainers[0].rollout_tokens / speed["steps"]
    assert 0 < sampled < speed["tokens_per_step"] and speed["seconds_per_step"] > 0


@pytest.mark.parametrize(("which", "steps"), [("split", 2), ("all", 6)])
def test_epochs_are_passes_over_the_prompts_of_each_round(base, tmp_path, which, steps):
    trainer = rounds_trainer(base, tmp_path, rounds=3, round_prompts=which, max_steps=None)
    assert trainer.args.max_steps == steps and len(trainer.train_dataset) == 4 * steps


def test_rounds_have_their_prompts_and_no_more_than_they_train_on():
    parts = [round_prompts(10, number, 3, "split", 99, 7) for number in range(3)]
    assert sorted(row for part in parts for row in part) == [*range(10)] and {len(part) for part in parts} == {3, 4}
    orders = [round_prompts(10, number, 3, "all", 99, 7) for number in range(3)]
    assert all(sorted(order) == [*range(10)] for order in orders) and orders[0] != orders[1]
    assert round_prompts(10, 1, 3, "split", 2, 7) == parts[1][:2]
    assert round_prompts(10, 1, 3, "split", 99, 8) != parts[1]


OWN = {"adamw_torch": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}
OWN |= {"sgd": torch.optim.SGD, "adafactor": torch.optim.Adafactor}


@pytest.mark.parametrize("name", OWN)
def test_an_optimizer_that_is_reset_steps_like_a_new_one(name):
    assert name in OPTIMIZERS

    def step(weight, optimizer, number):
        weight.grad = torch.arange(6.0).reshape(2, 3) + number
        optimizer.step()

    used = torch.nn.Parameter(torch.ones(2, 3))
    optimizer = OWN[name]([used], lr=0.1)
    for number in range(3):
        step(used, optimizer, number)
    fresh = torch.nn.Parameter(used.detach().clone())
    reset(optimizer)
    other = OWN[name]([fresh], lr=0.1)
    for number in (5, 7):
        step(used, optimizer, number)
        step(fresh, other, number)
        assert torch.equal(used, fresh)


def test_states_in_eight_bits_are_made_anew():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer.state[weight] = {"step": 4, "state1": torch.ones(2), "qmap1": torch.ones(256)}
    reset(optimizer)
    assert not optimizer.state[weight]


@pytest.mark.slow
def test_two_processes_train_on_the_pairs_of_one(base, tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "BLOCK", 8)
    train(base, tmp_path / "one", optimizer="sgd")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--multi_gpu"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", port]
    command += ["-m", "unit.training.rounds_run", base, str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": f"{root / 'scripts'}:{root / 'tests'}", "OMP_NUM_THREADS": "1"}
    environment |= {"ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (tmp_path / name for name in ("one", "two"))
    tables = [read_parquet(folder / "state" / "round-1.parquet").drop(columns="seconds") for folder in (one, two)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4)
    weights = [load_file(folder / "out" / RESULTS[0]) for folder in (one, two)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=2e-4, msg=name)
