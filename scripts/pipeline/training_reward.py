"""Training of a Bradley-Terry reward model from an SFT model."""

import pandas as pd
from transformers import AutoModelForSequenceClassification, set_seed
from trl import RewardConfig, RewardTrainer

from pipeline.devices import Device
from pipeline.models import load_tokenizer
from pipeline.training import preference_dataset, trainer_arguments


def reward_trainer(spec: dict, frame: pd.DataFrame, model_path: str, device: Device, scratch: str) -> RewardTrainer:
    """TRL's RewardTrainer on a sequence classifier that starts from an SFT model's weights and a new head.

    Args:
        spec: a reward model's entry with `train`, its hyperparameters.
        frame: prompt, chosen, rejected of the train split.
        model_path: the SFT model's folder.
        scratch: folder that the trainer may write to.
    """
    given = spec["train"]
    set_seed(given["seed"])
    tokenizer = load_tokenizer(model_path)
    model = AutoModelForSequenceClassification.from_pretrained(
        model_path, num_labels=1, dtype="float32", attn_implementation=device.attention
    )
    return RewardTrainer(
        model,
        args=RewardConfig(**trainer_arguments(given, device, "reward", scratch, given["seed"])),
        train_dataset=preference_dataset(frame, tokenizer, {}).select_columns(["prompt", "chosen", "rejected"]),
        processing_class=tokenizer,
    )
