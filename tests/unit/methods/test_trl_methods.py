"""What the methods of TRL are trained on: rows, tokens, batches that are found, labels of the reward model."""

import copy
import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from datasets import Dataset, disable_progress_bars
from fixtures_models import cpu_device
from fixtures_training import COLOURS, FRAME, TRAINING

from pipeline.config.schemas.devices import AUTO
from pipeline.config.sweep import DESCRIPTIONS, method_defaults
from pipeline.models.logps import response_logps
from pipeline.results import measurements
from pipeline.training.fitting import fit
from pipeline.training.policy import policy_trainer
from pipeline.training.speed import TIMED, WARM, measured_speed
from sail.objective import pair_loss, preference_margin

disable_progress_bars()
DEVICE = replace(cpu_device(2), checkpoint_seconds=1e9)
OWN = {
    "kto": {"undesirable_weight": 3.0},
    "orpo": {},
    "cpo": {"loss_type": "simpo"},
    "online_dpo": {"max_new_tokens": 4},
    "grpo": {"num_generations": 4, "max_completion_length": 4},
    "rloo": {"max_completion_length": 4, "generation_batch_size": 8},
}


@pytest.fixture
def made(base, reference, tmp_path):
    """A function that makes a method's trainer."""

    def made(method, device=DEVICE, scratch=None, **given):
        keys = DESCRIPTIONS[method].HYPERPARAMETERS
        values = method_defaults(method) | {key: value for key, value in TRAINING.items() if key in keys}
        values = {key: value for key, value in values.items() if not key.startswith("budget_")}
        spec = {"model": {}, "method": method, "hyperparameters": values | OWN[method] | given}
        reward = None
        if getattr(DESCRIPTIONS[method], "REWARDED", False):

            def reward(prompts, completions, source_prompt, **columns):
                assert {str(prompt) for prompt in source_prompt} <= {f"What is {word}?" for word in COLOURS}
                return [float(len(text)) for text in completions]

        return policy_trainer(spec, FRAME, reference, base, 1, device, scratch or str(tmp_path / "out"), reward)

    return made


def test_kto_has_the_responses_of_pairs_with_what_the_reference_gives_them(made, reference):
    trainer = made("kto")
    rows = trainer.train_dataset
    assert isinstance(rows, Dataset) and len(rows) == 2 * len(FRAME) and sum(rows["label"]) == len(FRAME)
    known = sorted([*reference["ref_chosen_logps"], *reference["ref_rejected_logps"]])
    assert sorted(rows["ref_logps"]) == pytest.approx(known)
    of_chosen = [logps for logps, label in zip(rows["ref_logps"], rows["label"], strict=True) if label]
    assert sorted(of_chosen) == pytest.approx(sorted(reference["ref_chosen_logps"]))
    responses, others = rows["completion_ids"][:], rows["KL_completion_ids"][:]
    assert others[:8] == [responses[7], *responses[:7]] and others[8:] == [responses[15], *responses[8:15]]
    again = response_logps(trainer.model.eval(), rows["prompt_ids"][:], others, 0, 1)
    assert rows["ref_KL_logps"][:] == pytest.approx(again, rel=1e-4)
    assert made("kto").train_dataset["ref_logps"][:] == rows["ref_logps"][:]
    assert "KL_completion_ids" not in made("kto", loss_type="apo_zero_unpaired").train_dataset.column_names


