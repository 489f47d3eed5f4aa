"""Trainings of three steps, eight pairs to train on, and several scored responses to each prompt."""

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


def candidates(frame: pd.DataFrame, tokenizer, texts: tuple[str, ...] = ("It is old.", "red", "Thank you!")):
    """To each prompt of a frame these texts; the later one is better, but for every second prompt the first."""
    ids = [[*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for text in texts]
    rows = [
        {"prompt_id": prompt_id, "prompt": prompt, "response": text, "response_ids": own, "response_tokens": len(own)}
        | {"finished": True, "candidate": i, "response_score": float(5 if row % 2 and not i else i)}
        for row, (prompt_id, prompt) in enumerate(zip(frame["prompt_id"], frame["prompt"], strict=True))
        for i, (text, own) in enumerate(zip(texts, ids, strict=True))
    ]
    return pd.DataFrame(rows)
