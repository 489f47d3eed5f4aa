"""Ways to break a checkpoint folder, and what is said of it."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.jobs.io import InputError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def configure(folder, name: str = "config.json", **fields) -> None:
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(config | fields))


def rename(folder, name: str = "model.safetensors", prefix: str = "module.") -> None:
    weights = {f"{prefix}{key}": value for key, value in load_file(folder / name).items()}
    save_file(weights, folder / name, metadata={"format": "pt"})


def pickled(folder, stem: str = "model") -> None:
    torch.save(load_file(folder / f"{stem}.safetensors"), folder / f"{'pytorch_' * (stem == 'model')}{stem}.bin")
    (folder / f"{stem}.safetensors").unlink()


def cut(folder, name: str = "model.safetensors", size: int = 3000) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:size])


def planted(folder) -> None:
    """Code in the folder, which writes a file where it is run."""
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n")
    configure(folder, model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})


def without(*names: str):
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def of_text(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


def refused(folder, load) -> str:
    with pytest.raises(InputError) as caught:
        load(str(folder))
    text = str(caught.value)
    assert text.startswith(str(folder)) and "\n" not in text and len(text) < 700
    assert not (folder / "ran").exists()
    return text.removeprefix(str(folder))
