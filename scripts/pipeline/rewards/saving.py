"""Trained reward models on disk: adapters with their head, safe-rlhf score models, sequence classifiers."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from pipeline.jobs.io import InputError, atomic_folder
from pipeline.models.checkpoints import save_checkpoint

# Trunks that a safe-rlhf score model can have.
SCORE_TRUNKS = ("llama", "qwen2")


def save_reward_model(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    merge: bool = False,
    state_dict: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a trained reward model so that it scores as it did when it was trained.

    Beside an adapter stands the classifier's config, which says what the base model's does not: the text format, and
    the pad token, before which a text is scored where it ends in it. For that token's sake a Llama or Qwen2 whose pad
    token is its end of sequence stays a sequence classifier, as other architectures do; the rest become score models.

    Args:
        model: a one-label sequence classifier, or LoRA adapters on one; its config has `text_format`.
        merge: write adapters merged into their base model, for one that is kept nowhere.
        state_dict: the weights, where the model has a part of them only; not with `merge`.
    """
    if hasattr(model, "peft_config") and not merge:
        save_checkpoint(model, tokenizer, folder, state_dict)
        config = type(model.config).from_dict(model.config.to_dict())
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        config.save_pretrained(folder)
        return
    if hasattr(model, "peft_config"):
        model = model.cpu().float().merge_and_unload()
    config = model.config
    if config.model_type in SCORE_TRUNKS and tokenizer.pad_token_id != tokenizer.eos_token_id:
        save_score_model(model, tokenizer, folder, config.text_format, state_dict)
    else:
        save_checkpoint(model, tokenizer, folder, state_dict)


def save_score_model(
    classifier: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    text_format: str | None = None,
    state_dict: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a one-label sequence classifier as a safe-rlhf score model.

    Llama trunks are written as they are. A Qwen2 trunk is a Llama with biases on query, key and value: it is written
    as one, the bias that Llama has on the attention's output being zero.

    Args:
        classifier: LlamaForSequenceClassification or Qwen2ForSequenceClassification with num_labels=1.
        text_format: that it was trained on; recorded in the config, where scoring finds it.
        state_dict: the weights, where the classifier has a part of them only.

    Raises:
        InputError: another architecture.
    """
    from transformers import LlamaConfig

    config = classifier.config
    if config.model_type not in SCORE_TRUNKS:
        raise InputError(f"a {config.model_type} reward model cannot be written as a Llama score model: llama or qwen2")
    whole = classifier.state_dict() if state_dict is None else state_dict
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in whole.items()}
    weights["score_head.weight"] = weights.pop("score.weight")
    weights |= {"normalizer.mean": torch.zeros(1), "normalizer.var": torch.ones(1), "normalizer.count": torch.ones(1)}
    known = LlamaConfig().to_dict().keys() - {"id2label", "label2id", "model_type"}
    fields = {key: value for key, value in config.to_dict().items() if key in known}
    if config.model_type == "qwen2":
        fields |= {"attention_bias": True, "mlp_bias": False}
        for layer in range(config.num_hidden_layers):
            weights[f"model.layers.{layer}.self_attn.o_proj.bias"] = torch.zeros(config.hidden_size)
    fields["architectures"] = ["LlamaForScore"]
    score = {"score_dim": 1, "bias": False, "score_type": "reward", "do_normalize": False}
    score |= {"normalizer_type": None, "mean": None, "var": None}
    score |= {"text_format": text_format} if text_format else {}
    with atomic_folder(folder) as temporary:
        LlamaConfig(**fields, **score).save_pretrained(temporary)
        save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save_pretrained(temporary)
