"""Training of a Bradley-Terry reward model from an SFT model."""

from pathlib import Path

import pandas as pd
from datasets import Dataset
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerBase, set_seed
from trl import RewardConfig, RewardTrainer

from pipeline.jobs.io import InputError
from pipeline.models.checkpoints import load_tokenizer
from pipeline.models.devices import Device
from pipeline.models.templates import as_text
from pipeline.rewards.checkpoints import check_score_trunk
from pipeline.rewards.texts import reward_text
from pipeline.training.running import add_lengths, trainer_arguments
from pipeline.training.state import continued


def reward_trainer(spec: dict, frame: pd.DataFrame, model_path: str, device: Device, scratch: str) -> RewardTrainer:
    """TRL's RewardTrainer on a sequence classifier that starts from an SFT model's weights and a new head.

    Args:
        spec: a reward model's entry with `train`, its hyperparameters.
        frame: prompt, chosen, rejected of the train split.
        model_path: the SFT model's folder.
        scratch: folder that the trainer may write to.

    Raises:
        InputError: the SFT model is an adapter, is neither Llama nor Qwen2, or lacks the chat template that it needs.
    """
    given = spec["train"]
    set_seed(given["seed"])
    tokenizer = load_tokenizer(model_path)
    if (Path(model_path) / "adapter_config.json").is_file():
        raise InputError(f"{model_path}: an adapter; a reward model starts from a model with adapter: none")
    check_score_trunk(AutoConfig.from_pretrained(model_path).model_type)
    text_format = spec.get("text_format", "chat_template")
    if text_format == "chat_template" and tokenizer.chat_template is None:
        raise InputError(
            f"{model_path}: its tokenizer has no chat template; set text_format, such as plain, for the reward model"
        )
    model = AutoModelForSequenceClassification.from_pretrained(
        model_path, num_labels=1, dtype="float32", attn_implementation=device.attention
    )
    trainer = continued(RewardTrainer)(
        model,
        args=RewardConfig(**trainer_arguments(given, device, "reward", scratch, given["seed"])),
        train_dataset=reward_dataset(frame, tokenizer, text_format, given["max_length"]),
        processing_class=tokenizer,
    )
    trainer.train_dataset = add_lengths(trainer.train_dataset)
    return trainer


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
