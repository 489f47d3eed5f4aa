"""Reward functions made of reward models, in TRL's convention."""

from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sail.rollouts import RewardFunction


class ModelReward:
    """A one-label sequence classifier as a reward function.

    Texts are prompt and completion as they are; messages go through the classifier's own chat template.

    Args:
        model: the classifier, or its hub id or folder.
        tokenizer: its tokenizer; loaded with the model where absent.
        device: where it runs.
        batch_size: texts side by side; similar lengths go together.

    Raises:
        ValueError: the classifier has another number of labels than one.
    """

    def __init__(
        self,
        model: str | PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None = None,
        device: torch.device | str = "cpu",
        batch_size: int = 32,
    ):
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(model) if isinstance(model, str) else model
        if loaded.config.num_labels != 1:
            raise ValueError(f"a reward model has one label, {loaded.name_or_path} has {loaded.config.num_labels}")
        self.model = loaded.to(device).eval()
        self.tokenizer = tokenizer or AutoTokenizer.from_pretrained(loaded.name_or_path)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        # A causal classifier takes the last token that is not this one for the end of the text.
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.device, self.batch_size = device, batch_size

    @torch.no_grad()
    def __call__(self, prompts: list, completions: list, **columns) -> list[float]:
        texts = [self._text(prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]
        ids = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        rewards = [0.0] * len(ids)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = self.tokenizer.pad(
                {"input_ids": [ids[row] for row in rows]}, padding_side="right", return_tensors="pt"
            )
            values = self.model(**batch.to(self.device)).logits[:, 0]
            for row, value in zip(rows, values.float().tolist(), strict=True):
                rewards[row] = value
        return rewards

    def _text(self, prompt, completion) -> str:
        if isinstance(prompt, str):
            return prompt + completion
        return self.tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)  # type: ignore[return-value]


def reward_function(
    reward_funcs: RewardFunction | str | PreTrainedModel | list, tokenizer: PreTrainedTokenizerBase | None, device
) -> RewardFunction:
    """The callable of `reward_funcs`: itself, or a classifier (or its hub id or folder) made one.

    Raises:
        ValueError: a list of more than one: how their rewards combine is not defined here.
    """
    if isinstance(reward_funcs, list):
        if len(reward_funcs) != 1:
            raise ValueError(f"reward_funcs takes one reward, not {len(reward_funcs)}: combine them in one callable")
        reward_funcs = reward_funcs[0]
    if isinstance(reward_funcs, str | PreTrainedModel):
        return ModelReward(reward_funcs, tokenizer, device)
    return reward_funcs  # type: ignore[return-value]
