"""Training of a policy: what every method starts from. The trainer is the method's own, `pipeline.methods`."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from pipeline.jobs.parts import load_part
from pipeline.models.checkpoints import load_policy, load_tokenizer, training_dtype
from pipeline.models.devices import Device
from pipeline.training.running import add_lengths, preference_dataset, trainer_arguments


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
        """The arguments of a method's trainer, every one of its hyperparameters among them.

        Args:
            config: class of the arguments.
            more: further arguments.
        """
        hyperparameters = self.spec["hyperparameters"]
        return config(**trainer_arguments(hyperparameters, self.device, "policy", self.scratch, self.seed), **more)


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
