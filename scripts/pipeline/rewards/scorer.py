"""Reward models in use: a checkpoint with its tokenizer, text format and batches, scoring prompts with responses."""

import inspect
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from pipeline.jobs.gathering import own_torch_device
from pipeline.jobs.io import InputError
from pipeline.jobs.processes import is_first_process
from pipeline.models.checkpoints import load_tokenizer
from pipeline.models.devices import Device
from pipeline.models.template_check import check_rendering
from pipeline.models.templates import Text, as_text, response_text
from pipeline.rewards.batches import MOST_PACKED, TOKENS, Row, packed, packed_rows, padded, plan_batches, single_rows
from pipeline.rewards.checkpoints import load_reward_network
from pipeline.rewards.files import base_of_adapter, checkpoint_folder, content_hash
from pipeline.rewards.networks import CausalScorer
from pipeline.rewards.scoring import run_batches
from pipeline.rewards.texts import default_format, reward_text

# Trunks that take an attention mask of any shape and positions of any order.
SHARING_TRUNKS = ("llama", "mistral", "qwen2", "qwen3")


class RewardModel:
    """A reward model with its tokenizer and text format; higher scores are better.

    Args:
        path: hub id or checkpoint folder, of a model or of a PEFT adapter.
        entry: the reward model's entry: `reverse`, `text_format`, `max_length` and how it is loaded.
        device: where it runs, the trunk's precision and the batches; the head is float32.
        batch_size: most texts side by side; the device's for the stage `score` where absent.

    Attributes:
        max_length: most tokens of a text; None where the model has no limit.
        truncated: how many texts were cut to it so far.
    """

    def __init__(self, path: str, entry: dict, device: Device, batch_size: int | None = None):
        self.path, self.entry, self.device = path, entry, device
        self.torch_device = own_torch_device(device.type)
        self.tokenizer = load_tokenizer(tokenizer_path(path, entry), entry)
        # transformers' own choice, sdpa where the architecture has it, is not to be named: not all have it.
        attention = None if device.attention == "sdpa" else device.attention
        self.network = load_reward_network(path, entry, device.dtype, self.torch_device, attention)
        config = self.network.config
        recorded = getattr(config, "text_format", None)
        default = default_format((config.architectures or [""])[0], self.tokenizer.chat_template is not None)
        self.text_format = entry.get("text_format") or recorded or default
        if self.text_format == "chat_template":
            check_rendering(self.tokenizer, {}, path)
        if self.text_format == "text_pair" and not (entry.get("text_format") or recorded):
            told = "its tokenizer has no chat template, so texts are scored in the format text_pair"
            print(f"{path}: {told}; text_format of its entry in config/reward_models.yaml sets another", flush=True)
        reverse = entry.get("reverse")
        if reverse is None:  # safe-rlhf's cost models say what they are
            reverse = getattr(config, "score_type", None) == "cost"
        self.sign = -1.0 if reverse else 1.0
        self.batch_size = batch_size or device.batch_sizes["score"]
        self.tokens = device.batch_sizes.get("score_tokens", TOKENS)
        self.max_length = entry.get("max_length") or self._own_maximum()
        self.truncated = 0

    def _own_maximum(self) -> int | None:
        """Most tokens that the model itself takes."""
        limits = [getattr(self.network.config.get_text_config(), "max_position_embeddings", None)]
        if not isinstance(self.network, CausalScorer):  # causal tokenizers often carry a limit of their training
            limits.append(self.tokenizer.model_max_length)
        return min((limit for limit in limits if limit and 0 < limit < 10**9), default=None)

    @cached_property
    def content_hash(self) -> str:
        """Hash of the files that the model is read from."""
        return content_hash(self.path, self.entry)

    @property
    def shares_prompts(self) -> bool:
        """Whether texts that begin alike can be read in one row: causal trunks with a mask of any shape."""
        if not isinstance(self.network, CausalScorer) or self.device.attention == "flash_attention_2":
            return False
        config = self.network.config.get_text_config()
        takes = inspect.signature(self.network.trunk.forward).parameters
        window = getattr(config, "sliding_window", None)
        if window and window < MOST_PACKED:
            return False
        return config.model_type in SHARING_TRUNKS and "position_ids" in takes

    def inputs(self, prompts: Sequence[Text], responses: Sequence[Text]) -> list[dict[str, list[int]]]:
        """Token ids per (prompt, response), within `max_length`."""
        texts = [
            reward_text(prompt, response, self.tokenizer, self.text_format, self.max_length)
            for prompt, response in zip(prompts, responses, strict=True)
        ]
        self.truncated += sum(text.truncated for text in texts)
        rows = getattr(self.network.config.get_text_config(), "vocab_size", None)
        highest = max((max(text.inputs["input_ids"], default=0) for text in texts), default=0)
        if rows and highest >= rows:
            token = self.tokenizer.convert_ids_to_tokens(highest)
            raise InputError(f"{self.path}: its tokenizer has a token {highest} ({token!r}), its model only {rows}")
        return [text.inputs for text in texts]

    def score(self, prompts: Sequence[Text], responses: Sequence[Text]) -> list[float]:
        """A score per (prompt, response), higher is better; costs have their sign turned."""
        inputs = self.inputs(prompts, responses)
        scores: dict[int, float] = {}
        for batch in plan_batches(single_rows([text["input_ids"] for text in inputs]), self.batch_size, self.tokens):
            scores |= self.score_batch(batch, inputs)
        return [scores[i] for i in range(len(inputs))]

    def score_once(
        self,
        prompts: Sequence[Text],
        responses: Sequence[Text],
        kept: Path | None = None,
        name: str = "texts",
        columns: int = 1,
    ) -> list[float] | None:
        """Like `score`, for many: each distinct text once, a prompt that texts share once where that saves a quarter.

        Args:
            kept: folder for finished scores, from which a killed job continues and in which several processes meet;
                progress is then printed.
            name: of the texts, in what is printed.
            columns: of how many columns of a table the texts are, one after the other: 1 or 2.

        Returns:
            None in all processes but the first.
        """
        before = self.truncated
        inputs = self.inputs(prompts, responses)
        cut = self.truncated - before
        if cut and kept and is_first_process():
            print(
                f"{name}: {cut} of {len(inputs)} texts lose their beginning to fit {self.max_length} tokens", flush=True
            )
        positions: dict[str, int] = {}
        index = [positions.setdefault(json.dumps(text), len(positions)) for text in inputs]
        distinct = [json.loads(text) for text in positions]
        ids = [text["input_ids"] for text in distinct]
        rows = packed_rows(ids, _groups(prompts, index)) if self.shares_prompts else single_rows(ids)
        # Where nothing is shared, chosen and rejected responses are put into batches apart, as each is when alone.
        first = len(set(index[: len(index) // columns]))
        parts = [rows] if any(row.shared for row in rows) else [rows[:first], rows[first:]]
        batches = [batch for part in parts for batch in plan_batches(part, self.batch_size, self.tokens)]
        scores = run_batches(self, distinct, batches, kept, name)
        return None if scores is None else [scores[i] for i in index]

    @torch.no_grad()
    def score_batch(self, batch: list[Row], inputs: list[dict[str, list[int]]]) -> dict[int, float]:
        """Scores of a batch's texts by their positions in `inputs`."""
        if any(row.shared for row in batch):
            ids = [text["input_ids"] for text in inputs]
            tensors, texts = packed(batch, ids, self._padding(), self.device.dtype, self.network.passed_over)
            network = self.network.forward_packed
        else:
            texts = [row.texts[0] for row in batch]
            tensors, network = padded([inputs[i] for i in texts], self._padding()), self.network
        values = network(**{name: tensor.to(self.torch_device) for name, tensor in tensors.items()})
        return {text: self.sign * value for text, value in zip(texts, values.tolist(), strict=True)}

    def _padding(self) -> int:
        """Any token will do, as the attention mask tells padding; the model's own where it has one."""
        config = self.network.config.get_text_config()
        known = [token for token in (config.pad_token_id, self.tokenizer.pad_token_id) if token is not None]
        return next((token for token in known if token < getattr(config, "vocab_size", token + 1)), 0)

    def __call__(self, prompts: list[Text], completions: list[Text], **columns) -> list[float]:
        """TRL's convention of reward functions; `source_prompt` has the prompts before the policy's template."""
        before = self.truncated
        scores = self.score(columns.get("source_prompt", prompts), [response_text(text) for text in completions])
        if self.truncated and not before:
            print(f"reward model: texts above {self.max_length} tokens lose their beginning", flush=True)
        return scores


def tokenizer_path(path: str, entry: dict) -> str:
    """Where a reward model's tokenizer is: with the checkpoint, or with the base model of an adapter without one.

    Raises:
        InputError: a local path that is no checkpoint.
    """
    folder = Path(checkpoint_folder(path, entry))
    if (folder / "adapter_config.json").is_file() and not (folder / "tokenizer_config.json").is_file():
        return base_of_adapter(folder)
    return path


def _groups(prompts: Sequence[Text], index: list[int]) -> list[list[int]]:
    """Positions of distinct texts by their prompt, each text once."""
    groups: dict[str, dict[int, None]] = {}
    known: set[int] = set()
    for prompt, i in zip(prompts, index, strict=True):
        if i not in known:
            known.add(i)
            groups.setdefault(json.dumps(prompt), {})[i] = None
    return [list(group) for group in groups.values()]


def score_pairs(frame: pd.DataFrame, model: RewardModel, kept: Path | None = None, name: str = "pairs"):
    """The frame with chosen_score, rejected_score and bt_prob = sigmoid(chosen_score − rejected_score), float64.

    Args:
        kept, name: see `RewardModel.score_once`.

    Returns:
        None in all processes but the first.
    """
    prompts = [as_text(prompt) for prompt in frame["prompt"]]
    responses = [as_text(value) for column in ("chosen", "rejected") for value in frame[column]]
    values = model.score_once(prompts * 2, responses, kept, name, columns=2)
    if values is None:
        return None
    chosen, rejected = np.array(values, "float64").reshape(2, len(frame))
    return frame.assign(chosen_score=chosen, rejected_score=rejected, bt_prob=expit(chosen - rejected))
