"""Networks that give one score per text: a causal trunk with a linear head, an encoder with its own, others' own code.

All take padded token ids and give float32 scores; whatever the trunk's precision is, the head's is float32. Padding may
be on either side of a causal trunk and is never taken for the text's end.
"""

import inspect

import torch
from torch import Tensor, nn
from transformers import AutoModel

from pipeline.jobs.io import InputError

# Architecture of a trunk with a head of its own: the head's name in the checkpoint.
HEADED = {
    "LlamaForScore": "score_head",
    "LlamaModelForScore": "score_head",
    "EurusRewardModel": "regression_head",
    "LlamaRewardModel": "regression_head",
}

# What safe-rlhf does to scores where the config says do_normalize, by its score_type.
NORMALISATION = {"reward": "affine", "cost": "scale", "critic": "identity"}


class CausalScorer(nn.Module):
    """A causal trunk whose last token's hidden state a float32 head turns into the score.

    Subclasses set `config`, `trunk` and `head`.
    """

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Scores, shape (B,), float32; inputs have shape (B, T) and may be padded on either side."""
        # Counted from the text's own first token: a rotation by thousands of padding positions would cost digits.
        positions = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
        hidden = self._hidden(input_ids, attention_mask, positions)
        index = torch.arange(attention_mask.size(1), device=attention_mask.device)
        ends = attention_mask if self.passed_over is None else attention_mask * (input_ids != self.passed_over)
        last = (ends * index).argmax(dim=1)
        return self._head(hidden[torch.arange(len(hidden), device=hidden.device), last])

    def forward_packed(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, last: Tensor) -> Tensor:
        """Scores of texts that share the beginning of a row, shape (N,), float32.

        Args:
            input_ids, position_ids: shape (B, T).
            attention_mask: additive, shape (B, 1, T, T), in the trunk's precision.
            last: row and column of the token that each text is scored at, shape (2, N).
        """
        return self._head(self._hidden(input_ids, attention_mask, position_ids)[last[0], last[1]])

    def _hidden(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor) -> Tensor:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if "position_ids" in inspect.signature(self.trunk.forward).parameters:
            inputs["position_ids"] = position_ids
        return self.trunk(**inputs).last_hidden_state

    @property
    def passed_over(self) -> int | None:
        """A token that is never taken for a text's last, although it is attended; None where any may be it."""
        return None

    def _head(self, hidden: Tensor) -> Tensor:
        """Scores, shape (N,), of hidden states of shape (N, hidden)."""
        return self.head(hidden.float())[:, 0]


class ScoreModel(CausalScorer):
    """A trunk with a linear head at the last attended token, normalised where the config says so.

    Its weights have the names that they have in the checkpoint.

    Args:
        config: of the checkpoint, its first architecture one of HEADED.
        dtype: of the trunk.
        trunk: made from the config where absent.
        attention: transformers' attn_implementation.
    """

    def __init__(
        self, config, dtype: torch.dtype = torch.float32, trunk: nn.Module | None = None, attention: str | None = None
    ):
        super().__init__()
        self.config = config
        kwargs = {"attn_implementation": attention} if attention else {}
        self.model = AutoModel.from_config(config, dtype=dtype, **kwargs) if trunk is None else trunk
        kind = NORMALISATION.get(getattr(config, "score_type", "reward"), "affine")
        # Some name the function where safe-rlhf names the running statistic.
        named = getattr(config, "normalizer_type", None)
        kind = named if named in NORMALISATION.values() else kind
        self.normalisation = kind if getattr(config, "do_normalize", False) else "identity"
        size = getattr(config, "score_dim", 1)
        self.head_name = HEADED[config.architectures[0]]
        self.add_module(self.head_name, nn.Linear(config.hidden_size, size, bias=getattr(config, "bias", False)))
        if self.normalisation != "identity":
            self.normalizer = nn.Module()
            for name in ("mean", "var"):
                self.normalizer.register_buffer(name, torch.ones(size))

    @property
    def trunk(self) -> nn.Module:
        return self.model

    def _head(self, hidden: Tensor) -> Tensor:
        score = getattr(self, self.head_name)(hidden.float())
        if self.normalisation == "affine":
            score = score - self.normalizer.mean
        if self.normalisation != "identity":
            score = score / self.normalizer.var.sqrt()
        return score[:, 0]


class CausalClassifier(CausalScorer):
    """A causal sequence classifier with one label.

    Like transformers' own it takes the last token that is not the config's pad token for the text's last; padding
    itself is told by the attention mask, so that any token may pad.

    Args:
        classifier: with the head `score` on its base model.
    """

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier
        self.config = classifier.config
        classifier.score.float()

    @property
    def trunk(self) -> nn.Module:
        return getattr(self.classifier, self.classifier.base_model_prefix)

    @property
    def head(self) -> nn.Module:
        return self.classifier.score

    @property
    def passed_over(self) -> int | None:
        return self.config.get_text_config().pad_token_id


class FirstLogit(CausalScorer):
    """A language model whose logit of its vocabulary's first token, behind the text, is the score.

    Args:
        model: a causal language model.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.config = model.config
        self.trunk = getattr(model, model.base_model_prefix)
        weight = model.get_output_embeddings().weight[:1].detach().float()
        self.head = nn.Linear(weight.size(1), 1, bias=False)
        self.head.weight = nn.Parameter(weight)


class CustomClassifier(nn.Module):
    """A reward model that runs its own code: the number that it gives for each text is the score."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier
        self.config = classifier.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Scores, shape (B,), float32; inputs have shape (B, T), padded on the right.

        Raises:
            InputError: it gives no number, or several, for each text.
        """
        output = self.classifier(input_ids=input_ids, attention_mask=attention_mask)
        scores = getattr(output, "score", None)
        scores = getattr(output, "logits", output) if scores is None else scores
        if not isinstance(scores, Tensor) or scores.numel() != len(input_ids):
            found = f"of shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
            raise InputError(
                f"the reward model's own code gives {found} for {len(input_ids)} texts, not a score for each"
            )
        return scores.reshape(len(input_ids)).float()


class EncoderClassifier(nn.Module):
    """A sequence classifier with one label and a head of any shape, such as DeBERTa's."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier
        self.config = classifier.config
        for name, module in classifier.named_children():
            if name != classifier.base_model_prefix:
                module.float()
                module.register_forward_pre_hook(_in_float32)

    def forward(self, **inputs: Tensor) -> Tensor:
        """Scores, shape (B,), float32; inputs as the tokenizer names them, padded on the right."""
        return self.classifier(**inputs).logits[:, 0].float()


def _in_float32(module: nn.Module, arguments: tuple) -> tuple:
    return tuple(
        value.float() if isinstance(value, Tensor) and value.is_floating_point() else value for value in arguments
    )


class SafeRlhfScorer(nn.Module):
    """A score model of the package safe_rlhf itself."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.config = model.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Scores, shape (B,), float32; inputs have shape (B, T), padded on the right."""
        return self.model(input_ids, attention_mask=attention_mask).end_scores[:, 0].float()


def brings_code(model: nn.Module) -> bool:
    """Whether a model's class is from its checkpoint's own code."""
    return type(model).__module__.startswith("transformers_modules")


def is_causal_classifier(model: nn.Module) -> bool:
    """Whether a classifier is a base model with the linear head `score`, read at one token."""
    return hasattr(model, "score") and hasattr(model, model.base_model_prefix)
