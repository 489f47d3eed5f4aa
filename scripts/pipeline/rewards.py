"""Reward models: the safe-rlhf score format, sequence classifiers, scoring of prompts with responses.

A safe-rlhf score model (the format of the Beaver checkpoints) is a trunk under `model.`, a `score_head` and a
`normalizer`; Eurus and UltraRM have a `regression_head` instead. The config's architecture tells which.
"""

import re
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from scipy.special import expit
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PreTrainedTokenizerBase

from pipeline.io import InputError, atomic_folder
from pipeline.models import load_tokenizer
from pipeline.templates import Text, as_text, response_text, reward_inputs

# Architecture of a trunk with a head of its own: the head's name in the checkpoint, the text format of its authors.
HEADED = {
    "LlamaForScore": ("score_head", "beaver"),
    "LlamaModelForScore": ("score_head", "beaver"),
    "EurusRewardModel": ("regression_head", "eurus"),
    "LlamaRewardModel": ("regression_head", "ultrarm"),
}


# What safe-rlhf does to scores where the config says do_normalize, by its score_type.
NORMALISATION = {"reward": "affine", "cost": "scale", "critic": "identity"}


class ScoreModel(nn.Module):
    """A trunk with a linear head at the last attended token, in float32, normalised where the config says so.

    Its weights have the names that they have in the checkpoint.
    """

    def __init__(self, config, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.config = config
        self.model = AutoModel.from_config(config, dtype=dtype)
        kind = NORMALISATION.get(getattr(config, "score_type", "reward"), "affine")
        # Some name the function where safe-rlhf names the running statistic.
        named = getattr(config, "normalizer_type", None)
        kind = named if named in NORMALISATION.values() else kind
        self.normalisation = kind if getattr(config, "do_normalize", False) else "identity"
        size = getattr(config, "score_dim", 1)
        self.head_name = HEADED[config.architectures[0]][0]
        self.add_module(self.head_name, nn.Linear(config.hidden_size, size, bias=getattr(config, "bias", False)))
        if self.normalisation != "identity":
            self.normalizer = nn.Module()
            for name in ("mean", "var"):
                self.normalizer.register_buffer(name, torch.ones(size))

    @classmethod
    def from_folder(cls, folder: str | Path, dtype: torch.dtype = torch.float32) -> "ScoreModel":
        """Load a checkpoint folder with safetensors weights.

        Raises:
            InputError: no safetensors there, or a weight is missing, left over or of another shape.
        """
        folder = Path(folder)
        model = cls(AutoConfig.from_pretrained(folder), dtype)
        shards = sorted(folder.glob("*.safetensors"))
        if not shards:
            raise InputError(f"{folder}: no *.safetensors there; weights in other formats are not read")
        weights = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
        own = model.state_dict()
        # Computed, or not used by this model: an old transformers' positions, statistics of a normalisation.
        unused = r"normalizer\.count$|.*rotary_emb\.inv_freq$" + ("" if "normalizer.mean" in own else r"|normalizer\.")
        weights = {name: tensor for name, tensor in weights.items() if not re.match(unused, name)}
        for name in sorted(own.keys() | weights.keys()):
            there, wanted = weights.get(name), own.get(name)
            if there is None or wanted is None or there.shape != wanted.shape:
                found = "not there" if there is None else f"of shape {tuple(there.shape)}"
                needed = "unknown to it" if wanted is None else f"needed with shape {tuple(wanted.shape)}"
                raise InputError(f"{folder}: weight {name} is {found}, {needed}; it is no complete score model")
        model.load_state_dict(weights)
        return model.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Scores, shape (B,), float32; inputs have shape (B, T) and may be padded on either side."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        positions = torch.arange(attention_mask.size(1), device=attention_mask.device)
        last = (attention_mask * positions).argmax(dim=1)
        head = getattr(self, self.head_name)
        score = head(hidden[torch.arange(len(hidden), device=hidden.device), last].float())
        if self.normalisation == "affine":
            score = score - self.normalizer.mean
        if self.normalisation != "identity":
            score = score / self.normalizer.var.sqrt()
        return score[:, 0]


def check_score_trunk(model_type: str) -> None:
    """Raise an InputError where `save_score_model` cannot write a classifier on such a trunk."""
    if model_type not in ("llama", "qwen2"):
        raise InputError(f"a {model_type} reward model cannot be written as a Llama score model: llama or qwen2")


def save_score_model(classifier: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write a one-label sequence classifier as a safe-rlhf score model.

    Llama trunks are written as they are. A Qwen2 trunk is a Llama with biases on query, key and value: it is written
    as one, the bias that Llama has on the attention's output being zero.

    Args:
        classifier: LlamaForSequenceClassification or Qwen2ForSequenceClassification with num_labels=1.

    Raises:
        InputError: another architecture.
    """
    from safetensors.torch import save_file
    from transformers import LlamaConfig

    config = classifier.config
    check_score_trunk(config.model_type)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.state_dict().items()}
    weights["score_head.weight"] = weights.pop("score.weight")
    weights |= {"normalizer.mean": torch.zeros(1), "normalizer.var": torch.ones(1), "normalizer.count": torch.ones(1)}
    fields = {key: value for key, value in config.to_dict().items() if key in LlamaConfig().to_dict()}
    fields.pop("id2label", None), fields.pop("label2id", None), fields.pop("model_type", None)
    if config.model_type == "qwen2":
        fields |= {"attention_bias": True, "mlp_bias": False}
        for layer in range(config.num_hidden_layers):
            weights[f"model.layers.{layer}.self_attn.o_proj.bias"] = torch.zeros(config.hidden_size)
    fields["architectures"] = ["LlamaForScore"]
    score = {"score_dim": 1, "bias": False, "score_type": "reward", "do_normalize": False}
    score |= {"normalizer_type": None, "mean": None, "var": None}
    with atomic_folder(folder) as temporary:
        LlamaConfig(**fields, **score).save_pretrained(temporary)
        save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save_pretrained(temporary)


class RewardModel:
    """A reward model with its tokenizer and text format; higher scores are better.

    Args:
        path: hub id or checkpoint folder.
        entry: the reward model's entry, for `reverse`, `text_format` and `trust_remote_code`.
        device: "cpu" or "cuda".
        dtype: of the trunk; the head is float32.
        batch_size: texts side by side.
    """

    def __init__(self, path: str, entry: dict, device: str, dtype: torch.dtype, batch_size: int):
        self.tokenizer = load_tokenizer(path, entry)
        config = AutoConfig.from_pretrained(
            path, revision=entry.get("revision"), trust_remote_code=entry.get("trust_remote_code", False)
        )
        architectures = config.architectures or [""]
        if architectures[0] in HEADED:
            self.model = ScoreModel.from_folder(checkpoint_folder(path, entry), dtype)
            default_format = HEADED[architectures[0]][1]
        else:
            self.model = load_classifier(path, entry, dtype)
            default_format = "chat_template" if self.tokenizer.chat_template else "text_pair"
        self.text_format = entry.get("text_format") or default_format
        self.sign = -1.0 if entry.get("reverse") else 1.0
        self.device, self.batch_size = device, batch_size
        self.model.to(device)
        self.pad_token_id = self.model.config.get_text_config().pad_token_id

    @torch.no_grad()
    def score(self, prompts: list[Text], responses: list[Text]) -> list[float]:
        """A score per (prompt, response), higher is better; costs have their sign turned."""
        texts = [
            reward_inputs(prompt, response, self.tokenizer, self.text_format)
            for prompt, response in zip(prompts, responses, strict=True)
        ]
        scores = [0.0] * len(texts)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]["input_ids"]))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            output = self.model(**self._batch([texts[i] for i in rows]))
            values = output if isinstance(output, Tensor) else output.logits[:, 0]
            for i, value in zip(rows, values.float().tolist(), strict=True):
                scores[i] = self.sign * value
        return scores

    def _batch(self, texts: list[dict]) -> dict[str, Tensor]:
        """Texts padded on the right.

        A causal classifier takes the last token that is not its config's pad token for the text's last: padding is that
        token, whatever the tokenizer's is. One that has none is given an id that no text contains.
        """
        config = self.model.config.get_text_config()
        if self.pad_token_id is None:
            used = {token for text in texts for token in text["input_ids"]}
            config.pad_token_id = next(token for token in range(config.vocab_size) if token not in used)
        fill = {"input_ids": config.pad_token_id, "attention_mask": 0, "token_type_ids": 0}
        rows = [text | {"attention_mask": [1] * len(text["input_ids"])} for text in texts]
        width = max(len(row["input_ids"]) for row in rows)
        return {
            name: torch.tensor([row[name] + [fill[name]] * (width - len(row[name])) for row in rows]).to(self.device)
            for name in rows[0]
        }

    def __call__(self, prompts: list[Text], completions: list[Text], **columns) -> list[float]:
        """TRL's convention of reward functions; `source_prompt` has the prompts before the policy's template."""
        return self.score(columns.get("source_prompt", prompts), [response_text(text) for text in completions])


def load_classifier(path: str, entry: dict, dtype: torch.dtype) -> nn.Module:
    """A one-label sequence classifier; a checkpoint without its head is refused rather than given a random one."""
    model, info = AutoModelForSequenceClassification.from_pretrained(
        path,
        dtype=dtype,
        revision=entry.get("revision"),
        trust_remote_code=entry.get("trust_remote_code", False),
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    for name, there, wanted in sorted(info["mismatched_keys"]):
        raise InputError(f"{path}: weight {name} is of shape {tuple(there)}, needed with shape {tuple(wanted)}")
    if info["missing_keys"] or model.config.num_labels != 1:
        lacking = ", ".join(sorted(info["missing_keys"])) or f"one label (it has {model.config.num_labels})"
        raise InputError(f"{path}: it lacks {lacking}; it is no reward model of a known format")
    return model.eval()


def checkpoint_folder(path: str, entry: dict) -> str:
    """The local folder of a checkpoint: the path itself, or the hub's snapshot."""
    if Path(path).is_dir():
        return path
    from huggingface_hub import snapshot_download

    return snapshot_download(
        path, revision=entry.get("revision"), allow_patterns=["*.json", "*.safetensors", "*.model"]
    )


def score_pairs(frame: pd.DataFrame, model: RewardModel) -> pd.DataFrame:
    """The frame with chosen_score, rejected_score and bt_prob = sigmoid(chosen_score − rejected_score), float64."""
    prompts = [as_text(prompt) for prompt in frame["prompt"]]
    scores = {
        f"{name}_score": pd.Series(
            model.score(prompts, [as_text(value) for value in frame[name]]), dtype="float64", index=frame.index
        )
        for name in ("chosen", "rejected")
    }
    return frame.assign(**scores, bt_prob=expit(scores["chosen_score"] - scores["rejected_score"]))