def test_kto_starts_at_the_loss_of_a_policy_that_is_its_reference(made):
    trainer = made("kto", max_steps=1, learning_rate=1e-6)
    trainer.args.logging_steps = 1
    trainer.train()
    first = trainer.state.log_history[0]
    # σ(0) for each response; a step has four pairs, in the order that was drawn
    labels = trainer.train_dataset["label"][:8]
    assert first["loss"] == pytest.approx(sum(0.5 if label else 1.5 for label in labels) / 8, rel=1e-3)
    assert first["kl"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("method", OWN)
def test_tokens_of_a_step_are_counted(made, method, base):
    trainers = []

    def make(folder):
        trainers.append(made(method, scratch=folder, max_steps=WARM + TIMED))
        return trainers[-1]

    speed = measured_speed(make, DEVICE)
    assert speed["steps"] == WARM + TIMED and speed["seconds_per_step"] > 0
    [trainer] = trainers
    sampled = getattr(trainer, "rollout_tokens", 0) / speed["steps"]
    assert bool(sampled) == getattr(DESCRIPTIONS[method], "REWARDED", False)
    if method in ("orpo", "cpo"):
        rows = trainer.train_dataset
        both = sum(len(ids) for side in ("chosen", "rejected") for ids in rows[f"{side}_input_ids"])
        assert speed["tokens_per_step"] == both / 2  # a step has half of the pairs
    elif sampled:
        assert speed["tokens_per_step"] > 2 * sampled  # sampled, and trained on with their prompts


@pytest.mark.parametrize("method", ["kto", "orpo", "online_dpo", "rloo"])
def test_the_batch_is_found_where_the_device_leaves_it(made, method, tmp_path):
    device = replace(DEVICE, batch_sizes=DEVICE.batch_sizes | {"policy": AUTO})
    trainer = made(method, device, max_steps=2)
    choice = fit(trainer, "policy", device, tmp_path)
    assert choice["rows"] == (8 if method == "kto" else 4)
    if method == "rloo":
        assert trainer.args.steps_per_generation == 2 and trainer.args.generation_batch_size == 8
    trainer.train()
    assert trainer.state.global_step == 2


def test_online_dpo_has_the_loss_of_dpr_s_rows_without_its_extra_gradient(made):
    """Its loss of pairs that it sampled and the reward model labelled, after a step, is ℓ of DPR with γ = 0."""
    trainer = made("online_dpo", max_steps=2)
    start, seen = copy.deepcopy(trainer.model).eval(), []
    sample, step = trainer._generate, trainer.training_step

    def sampled(*args):
        seen.append(sample(*args))
        return seen[-1]

    def compared(model, inputs, count=None):
        loss = step(model, inputs, count).item() * trainer.args.gradient_accumulation_steps
        ids, mask, responses, ended, _ = seen[-1]
        prompts = [row[keep.bool()].tolist() for row, keep in zip(ids, mask, strict=True)]
        answers = [row[keep.bool()].tolist() for row, keep in zip(responses, ended, strict=True)]
        policy, reference = (torch.tensor(response_logps(m, prompts, answers, 0, 1)) for m in (model, start))
        texts = trainer.processing_class.batch_decode(responses, skip_special_tokens=True)
        lengths = torch.tensor([len(text) for text in texts])  # its rewards
        wins = lengths[:2] >= lengths[2:]
        chosen, rejected = torch.where(wins, 0, 2) + torch.arange(2), torch.where(wins, 2, 0) + torch.arange(2)
        margin = preference_margin(policy[chosen], policy[rejected], reference[chosen], reference[rejected], 0.1)
        assert loss == pytest.approx(pair_loss(margin).mean().item(), rel=1e-4)
        losses.append(loss)
        return torch.tensor(loss / trainer.args.gradient_accumulation_steps)

    losses = []
    trainer._generate, trainer.training_step = sampled, compared
    trainer.train()
    assert len(losses) == 4 and losses[0] == pytest.approx(math.log(2)) != pytest.approx(losses[-1], abs=1e-4)


def test_a_policy_that_is_no_reward_model_has_no_implicit_reward(monkeypatch):
    columns = ("chosen", "ref_chosen", "rejected", "ref_rejected", "response", "ref_response")
    frame = pd.DataFrame({f"{name}_logps": [-1.0 - i, -2.0] for i, name in enumerate(columns)})
    monkeypatch.setattr(measurements, "read_responses", lambda run, seed: pd.DataFrame({"response": ["a"]}))
    monkeypatch.setattr(measurements, "read_evaluation", lambda run, seed: frame)

    class Run:
        files, hyperparameters = {1: {"evaluation": "it"}}, {"beta": 0.1}

    found = {}
    for Run.method in ("dpo", "kto", "orpo", "cpo", "online_dpo", "grpo", "rloo"):
        found[Run.method] = set(measurements.policy_measurements(Run(), [1]))
    having = {method for method, keys in found.items() if {"reward_margin", "reward_accuracy"} <= keys}
    assert having == {"dpo", "kto", "online_dpo"} and all("kl" in keys for keys in found.values())
