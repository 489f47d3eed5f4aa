"""The files of a reward model's checkpoint: where they are, which of them may be read, what they are told by."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline.jobs.io import InputError, file_hash, joint_hash, read_json, visible_files
from pipeline.jobs.refusals import full_disk
from pipeline.models.checkpoints import local_folder


def checkpoint_folder(path: str, entry: dict) -> str:
    """The local folder of a checkpoint: the path itself, or the hub's snapshot.

    Raises:
        InputError: a local path that is no checkpoint, or a hub id that cannot be had.
    """
    if local_folder(path):
        return path
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    patterns += ["*.bin"] if entry.get("allow_pickle") else []
    patterns += ["*.py"] if entry.get("trust_remote_code") else []
    try:
        return snapshot_download(path, revision=entry.get("revision"), allow_patterns=patterns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # the last three: no hub's answers
        if full_disk(error):
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"{path}: the reward model cannot be had from the Hugging Face Hub ({reason}). Give a hub id that this "
            "machine can reach or has in its cache, or a local folder"
        ) from error


def weight_files(folder: Path, stem: str, entry: dict) -> list[Path]:
    """The files of weights: safetensors, or pickles where there is nothing else and the entry allows them.

    Raises:
        InputError: there are none that may be read.
    """
    shards = sorted(folder.glob(f"{stem}*.safetensors")) or sorted(folder.glob("*.safetensors"))
    pickles = sorted(folder.glob("*.bin"))
    if not shards and entry.get("allow_pickle"):
        shards = pickles
    if not shards:
        found = f"; {pickles[0].name} is a pickle, which is read only with allow_pickle: true" if pickles else ""
        raise InputError(f"{folder}: no *.safetensors there; weights in other formats are not read{found}")
    return shards


def read_weights(folder: Path, entry: dict, stem: str = "model") -> dict[str, Tensor]:
    """All weights of a folder, by name; pickles are read as tensors alone, without running what they hold."""
    weights = {}
    for shard in weight_files(folder, stem, entry):
        if shard.suffix == ".safetensors":
            weights |= load_file(shard)
        else:
            weights |= torch.load(shard, map_location="cpu", weights_only=True)
    return weights


def content_hash(path: str, entry: dict) -> str:
    """SHA-256 of all that a reward model is read from: weights, configs and tokenizer, its adapter's base too."""
    folder = Path(checkpoint_folder(path, entry))
    hashes = {name: _hub_hash(file) or file_hash(file) for name, file in visible_files(folder).items()}
    if (folder / "adapter_config.json").is_file():
        hashes["the base model"] = content_hash(base_of_adapter(folder), base_entry(folder, entry))
    return joint_hash(hashes)


def _hub_hash(file: Path) -> str | None:
    """The hash of a large file in the hub's cache, which names it by that; None for other files."""
    blob = file.resolve()
    return blob.name if blob.parent.name == "blobs" and len(blob.name) == 64 else None


def base_of_adapter(folder: Path) -> str:
    """The base model that an adapter's config names.

    Raises:
        InputError: it names none.
    """
    base = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise InputError(
            f"{folder}/adapter_config.json: no base_model_name_or_path; the base model must be named there"
        )
    return base


def base_entry(folder: Path, entry: dict) -> dict:
    """The entry with the revision of the base model in place of the adapter's."""
    return entry | {"revision": read_json(folder / "adapter_config.json").get("revision")}
