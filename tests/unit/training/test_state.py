"""A training, a generation and a reference that are stopped go on to the same bytes."""

import sys
import time
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from datasets import disable_progress_bars
from fixtures_models import cpu_device
from fixtures_training import candidates
from transformers import TrainerCallback
from trl import DPOTrainer

from pipeline.backends.transformers import generate as backend
from pipeline.columns.cost import COST_TOKENS
from pipeline.config.sweep import DESCRIPTIONS
from pipeline.generation.responses import generate_responses
from pipeline.jobs import partial
from pipeline.jobs.io import read_json, read_parquet
from pipeline.models.checkpoints import load_policy, load_tokenizer
from pipeline.rewards.saving import save_reward_model
from pipeline.training.kept import kept_steps
from pipeline.training.policy import policy_trainer
from pipeline.training.policy_inputs import Candidates
from pipeline.training.reference import reference_logps
from pipeline.training.reward import reward_trainer
from pipeline.training.running import train_and_save
from pipeline.training.sft import sft_trainer

pytestmark = pytest.mark.usefixtures("without_cards")
disable_progress_bars()
STEPS = 13  # more than one line of the log, of more than one epoch
TRAINING = {
    **{"learning_rate": 1e-2, "epochs": 1, "max_steps": STEPS, "warmup_steps": 2, "lr_scheduler": "cosine"},
    **{"optimizer": "adamw_torch", "weight_decay": 0.1, "max_length": 128, "global_batch_size": 4, "seed": 0},
}
POLICY = {**TRAINING, "beta": 0.1, "label_smoothing": 0.0, "loss_type": "sigmoid", "optimizer": "rmsprop"}
OWN = {
    "dpr": {"g": 0.5, "gamma": 0.3, "rollout_max_new_tokens": 4, "rollout_prompts": 4},
    "kto": {"loss_type": "kto", "undesirable_weight": 1.5},
    "cpo": {"loss_type": "simpo", "cpo_alpha": 0.5, "simpo_gamma": 0.25},
}
GROUPS = {"global_batch_size": 4, "num_generations": 2, "max_completion_length": 4, "temperature": 1.0}
GROUPS |= {"generation_batch_size": 12, "num_iterations": 2}  # of six steps, so that stops are amid them
OWN |= {
    "online_dpo": {"max_new_tokens": 4, "temperature": 0.9},
    "grpo": GROUPS | {"loss_type": "dapo", "beta": 0.04},
    "rloo": GROUPS | {"normalize_advantages": True},
}
ROUNDS = {"rounds": 3, "n": 3, "round_prompts": "split", "round_reference": "start"}  # beginning at 0, 4 and 8
OWN |= {"iterated_dpo": ROUNDS | {"max_new_tokens": 4, "temperature": 1.0, "top_p": 1.0}}
REWARDED = ("dpr", "online_dpo", "grpo", "rloo", "iterated_dpo")
LORA = {"adapter": "lora", "lora": {"r": 2, "alpha": 4, "dropout": 0.2, "target_modules": "all-linear"}}
GROUPED = {"group_by_length": True}
PREVIOUS = {"round_reference": "previous", "round_prompts": "all", "optimizer": "adamw_torch"}
WORDS = ("red", "blue", "yellow", "old", "small", "sour", "big", "the cat", "a very old and yellow tree")
FRAME = pd.DataFrame(
    [(f"What is {w}?", f"It is {w}." * (1 + i % 3), f"Thank you for {i}!") for i, w in enumerate(WORDS)],
    columns=["prompt", "chosen", "rejected"],
).assign(prompt_id=[f"id{i}" for i in range(len(WORDS))])
DEVICE = replace(cpu_device(2), checkpoint_seconds=0)  # a checkpoint after every step
NO_CHECKPOINT = replace(DEVICE, checkpoint_seconds=1e6)


class StoppedError(Exception):
    pass


class StopBefore(TrainerCallback):
    """Stops before a step, and notes which steps begin."""

    def __init__(self, step, begun):
        self.step, self.begun = step, begun

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise StoppedError
        self.begun.append(state.global_step)


