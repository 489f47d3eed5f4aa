"""Training of a Bradley-Terry reward model from an SFT model."""

from pathlib import Path

import pandas as pd
from transformers import AutoConfig, AutoModelForSequenceClassification, set_seed
from trl import RewardConfig, RewardTrainer

from pipeline.devices import Device
from pipeline.io import InputError
from pipeline.models import load_tokenizer
from pipeline.rewards import check_score_trunk
from pipeline.training import add_lengths, preference_dataset, trainer_arguments


def reward_trainer(spec: dict, frame: pd.DataFrame, model_path: str, device: Device, scratch: str) -> RewardTrainer:
    """TRL's RewardTrainer on a sequence classifier that starts from an SFT model's weights and a new head.

    Args:
        spec: a reward model's entry with `train`, its hyperparameters.
        frame: prompt, chosen, rejected of the train split.
        model_path: the SFT model's folder.
        scratch: folder that the trainer may write to.

    Raises:
        InputError: the SFT model is an adapter, is neither Llama nor Qwen2, or has no chat template.
    """
    given = spec["train"]
    set_seed(given["seed"])
    tokenizer = load_tokenizer(model_path)
    if (Path(model_path) / "adapter_config.json").is_file():
        raise InputError(f"{model_path}: an adapter; a reward model starts from a model with adapter: none")
    check_score_trunk(AutoConfig.from_pretrained(model_path).model_type)
    if tokenizer.chat_template is None:
        raise InputError(f"{model_path}: its tokenizer has no chat template, which a reward model is trained on")
    model = AutoModelForSequenceClassification.from_pretrained(
        model_path, num_labels=1, dtype="float32", attn_implementation=device.attention
    )
    trainer = RewardTrainer(
        model,
        args=RewardConfig(**trainer_arguments(given, device, "reward", scratch, given["seed"])),
        train_dataset=preference_dataset(frame, tokenizer, {}).select_columns(["prompt", "chosen", "rejected"]),
        processing_class=tokenizer,
    )
    trainer.train_dataset = add_lengths(trainer.train_dataset)
    return trainer
