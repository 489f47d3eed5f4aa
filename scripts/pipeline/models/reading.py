"""Reading of checkpoints that may be broken: what the libraries raise is one line that names the folder.

Every weight of a model that is loaded here is from its checkpoint, none a random number.
"""

import contextlib
import re
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from pipeline.jobs.io import InputError
from pipeline.jobs.refusals import full_disk, refused_path

LONGEST, MOST_NAMES = 300, 5  # characters of a library's words, names of weights
# Errors of the machine, not of a checkpoint.
OF_THE_MACHINE = ("MemoryError", "OutOfMemoryError", "AcceleratorError")
COMPUTED = re.compile(r"(.*\.)?(inv_freq|masked_bias)$")  # of older code, which saves them
OWN_CODE = "it brings code of its own, which is run where its entry has trust_remote_code: true"


@contextlib.contextmanager
def readable(path: str | Path, what: str) -> Iterator[None]:
    """Make one line of what transformers, PEFT, safetensors, tokenizers or json raise in the block.

    Args:
        path: hub id or folder of a checkpoint.
        what: of it is read, such as "its tokenizer".

    Raises:
        InputError: it cannot be read.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # tokenizers has no class of its own
        machine = any(kind.__name__ in OF_THE_MACHINE for kind in type(error).__mro__)
        if machine or refused_path(error) or full_disk(error):
            raise
        raise InputError(f"{path}: {what} cannot be had ({reason(error)}); {_remedy(path, error)}") from error


def reason(error: Exception) -> str:
    """What an error says, in one line of at most LONGEST characters; its kind too, where that tells more."""
    text = " ".join(str(error).split())
    if (not isinstance(error, OSError | ImportError) and type(error) is not ValueError) or not text:
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def refuse_missing(path: str | Path, names: Collection[str], hint: str = "") -> None:
    """Raise for weights that a model needs and a checkpoint lacks.

    Raises:
        InputError: there are any.
    """
    if names:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        listed = ", ".join(sorted(names)[:MOST_NAMES])
        raise InputError(f"{path}: it lacks {listed}{more}{hint}")


def load_whole(kind, path: str | Path, spares: Callable[[Any, str], bool] | None = None, hint: str = "", **kwargs):
    """A model by one of transformers' automatic classes, all its weights from the checkpoint.

    Args:
        spares: called with the model and a weight's name, whether the checkpoint may lack that, or have it in another
            shape.
        hint: ends the message of what is missing.
        kwargs: for from_pretrained. Only safetensors are read unless use_safetensors says otherwise.

    Raises:
        InputError: a weight is missing or of another shape; it is no such model.
    """
    kwargs = {"use_safetensors": True, **kwargs}
    with readable(path, "the model"):
        model, info = kind.from_pretrained(path, ignore_mismatched_sizes=True, output_loading_info=True, **kwargs)
    for name, there, wanted in sorted(info["mismatched_keys"]):
        if not (spares and spares(model, name)):
            raise InputError(f"{path}: weight {name} is of shape {tuple(there)}, needed with shape {tuple(wanted)}")
    missing = {name for name in info["missing_keys"] if not COMPUTED.match(name)}
    refuse_missing(path, {name for name in missing if not (spares and spares(model, name))}, hint)
    return model


@contextlib.contextmanager
def whole_adapter(path: str | Path) -> Iterator[None]:
    """Refuse, in the block, an adapter of other shapes than its base model's, or without a weight: PEFT only warns.

    Raises:
        InputError: it does not fit its base model, or cannot be read.
    """
    with readable(path, "the adapter"), warnings.catch_warnings():
        warnings.filterwarnings("error", "(.|\n)*Found missing adapter keys", UserWarning)
        try:
            yield
        except (RuntimeError, ValueError, UserWarning) as error:
            if any(kind.__name__ in OF_THE_MACHINE for kind in type(error).__mro__):
                raise
            raise InputError(f"{path}: the adapter does not fit its base model ({reason(error)})") from error


def refuse_pickles(path: str | Path, stem: str) -> None:
    """Raise for a local folder whose weights are not in safetensors.

    Args:
        stem: that the files' names begin with: model or adapter_model.

    Raises:
        InputError: there are only pickles, or no weights.
    """
    folder = Path(path)
    if not folder.is_dir() or any(folder.glob(f"{stem}*.safetensors")):
        return
    pickles = sorted(folder.glob("*.bin"))
    found = f"; {pickles[0].name} is a pickle, which could run code: save it anew as safetensors" if pickles else ""
    raise InputError(f"{path}: no {stem}*.safetensors there; weights in other formats are not read{found}")


def _remedy(path: str | Path, error: Exception) -> str:
    """What can be done about an error."""
    if "trust_remote_code" in str(error):
        return OWN_CODE
    if isinstance(error, ImportError):
        return "where it names a package, pip install that"
    if "use_safetensors" in str(error):
        return "of weights only safetensors are read, no pickles (.bin)"
    if "ecognize" in str(error):
        return "it must be of a kind that the installed transformers has"
    if not Path(path).is_dir():
        return "give a hub id that this machine can reach or has in its cache, or a local folder"
    return "give a folder that save_pretrained wrote, or download it anew"
