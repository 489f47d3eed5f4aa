"""Loading of tokenizers, without the models' weights and what these need."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils.peft_utils import find_adapter_config_file

from pipeline.jobs.io import InputError, read_json
from pipeline.models.reading import readable

CONFIGS = ("config.json", "adapter_config.json", "tokenizer_config.json")


def local_folder(path: str) -> Path | None:
    """The folder of a local checkpoint; None where the path can only be a hub id.

    Raises:
        InputError: there is no such folder, or no checkpoint in it, or its configuration is no JSON.
    """
    folder = Path(path)
    if folder.is_dir():
        files = [file for name in CONFIGS if (file := folder / name).is_file()]
        for file in files:
            if not isinstance(read_json(file), dict):
                raise InputError(f"{file}: it must be a JSON object, in braces")
        if not {"config.json", "adapter_config.json"} & {file.name for file in files}:
            raise InputError(
                f"{path}: neither config.json nor adapter_config.json is there; it must be a checkpoint folder"
            )
        return folder
    if folder.is_absolute() or len(folder.parts) > 2:
        raise InputError(f"{path}: there is no such folder, and no hub id looks like this")
    return None


def is_adapter(path: str, entry: dict | None = None) -> bool:
    """Whether a checkpoint is a PEFT adapter."""
    return find_adapter_config_file(path, revision=(entry or {}).get("revision")) is not None


def adapter_config(path: str, entry: dict | None = None) -> dict:
    """What a PEFT adapter's config says, `revision` (of the base model) included.

    Raises:
        InputError: it names no base model.
    """
    file = find_adapter_config_file(path, revision=(entry or {}).get("revision"))
    found = {"revision": None, **read_json(file)}
    if not found.get("base_model_name_or_path"):
        raise InputError(f"{file}: no base_model_name_or_path; the base model must be named there")
    return found


def load_tokenizer(path: str, entry: dict | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, that of its base model where an adapter has none of its own.

    One without an end of sequence takes the one of the model's config. One without a pad token, or with one that the
    model has no row for, pads with its end of sequence, as padding is masked. What is changed is printed.

    Raises:
        InputError: a local path that is no checkpoint, a tokenizer that cannot be read, or an end of sequence that the
            model has no row for.
    """
    local_folder(path)
    with readable(path, "its tokenizer"):
        return _load_tokenizer(path, entry or {})


def _load_tokenizer(path: str, entry: dict) -> PreTrainedTokenizerBase:
    config = {}
    if is_adapter(path, entry):
        found = adapter_config(path, entry)
        base, of_base = found["base_model_name_or_path"], entry | {"revision": found["revision"]}
        if not get_tokenizer_config(path, revision=entry.get("revision")):
            return load_tokenizer(base, of_base)
        config = _config(base, of_base)
    config = config or _config(path, entry)
    tokenizer = saved_tokenizer(path, entry)
    if isinstance(tokenizer, PreTrainedTokenizerFast) and not _has_words(tokenizer):
        raise InputError(f"{path}: there is no tokenizer, such as a tokenizer.json; it must be in the folder")
    _set_end_and_pad(tokenizer, path, config)
    tokenizer.padding_side = "left"
    return tokenizer


def saved_tokenizer(path: str, entry: dict) -> PreTrainedTokenizerBase:
    """The tokenizer of a hub id or folder, as it was saved there."""
    saved_class = get_tokenizer_config(path, revision=entry.get("revision")).get("tokenizer_class")
    # A plain tokenizer.json is to be read as it is: for some architectures AutoTokenizer would take their own class
    # instead, with another normalisation and tokens that the model does not have.
    loader = PreTrainedTokenizerFast if saved_class == PreTrainedTokenizerFast.__name__ else AutoTokenizer
    return loader.from_pretrained(
        path, revision=entry.get("revision"), trust_remote_code=entry.get("trust_remote_code", False)
    )


def _has_words(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether there are tokens of text; of some architectures transformers makes a tokenizer without any files."""
    added = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    return bool(tokenizer.get_vocab().keys() - added)


def _config(path: str, entry: dict) -> dict:
    """What config.json says of the vocabulary: vocab_size and eos_token_id, as far as it does."""
    config, _ = PreTrainedConfig.get_config_dict(path, revision=entry.get("revision"))
    return {**config, **config.get("text_config", {})}


def _set_end_and_pad(tokenizer: PreTrainedTokenizerBase, path: str, config: dict) -> None:
    """Give a tokenizer the end of sequence and the pad token that it lacks."""
    rows = config.get("vocab_size") or len(tokenizer)
    if tokenizer.eos_token is None:
        ends = config.get("eos_token_id")
        end = ends[0] if isinstance(ends, list) and ends else ends
        if end is None or end >= len(tokenizer):
            return  # an encoder's
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
        print(
            f"{path}: the tokenizer has no end of sequence; it is {tokenizer.eos_token!r}, by config.json", flush=True
        )
    if tokenizer.eos_token_id >= rows:
        raise InputError(
            f"{path}: the end of sequence {tokenizer.eos_token!r} is token {tokenizer.eos_token_id}, but the model has "
            f"{rows} rows: this tokenizer is not the model's"
        )
    if tokenizer.pad_token is not None and tokenizer.pad_token_id >= rows:
        print(
            f"{path}: the pad token {tokenizer.pad_token!r} is token {tokenizer.pad_token_id}, but the model has "
            f"{rows} rows; padded is with {tokenizer.eos_token!r}, which the mask tells apart",
            flush=True,
        )
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
