"""Supervised fine-tuning of a policy."""

import pandas as pd
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.models.checkpoints import load_policy, load_tokenizer, new_policy, peft_config, training_dtype
from pipeline.models.devices import Device
from pipeline.models.templates import as_text, format_prompt, format_response, response_text
from pipeline.training.running import trainer_arguments
from pipeline.training.state import continued


def sft_trainer(spec: dict, frame: pd.DataFrame, device: Device, scratch: str) -> SFTTrainer:
    """TRL's SFTTrainer on a dataset's responses; the loss is on the response alone.

    Args:
        spec: {dataset, model: entry, sft: hyperparameters}.
        frame: prompt, chosen, rejected of the train split.
        scratch: folder that the trainer may write to.
    """
    entry, hyperparameters = spec["model"], spec["sft"]
    columns = {name: [as_text(value) for value in frame[name]] for name in PAIR_COLUMNS}
    if "architecture" in entry:
        texts = [response_text(value) for name in columns for value in columns[name]]
        model, tokenizer = new_policy(entry, texts, hyperparameters["seed"])
    else:
        tokenizer = load_tokenizer(entry["path"], entry)
        kwargs = {"dtype": training_dtype(entry, device), "attn_implementation": device.attention}
        model = load_policy(entry["path"], entry, device=device, **kwargs)
    names = ["chosen"] if hyperparameters["responses"] == "chosen" else ["chosen", "rejected"]
    rows = [
        {"prompt": format_prompt(prompt, tokenizer, entry), "completion": format_response(response, tokenizer, entry)}
        for name in names
        for prompt, response in zip(columns["prompt"], columns[name], strict=True)
    ]
    return continued(SFTTrainer)(
        model,
        args=SFTConfig(**trainer_arguments(hyperparameters, device, "sft", scratch, hyperparameters["seed"])),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=peft_config(entry),
    )
