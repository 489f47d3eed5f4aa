"""Training of a policy: what every method starts from. The trainer is the method's own, `pipeline.methods`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from datasets import Dataset
from peft import PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed

from pipeline.jobs.io import InputError
from pipeline.jobs.parts import load_part
from pipeline.models.checkpoints import load_policy, load_tokenizer, peft_config, training_dtype
from pipeline.models.devices import Device
from pipeline.models.kernels import use_hub_kernels
from pipeline.models.manners import end_token_ids
from pipeline.models.template_check import check_template
from pipeline.models.templates import Text, answer_of
from pipeline.training.policy_inputs import Candidates
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
        unlabelled: pairs without a preference for r > 0, in the form of dataset; None where the dataset has none.
        candidates: responses of the model that it starts from to the train prompts, for a method that needs them.
    """

    spec: dict
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    dataset: Dataset
    seed: int
    device: Device
    scratch: str
    reward_function: Any = None
    unlabelled: Dataset | None = None
    candidates: Candidates | None = None

    def arguments(self, config: type[TrainingArguments], but: tuple[str, ...] = (), **more) -> TrainingArguments:
        """The arguments of a method's trainer, every one of its hyperparameters among them.

        Args:
            config: class of the arguments.
            but: what other trainers take and this class does not know.
            more: further arguments, or other values of these.
        """
        hyperparameters = self.spec["hyperparameters"]
        common = trainer_arguments(hyperparameters, self.device, "policy", self.scratch, self.seed)
        return config(**({key: value for key, value in common.items() if key not in but} | more))


def policy_trainer(
    spec: dict,
    frame: pd.DataFrame,
    reference: pd.DataFrame,
    model_path: str,
    seed: int,
    device: Device,
    scratch: str,
    reward_function=None,
    unlabelled: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    candidates: Candidates | None = None,
) -> Trainer:
    """The trainer of a policy spec.

    Args:
        spec: {dataset, model: entry, run, method, hyperparameters}.
        frame: prompt, chosen, rejected of the train split.
        reference: row, ref_chosen_logps, ref_rejected_logps of that model on that split.
        model_path: the SFT model's folder, or with `sft: false` the model's path, where the policy starts and which
            stays its reference.
        seed, device, scratch, reward_function: see `Start`.
        unlabelled: pairs without a preference, and that model's log-probabilities of them, like frame and reference.
        candidates: see `Start`.

    Raises:
        InputError: the device has share_prompt, which the model's attention cannot do.
    """
    entry = spec["model"]
    tokenizer = load_tokenizer(model_path, entry)
    check_template(tokenizer, entry, model_path)
    kwargs = {"dtype": training_dtype(entry, device), "attn_implementation": device.attention}
    model = with_adapter(load_policy(model_path, entry, trainable=True, device=device, **kwargs), entry, seed)
    ends, known = end_token_ids(model, tokenizer, entry), model.generation_config.eos_token_id
    if not set(ends) <= {tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])}:
        model.generation_config.eos_token_id = ends  # the trainer samples up to these
    if reward_function is not None:
        reward_function = without_thoughts(reward_function, tokenizer, entry)
    dataset = preference_dataset(frame, tokenizer, entry, reference)
    aside = preference_dataset(unlabelled[0], tokenizer, entry, unlabelled[1]) if unlabelled else None
    start = Start(spec, model, tokenizer, dataset, seed, device, scratch, reward_function, aside, candidates)
    trainer = load_part("methods", spec["method"], "trainer").trainer(start)
    if "chosen_ids" in trainer.train_dataset.column_names:
        trainer.train_dataset = add_lengths(trainer.train_dataset)
    quicken(trainer, device)
    return trainer


def quicken(trainer: Trainer, device: Device) -> None:
    """Let a policy's trainer, whose model is on the device, have what the device's entry turns on.

    Raises:
        InputError: share_prompt, with a model that cannot have it.
    """
    use_hub_kernels(trainer.model, device)
    if device.share_prompt and hasattr(trainer, "share_prompts"):
        try:
            trainer.share_prompts()
        except ValueError as error:
            raise InputError(f"device {device.name}: {error}") from error


def with_adapter(model, entry: dict, seed: int):
    """The model with a new adapter, where the entry wants one and the model has none: a model that had no SFT."""
    config = peft_config(entry)
    if config is None or isinstance(model, PeftModel):
        return model
    set_seed(seed)
    return get_peft_model(model, config)


def without_thoughts(reward_function: Callable, tokenizer: PreTrainedTokenizerBase, entry: dict) -> Callable:
    """A reward function that sees the policy's answers alone, see `answer_of`."""

    def answered(completion: Text) -> Text:
        if isinstance(completion, str):
            return answer_of(completion, tokenizer, entry)
        return [turn | {"content": answer_of(turn["content"], tokenizer, entry)} for turn in completion]

    def reward(prompts: list, completions: list, **columns) -> list[float]:
        return reward_function(prompts=prompts, completions=[answered(each) for each in completions], **columns)

    return reward
