"""Training of a policy: what every method starts from. The trainer is the method's own, `pipeline.methods`."""

from dataclasses import dataclass, fields
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from pipeline.jobs.io import InputError
from pipeline.jobs.parts import load_part
from pipeline.models.checkpoints import load_policy, load_tokenizer, training_dtype
from pipeline.models.devices import Device
from pipeline.training.running import COMMON, add_lengths, preference_dataset, trainer_arguments

# Hyperparameters that the trainers of methods take under another name.
NAMES = {"variance_baseline": "baseline"}


@dataclass(frozen=True)
class Start:
    """What a method's trainer is made of.

    Attributes:
        spec: {dataset, model: entry, run, method, hyperparameters}.
        model, tokenizer: the policy, where it starts from, and its tokenizer.
        dataset: pairs in the model's format, with the reference's log-probabilities.
        seed: of data order, routing and rollouts.
        device: that it is trained on.
        scratch: folder that the trainer may write to.
        reward_function: for g > 0, see `sail.SAILTrainer`.
    """

    spec: dict
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    dataset: Dataset
    seed: int
    device: Device
    scratch: str
    reward_function: Any = None

    def arguments(self, config: type[TrainingArguments], **more) -> TrainingArguments:
        """The trainer's arguments: those that all have, and each hyperparameter that only this method's takes.

        Args:
            config: class of the arguments.
            more: further arguments.

        Raises:
            InputError: it has no argument for a hyperparameter.
        """
        given = self.spec["hyperparameters"]
        own = {NAMES.get(name, name): value for name, value in given.items() if name not in COMMON}
        if unknown := own.keys() - {field.name for field in fields(config)}:
            where = f"run {self.spec['run']}, method {self.spec['method']}"
            raise InputError(f"{where}: {config.__name__} has no argument {', '.join(sorted(unknown))}")
        arguments = trainer_arguments(given, self.device, "policy", self.scratch, self.seed)
        return config(**arguments, **own, **more)


def policy_trainer(
    spec: dict,
    frame: pd.DataFrame,
    reference: pd.DataFrame,
    model_path: str,
    seed: int,
    device: Device,
    scratch: str,
    reward_function=None,
) -> Trainer:
    """The trainer of a policy spec.

    Args:
        spec: {dataset, model: entry, run, method, hyperparameters}.
        frame: prompt, chosen, rejected of the train split.
        reference: row, ref_chosen_logps, ref_rejected_logps of the SFT model on that split.
        model_path: the SFT model's folder, where the policy starts and which stays its reference.
        seed, device, scratch, reward_function: see `Start`.
    """
    entry = spec["model"]
    tokenizer = load_tokenizer(model_path, entry)
    kwargs = {"dtype": training_dtype(entry, device), "attn_implementation": device.attention}
    model = load_policy(model_path, entry, trainable=True, device=device, **kwargs)
    dataset = preference_dataset(frame, tokenizer, entry, reference)
    start = Start(spec, model, tokenizer, dataset, seed, device, scratch, reward_function)
    trainer = load_part("methods", spec["method"], "trainer").trainer(start)
    trainer.train_dataset = add_lengths(trainer.train_dataset)
    return trainer
