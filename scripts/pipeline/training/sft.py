"""Supervised fine-tuning of a policy."""

import pandas as pd
from datasets import Dataset
from peft import PeftModel
from trl import SFTConfig, SFTTrainer

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.models.checkpoints import load_policy, load_tokenizer, new_policy, peft_config, training_dtype
from pipeline.models.devices import Device
from pipeline.models.kernels import use_hub_kernels
from pipeline.models.templates import as_text, pair_token_ids, response_text
from pipeline.training.running import say_template, trainer_arguments
from pipeline.training.state import continued


def sft_trainer(spec: dict, frame: pd.DataFrame, device: Device, scratch: str) -> SFTTrainer:
    """TRL's SFTTrainer on a dataset's responses; the loss is on the response alone.

    Args:
        spec: {dataset, model: entry, sft: hyperparameters}.
        frame: prompt, chosen, rejected of the train split, and of rows without a preference where both are trained on.
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
        model = load_policy(entry["path"], entry, trainable=True, device=device, **kwargs)
        say_template(tokenizer, entry)
    names = ["chosen"] if hyperparameters["responses"] == "chosen" else ["chosen", "rejected"]
    rows = []
    for name in names:
        for prompt, response in zip(columns["prompt"], columns[name], strict=True):
            start, [ids] = pair_token_ids(prompt, [response], tokenizer, entry)
            rows.append({"input_ids": start + ids, "completion_mask": [0] * len(start) + [1] * len(ids)})
    arguments = trainer_arguments(hyperparameters, device, "sft", scratch, hyperparameters["seed"])
    trainer = continued(SFTTrainer)(
        model,
        args=SFTConfig(**arguments, completion_only_loss=True),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=None if isinstance(model, PeftModel) else peft_config(entry),
    )
    use_hub_kernels(trainer.model, device)
    return trainer