@pytest.fixture(scope="module")
def ref_logps(base, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("reference")
    return reference_logps({"model": {}, "max_length": 128}, FRAME, base, DEVICE, str(scratch))


def length_reward(prompts, completions, **columns):
    return [float(len(str(text))) for text in completions]


def trainer_of(kind, base, ref_logps, scratch):
    method, _, variant = kind.partition(" ")
    entry = {"path": base} | (LORA if variant == "lora" else {})
    more = {"grouped": GROUPED, "start": {"rollout_policy": "start"}, "previous": PREVIOUS}.get(variant, {})
    if method == "sft":
        spec = {"model": entry, "sft": TRAINING | {"responses": "both"} | more}
        return sft_trainer(spec, FRAME, DEVICE, scratch)
    if method == "reward":
        spec = {"train": TRAINING | more | (LORA if variant == "lora" else {}), "base": {"path": base}}
        return reward_trainer(spec, FRAME, base, DEVICE, scratch)
    entry = LORA if variant == "lora" else {}
    spec = {"model": entry, "method": method, "hyperparameters": POLICY | OWN.get(method, {}) | more}
    for key in POLICY.keys() - DESCRIPTIONS[method].HYPERPARAMETERS.keys() - {"seed"}:
        del spec["hyperparameters"][key]
    reward = length_reward if method in REWARDED else None
    several = Candidates(candidates(FRAME, load_tokenizer(base)), 5.0) if method == "rft" else None
    given = spec, FRAME, ref_logps, base, 3, DEVICE, scratch
    return policy_trainer(*given, reward_function=reward, candidates=several)


def train(kind, base, ref_logps, folder, stop=None, device=None, kept=0) -> list[int]:
    """Train into a folder, from where an earlier attempt got to; the steps that were begun."""
    begun = []
    trainer = trainer_of(kind, base, ref_logps, str(folder / "state"))
    trainer.add_callback(StopBefore(stop, begun))
    save = {"save": save_reward_model} if kind.startswith("reward") else {}
    try:
        train_and_save(trainer, trainer.processing_class, folder / "out", device or DEVICE, kept=kept, **save)
        assert stop is None
    except StoppedError:
        pass
    return begun


KINDS = (
    "sft",
    "sft lora",
    "sft grouped",
    "reward",
    "reward lora",
    "reward grouped",
    "dpo",
    "dpo grouped",
    "dpr",
    "dpr grouped",
    "dpr start",
    "kto lora",
    pytest.param("orpo grouped", marks=pytest.mark.slow),
    "cpo lora",
    "online_dpo",
    "grpo lora",
    "rft lora",
    pytest.param("rloo", marks=pytest.mark.slow),
    "iterated_dpo lora",
    pytest.param("iterated_dpo previous", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_training_goes_on_to_the_same_bytes(kind, base, ref_logps, tmp_path, capsys):
    assert train(kind, base, ref_logps, tmp_path / "whole", device=NO_CHECKPOINT) == list(range(STEPS))
    capsys.readouterr()
    begun = [train(kind, base, ref_logps, tmp_path / "cut", stop) for stop in (1, 6, 12, None)]
    assert begun == [[0], [1, 2, 3, 4, 5], list(range(6, 12)), [12]], "steps were lost or done again"
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("continues")] == [
        f"continues after step {step}" for step in (1, 6, 12)
    ]
    whole, cut = tmp_path / "whole" / "out", tmp_path / "cut" / "out"
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert names == {path.relative_to(cut) for path in cut.rglob("*") if path.is_file()}
    assert any(name.suffix == ".safetensors" for name in names)
    for name in names:
        if name.name != "cost.json":
            assert (whole / name).read_bytes() == (cut / name).read_bytes(), name
    counted = [[read_json(folder / "cost.json").get(key) for key in ("steps", *COST_TOKENS)] for folder in (whole, cut)]
    assert counted[0] == counted[1] and counted[0][0] == STEPS and counted[0][1] > 0
    assert read_parquet(cut / "metrics.parquet").query("metric == 'loss'")["step"].tolist() == [10, STEPS]


@pytest.mark.parametrize("kind", ["dpo", "dpr"])
def test_kept_checkpoints_survive_a_stop_and_change_nothing(kind, base, ref_logps, tmp_path):
    for name, kept in (("plain", 0), ("whole", 3)):
        train(kind, base, ref_logps, tmp_path / name, device=NO_CHECKPOINT, kept=kept)
    for stop in (5, 9, None):  # the first kept one is before a stop, the second after one
        train(kind, base, ref_logps, tmp_path / "cut", stop, kept=3)
    plain, whole, cut = (tmp_path / name / "out" for name in ("plain", "whole", "cut"))
    for name in ("model/model.safetensors", "metrics.parquet", "manifest.json"):
        assert (plain / name).read_bytes() == (whole / name).read_bytes() == (cut / name).read_bytes()
    assert not list(plain.glob("checkpoints*"))
    steps = read_json(cut / "checkpoints3.json")
    assert steps == read_json(whole / "checkpoints3.json") and steps["steps"] == [4, 9, STEPS]
    files = [cut / "checkpoints3" / f"step-{step}" / "model.safetensors" for step in (4, 9)]
    weights = [path.read_bytes() for path in [*files, cut / "model" / "model.safetensors"]]
    assert len(set(weights)) == 3 and {path.name for path in (cut / "checkpoints3").iterdir()} == {"step-4", "step-9"}


@pytest.mark.parametrize(("count", "last", "steps"), [(1, 7, [7]), (4, 100, [25, 50, 75, 100]), (5, 3, [1, 2, 3])])
def test_kept_steps_divide_the_training(count, last, steps):
    assert kept_steps(count, last) == steps


def test_the_time_of_all_attempts_is_counted(base, ref_logps, tmp_path):
    train("dpo", base, ref_logps, tmp_path, stop=12)
    state = max((tmp_path / "state").glob("checkpoint-*/sail_state_0.pth"), key=lambda path: path.stat().st_mtime)
    before = torch.load(state, weights_only=True)["seconds"]
    train("dpo", base, ref_logps, tmp_path)
    assert read_json(tmp_path / "out" / "cost.json")["seconds"] > before > 0


def test_of_two_checkpoints_the_half_written_one_is_passed_over(base, ref_logps, tmp_path):
    train("dpo", base, ref_logps, tmp_path / "whole")
    train("dpo", base, ref_logps, tmp_path / "cut", stop=7)
    folders = sorted(path.name for path in (tmp_path / "cut" / "state").glob("checkpoint-*"))
    assert folders == ["checkpoint-7"]  # an error leaves the last alone, so that a full disk has room
    half = tmp_path / "cut" / "state" / "checkpoint-9"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert train("dpo", base, ref_logps, tmp_path / "cut") == list(range(7, STEPS))
    one, other = (tmp_path / name / "out" / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert one.read_bytes() == other.read_bytes()


def test_two_checkpoints_are_kept_while_a_training_runs(base, ref_logps, tmp_path):
    seen = []

    class Look(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            seen.append(sorted(path.name for path in (tmp_path / "state").glob("checkpoint-*")))

    trainer = trainer_of("dpo", base, ref_logps, str(tmp_path / "state"))
    trainer.add_callback(Look())
    train_and_save(trainer, trainer.processing_class, tmp_path / "out", DEVICE)
    assert seen[:3] == [[], ["checkpoint-1"], ["checkpoint-1", "checkpoint-2"]]
    assert max(map(len, seen)) == 2


@pytest.mark.parametrize(("seconds", "saved"), [(0, []), (300, [4, 8, 12])])
def test_checkpoints_are_written_by_the_clock(base, ref_logps, tmp_path, monkeypatch, capsys, seconds, saved):
    """A clock of the test's own, which so many seconds pass on between two looks: at the start, a step, a save."""
    clock = SimpleNamespace(monotonic=count(0, seconds).__next__, perf_counter=time.perf_counter)
    monkeypatch.setattr("pipeline.training.state.time", clock)
    monkeypatch.setattr(sys.modules[__name__], "DEVICE", replace(DEVICE, checkpoint_seconds=1000))
    train("dpo", base, ref_logps, tmp_path, stop=12)
    told = [line for line in capsys.readouterr().out.splitlines() if line.endswith("checkpoint")]
    assert told == [f"step {step}/{STEPS}  checkpoint" for step in saved]
    assert [path.name for path in (tmp_path / "state").glob("checkpoint-*")] == [f"checkpoint-{s}" for s in saved[-1:]]


def after(calls, function):
    """The function, which is stopped after so many calls."""
    left = [calls]

    def limited(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise StoppedError
        return function(*arguments, **options)

    return limited


def test_a_stopped_reference_goes_on_to_the_same_numbers(base, tmp_path, monkeypatch):
    def compute(folder):
        return reference_logps({"model": {}, "max_length": 128}, FRAME, base, DEVICE, str(folder))

    whole = compute(tmp_path / "whole")
    monkeypatch.setattr(partial, "SAVE_SECONDS", 0.0)
    original = DPOTrainer.compute_ref_log_probs
    for calls in (2, 1):
        monkeypatch.setattr(DPOTrainer, "compute_ref_log_probs", after(calls, original))
        with pytest.raises(StoppedError):
            compute(tmp_path / "cut")
    # 9 pairs in batches of 2, of which 3 are done
    monkeypatch.setattr(DPOTrainer, "compute_ref_log_probs", after(2, original))
    pd.testing.assert_frame_equal(compute(tmp_path / "cut"), whole, check_exact=True)


@pytest.mark.parametrize("do_sample", [True, False])
def test_a_stopped_generation_goes_on_to_the_same_responses(base, tmp_path, monkeypatch, do_sample):
    model, tokenizer = load_policy(base).eval(), load_tokenizer(base)
    spec = {"do_sample": do_sample, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 6}

    def generate(folder=None):
        return generate_responses(spec, {}, FRAME, model, tokenizer, 5, DEVICE, kept=folder)

    whole = generate()
    monkeypatch.setattr(partial, "SAVE_SECONDS", 0.0)
    original = backend.sample_responses
    for calls in (2, 1):
        monkeypatch.setattr(backend, "sample_responses", after(calls, original))
        with pytest.raises(StoppedError):
            generate(tmp_path)
    monkeypatch.setattr(backend, "sample_responses", after(2, original))
    torch.manual_seed(99)  # what else is drawn in between changes nothing
    pd.testing.assert_frame_equal(generate(tmp_path), whole, check_exact=True)
