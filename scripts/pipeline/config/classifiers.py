"""What can be known of a pretrained model while a config is read: what its small files say."""

import ast
import importlib.util
from functools import cache
from pathlib import Path

SMALL_FILES = ("config.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json")
CLASSIFIERS = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"


def checkpoint_files(path: str, revision: str | None = None) -> dict[str, Path]:
    """{name: file} of a checkpoint's small files that are on this machine: in its folder, or in the hub's cache."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        return {name: folder / name for name in SMALL_FILES if (folder / name).is_file()}
    if len(folder.parts) != 2 or folder.is_absolute():
        return {}
    from huggingface_hub import try_to_load_from_cache

    found = {name: try_to_load_from_cache(path, name, revision=revision) for name in SMALL_FILES}
    return {name: Path(file) for name, file in found.items() if isinstance(file, str)}


def has_classifier(model_type: str) -> bool:
    """Whether transformers has a sequence classifier for a type of model, by its name in config.json."""
    return not _classifiers() or model_type in _classifiers()


@cache
def _classifiers() -> frozenset[str]:
    """All such types, from the library's source: to import it takes seconds."""
    [package] = importlib.util.find_spec("transformers").submodule_search_locations
    tree = ast.parse(Path(package, "models/auto/modeling_auto.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == CLASSIFIERS:
            return frozenset(name for name, _ in ast.literal_eval(node.value.args[0]))
    return frozenset()
