"""What to do about a dataset of the hub that cannot be loaded, in one line."""

import re


def why_not_loaded(path: str, config_name: str | None, split: str | None, error: Exception) -> str:
    """A line for an error of the `datasets` library or its clients.

    Args:
        path, config_name, split: what was to be loaded.
    """
    reason, kind = " ".join(str(error).split()), type(error).__name__
    if found := re.search(r"BuilderConfig '.*' not found. Available: \[(.*?)\]", reason):
        return f"{path}: there is no configuration {config_name!r}; config_name must be one of {_listed(found[1])}"
    if found := re.search(r"Config name is missing.*?\[(.*?)\]", reason):
        return f"{path}: it has several configurations; give one as config_name: {_listed(found[1])}"
    if found := re.search(r"Unknown split .*?Should be one of \[(.*?)\]", reason):
        return f"{path}: there is no split {split!r}; it has {_listed(found[1])}"
    if "gated" in reason:
        return f"{path}: it is gated; ask for access on its page, and set HF_TOKEN to a token of the one who has it"
    if kind == "DatasetNotFoundError":
        return (
            f"{path}: no such dataset on the hub, or a private one; check owner, name and revision, set HF_TOKEN to a "
            "token that may read it, or give a local path"
        )
    if isinstance(error, ImportError):
        package = re.search(r"No module named '([\w.]+)'|pip install ([\w-]+)", reason)
        name = package and (package[1] or package[2])
        return f"{path}: a package is not installed ({reason})" + (f": pip install {name}" if name else "")
    what = f"{path}, split {split!r}" if split else path
    return (
        f"{what}: there is no such local file or folder, and it could not be loaded from the Hugging Face Hub "
        f"({kind}: {reason}). Give a hub id (owner/name) that this machine can reach or has in its cache, or a local "
        "path"
    )


def _listed(names: str) -> str:
    return ", ".join(name.strip("'\" ") for name in names.split(","))
