"""Training of a Bradley-Terry reward model from an SFT model, or from a pretrained model as it is."""

import hashlib

import pandas as pd
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, set_seed
from trl import RewardConfig, RewardTrainer

from pipeline.jobs.io import InputError
from pipeline.models.devices import Device
from pipeline.models.template_check import check_rendering
from pipeline.models.templates import as_text
from pipeline.rewards.texts import reward_text
from pipeline.training.classifier import starting_classifier, starting_tokenizer
from pipeline.training.running import add_lengths, trainer_arguments
from pipeline.training.state import continued


def reward_trainer(spec: dict, frame: pd.DataFrame, model_path: str, device: Device, scratch: str) -> RewardTrainer:
    """TRL's RewardTrainer on a sequence classifier that starts from a model's weights and a new head.

    Args:
        spec: a reward model's entry with `train`, its hyperparameters; and `base`, of a pretrained model.
        frame: prompt, chosen, rejected of the train split; prompt_id where `train` has a share.
        model_path: the SFT model's folder, or the path of a pretrained model.
        scratch: folder that the trainer may write to.

    Raises:
        InputError: the model has no sequence classifier, or lacks the chat template that is asked for; its share has no
            pairs.
    """
    hyperparameters = spec["train"]
    set_seed(hyperparameters["seed"])
    tokenizer = starting_tokenizer(spec, model_path)
    text_format = spec.get("text_format")
    if text_format is None:
        text_format = "plain" if tokenizer.chat_template is None else "chat_template"
        print(f"text_format {text_format}: the tokenizer has {'no' if text_format == 'plain' else 'a'} chat template")
    if text_format == "chat_template" and tokenizer.chat_template is None:
        raise InputError(
            f"{model_path}: its tokenizer has no chat template; set text_format, such as plain, for the reward model"
        )
    if text_format == "chat_template":
        check_rendering(tokenizer, {}, model_path)
    model = starting_classifier(spec, model_path, device)
    model.config.text_format = text_format  # which the checkpoint then records
    frame = own_share(frame, hyperparameters.get("share"))
    trainer = continued(RewardTrainer)(
        model,
        args=RewardConfig(**trainer_arguments(hyperparameters, device, "reward", scratch, hyperparameters["seed"])),
        train_dataset=reward_dataset(frame, tokenizer, text_format, hyperparameters["max_length"]),
        processing_class=tokenizer,
    )
    trainer.train_dataset = add_lengths(trainer.train_dataset)
    return trainer


def own_share(frame: pd.DataFrame, share: dict | None) -> pd.DataFrame:
    """The pairs of a part of the prompts.

    A prompt's part is drawn from its id and the seed alone, so that all its pairs are in one part, and the parts of one
    seed are disjoint whichever reward models they are for.

    Args:
        frame: with prompt_id.
        share: {part: counted from 1, of: number of parts, seed}; None for all pairs.

    Raises:
        InputError: no pair is in that part.
    """
    if share is None:
        return frame
    part, of, seed = share["part"], share["of"], share["seed"]
    draws = [hashlib.sha256(f"{seed}:{prompt}".encode()).digest()[:8] for prompt in frame["prompt_id"]]
    chosen = [int.from_bytes(draw) * of >> 64 == part - 1 for draw in draws]
    if not any(chosen):
        raise InputError(f"share: of {len(frame)} pairs none is in part {part} of {of}; take fewer parts")
    print(f"trained on {sum(chosen)} of {len(frame)} pairs, part {part} of {of} of the prompts", flush=True)
    return frame[chosen].reset_index(drop=True)


def reward_dataset(
    frame: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, text_format: str, max_length: int
) -> Dataset:
    """Pairs as RewardTrainer takes them, tokenised as the reward model will see them when it scores.

    Args:
        frame: prompt, chosen, rejected: text or messages.
        text_format: a folder's name in `pipeline.reward_formats`.
        max_length: longer texts lose the beginning of their prompt; how many do is printed.

    Returns:
        chosen_ids, rejected_ids.
    """
    columns, cut = {}, 0
    for name in ("chosen", "rejected"):
        texts = [
            reward_text(as_text(prompt), as_text(response), tokenizer, text_format, max_length)
            for prompt, response in zip(frame["prompt"], frame[name], strict=True)
        ]
        columns[f"{name}_ids"] = [text.inputs["input_ids"] for text in texts]
        cut += sum(text.truncated for text in texts)
    if cut:
        print(f"{cut} of {2 * len(frame)} texts lose their beginning to fit {max_length} tokens", flush=True)
    return Dataset.from_dict(columns)
