"""Reward models as reward functions: sequence classifiers with one label, and score models with a linear head."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

# A score model is a classifier under another name; its config may record the text that it was trained on.
SCORE_MODELS = ("LlamaForScore", "LlamaModelForScore")
SCORE_HEAD = {r"^score_head\.": "score."}
# Texts of which a checkpoint's config has the name, and whether the end of sequence follows them.
TEXT_FORMATS = {
    "eurus": ("[INST] {prompt} [/INST] {response}", False),
    "ultrarm": ("Human: {prompt}\n\nAssistant: {response}", False),
    "plain": ("{prompt}\n\n{response}", True),
}
CHAT, BEAVER = "chat_template", "beaver"


class ModelReward:
    """A one-label sequence classifier as a reward function.

    Texts are prompt and completion as they are; messages go through the classifier's own chat template. A checkpoint
    whose config records a `text_format` gets that.

    Args:
        model: the classifier, or its hub id or folder; a folder may also hold a score model, or a PEFT adapter.
        tokenizer: its tokenizer; loaded with the model where absent.
        device: where it runs.
        batch_size: texts side by side; similar lengths go together.

    Raises:
        ValueError: the classifier has another number of labels than one, lacks its head, or normalises its scores.
    """

    def __init__(
        self,
        model: str | torch.nn.Module,
        tokenizer: PreTrainedTokenizerBase | None = None,
        device: torch.device | str = "cpu",
        batch_size: int = 32,
    ):
        loaded: Any = load_reward_model(model) if isinstance(model, str) else model
        if loaded.config.num_labels != 1:
            raise ValueError(f"a reward model has one label, {loaded.name_or_path} has {loaded.config.num_labels}")
        source = model if isinstance(model, str) else loaded.name_or_path
        self.model = loaded.to(device).eval()
        self.tokenizer = tokenizer or AutoTokenizer.from_pretrained(source)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.text_format = getattr(loaded.config, "text_format", None)
        self.device, self.batch_size = device, batch_size
        self.__name__ = str(source).rstrip("/").split("/")[-1]

    @torch.no_grad()
    def __call__(self, prompts: list, completions: list, **columns) -> list[float]:
        ids = [self._ids(prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        rewards = [0.0] * len(ids)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            values = self.model(**self._padded([ids[row] for row in rows])).logits[:, 0]
            for row, value in zip(rows, values.float().tolist(), strict=True):
                rewards[row] = value
        return rewards

    def _padded(self, ids: list[list[int]]) -> dict[str, torch.Tensor]:
        """A batch of texts, padded on the right.

        A causal classifier takes the last token that is not its config's pad token for the end of the text: the
        tokenizer's own, but one that is in no text for a score model, whose texts end where they end.
        """
        pad = self.tokenizer.pad_token_id
        if is_score_model(self.model.config):
            used = {token for text in ids for token in text}
            pad = next(token for token in range(len(used) + 1) if token not in used)
        self.model.config.get_text_config().pad_token_id = pad
        rows = [torch.tensor(text) for text in ids]
        return {
            "input_ids": pad_sequence(rows, batch_first=True, padding_value=pad).to(self.device),
            "attention_mask": pad_sequence(list(map(torch.ones_like, rows)), batch_first=True).to(self.device),
        }

    def _ids(self, prompt: Any, completion: Any) -> list[int]:
        """Token ids of a prompt and its completion."""
        if self.text_format == BEAVER:
            return self._ended(beaver_text(prompt, _joined(completion), self.tokenizer.eos_token or ""))
        if self.text_format in TEXT_FORMATS:
            template, ends = TEXT_FORMATS[self.text_format]
            filled = template.format(prompt=_joined(prompt), response=_joined(completion))
            return self._ended(filled) if ends else self.tokenizer(filled)["input_ids"]
        if isinstance(prompt, str) and self.text_format == CHAT:
            prompt = [{"role": "user", "content": prompt}]
            completion = [{"role": "assistant", "content": completion}]
        if isinstance(prompt, str):
            return self.tokenizer(prompt + completion, add_special_tokens=False)["input_ids"]
        text = self.tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _ended(self, text: str) -> list[int]:
        """Token ids of a text, with the end of sequence behind it."""
        ids, end = self.tokenizer(text)["input_ids"], self.tokenizer.eos_token_id
        return ids if ids[-1:] == [end] else [*ids, end]


def _joined(given: Any) -> str:
    """A text, or the texts of messages, joined by blank lines."""
    return given if isinstance(given, str) else "\n\n".join(turn["content"] for turn in given)


def beaver_text(prompt: Any, answer: str, end: str) -> str:
    """safe-rlhf's text: each turn under its role, the end of sequence behind each earlier one of the assistant's.

    System texts, for which there is no role, go before the user's first.

    Args:
        prompt: text, or messages.
        end: the end of sequence, as text.
    """
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    waiting = [turn["content"] for turn in turns if turn["role"] == "system"]
    text, cue = "BEGINNING OF CONVERSATION: ", "ASSISTANT:"
    for turn in turns:
        if turn["role"] == "user":
            text += "USER: " + "\n\n".join([*waiting, turn["content"]]) + f" {cue}"
            waiting = []
        elif turn["role"] == "assistant":
            text += ("" if text.endswith(cue) else cue) + turn["content"] + end
    return text + answer


def is_score_model(config: Any) -> bool:
    """Whether a config is of a checkpoint that calls itself a score model."""
    return (config.architectures or [""])[0] in SCORE_MODELS


def load_reward_model(path: str) -> Any:
    """A sequence classifier from a hub id or folder, a score model with its head in the classifier's place.

    An adapter is merged into the base model that it names; the classifier's config may lie beside it.

    Raises:
        ValueError: the checkpoint lacks weights, or is a score model that normalises its scores.
    """
    if (Path(path) / "adapter_config.json").is_file():
        return _load_adapter(path)
    config = AutoConfig.from_pretrained(path)
    options: dict[str, Any] = {}
    if is_score_model(config):
        if getattr(config, "do_normalize", False) or getattr(config, "bias", False):
            raise ValueError(f"{path}: a score model with a normaliser or a bias; pass a function that computes it")
        options = {"num_labels": 1, "key_mapping": SCORE_HEAD}
    model, found = AutoModelForSequenceClassification.from_pretrained(path, output_loading_info=True, **options)
    if found["missing_keys"]:
        raise ValueError(f"{path}: it lacks {', '.join(sorted(found['missing_keys']))}; it is no reward model")
    return model


def _load_adapter(path: str) -> Any:
    adapter = PeftConfig.from_pretrained(path)
    base, revision = adapter.base_model_name_or_path, adapter.revision
    place = {} if (Path(path) / "config.json").is_file() else {"revision": revision, "num_labels": 1}
    config = AutoConfig.from_pretrained(path if not place else base, **place)
    model = AutoModelForSequenceClassification.from_pretrained(base, config=config, revision=revision)
    adapter.task_type = None  # a task's own wrapper would want a head of its own name
    return PeftModel.from_pretrained(model, path, config=adapter).merge_and_unload()
