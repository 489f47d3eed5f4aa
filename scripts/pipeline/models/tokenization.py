"""Loading of tokenizers, without the models' weights and what these need."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from pipeline.jobs.io import InputError


def local_folder(path: str) -> Path | None:
    """The folder of a local checkpoint; None where the path can only be a hub id.

    Raises:
        InputError: there is no such folder, or no checkpoint in it.
    """
    folder = Path(path)
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise InputError(
                f"{path}: neither config.json nor adapter_config.json is there; it must be a checkpoint folder"
            )
        return folder
    if folder.is_absolute() or len(folder.parts) > 2:
        raise InputError(f"{path}: there is no such folder, and no hub id looks like this")
    return None


def load_tokenizer(path: str, entry: dict | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint; one without a pad token pads with its end of sequence.

    Raises:
        InputError: a local path that is no checkpoint.
    """
    entry = entry or {}
    local_folder(path)
    saved_class = get_tokenizer_config(path, revision=entry.get("revision")).get("tokenizer_class")
    # A plain tokenizer.json is to be read as it is: for some architectures AutoTokenizer would take their own class
    # instead, with another normalisation and tokens that the model does not have.
    loader = PreTrainedTokenizerFast if saved_class == PreTrainedTokenizerFast.__name__ else AutoTokenizer
    tokenizer = loader.from_pretrained(
        path, revision=entry.get("revision"), trust_remote_code=entry.get("trust_remote_code", False)
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer
