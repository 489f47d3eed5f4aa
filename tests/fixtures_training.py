"""Trainings of three steps, and eight pairs to train on."""

import pandas as pd

TRAINING = {
    **{"learning_rate": 1e-2, "epochs": 1, "max_steps": 3, "warmup_steps": 0, "lr_scheduler": "constant"},
    **{"optimizer": "adamw_torch", "weight_decay": 0.0, "max_length": 128, "global_batch_size": 4, "seed": 0},
}
LORA = {"adapter": "lora", "lora": {"r": 2, "alpha": 4, "dropout": 0.0, "target_modules": "all-linear"}}
COLOURS = ("red", "blue", "yellow", "old", "small", "sour", "big", "the cat")
FRAME = pd.DataFrame(
    [(f"What is {word}?", f"It is {word}.", f"Thank you for {i}!") for i, word in enumerate(COLOURS)],
    columns=["prompt", "chosen", "rejected"],
).assign(prompt_id=[f"id{i}" for i in range(len(COLOURS))])
