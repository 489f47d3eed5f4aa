"""A training in rounds of a tiny model, made in the tests' own process or, by name, in several of accelerate's.

accelerate launch --num_processes 2 … -m unit.training.rounds_run BASE FOLDER
"""

import sys
from dataclasses import replace
from pathlib import Path

from fixtures_models import cpu_device
from fixtures_training import FRAME, TRAINING

from pipeline.config.sweep import method_defaults
from pipeline.training import rounds
from pipeline.training.policy import policy_trainer
from pipeline.training.reference import reference_logps
from pipeline.training.running import train_and_save

DEVICE = replace(cpu_device(2), checkpoint_seconds=1e9)
ROUNDS = {"rounds": 2, "n": 4, "max_new_tokens": 4, "max_steps": 4, "lr_scheduler": "cosine", "warmup_steps": 1}


def by_length(prompts, completions, source_prompt, **columns):
    """Longer is better; the prompts are those of the frame."""
    assert set(map(str, source_prompt)) <= set(FRAME["prompt"])
    return lengths(completions)


def lengths(completions):
    """Characters of each completion, which is one message."""
    return [float(len(text["content"])) for [text] in completions]


def rounds_trainer(base, scratch, reward=by_length, device=DEVICE, entry=None, **given):
    """The trainer of `ROUNDS`, or of other values."""
    values = {key: value for key, value in method_defaults("iterated_dpo").items() if not key.startswith("budget_")}
    values |= {key: value for key, value in TRAINING.items() if key in values} | ROUNDS | given
    spec = {"model": entry or {}, "method": "iterated_dpo", "hyperparameters": values}
    reference = reference_logps({"model": {}, "max_length": 128}, FRAME, str(base), device, f"{scratch}-reference")
    return policy_trainer(spec, FRAME, reference, str(base), 1, device, str(scratch), reward)


if __name__ == "__main__":
    rounds.BLOCK = 8  # responses to two prompts at a time, so that both processes sample
    trainer = rounds_trainer(sys.argv[1], Path(sys.argv[2]) / "state", optimizer="sgd")
    train_and_save(trainer, trainer.processing_class, Path(sys.argv[2]) / "out", DEVICE)
