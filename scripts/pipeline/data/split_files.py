"""Which data files of a folder belong to which split, by the names that `datasets` and the hub use.

A file's label is the folder above it that is called like a split (`train/part.parquet`), else a folder with one of its
words in its name (`test-clean/part.parquet`), else its own name without suffix and shard (`train_prefs` of
`data/train_prefs-00000-of-00002.parquet`). A split that is asked for has the files of that label. Where there are none
it has those whose label begins with it (`train_prefs` for train) or has one of its words (`dev.jsonl` for validation),
as `datasets` has them, unless these are several splits.
"""

import os
import re
import stat
from pathlib import Path

from pipeline.jobs.io import InputError

SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")
WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_NAMES = {"train", "validation", "valid", "val", "dev", "test", "eval"}
BREAK = r"[-._ 0-9]"
SHARD = re.compile(r"-\d+-of-\d+.*$")


def local_kind(path: Path) -> str:
    """What is at a path: "file", "folder", or "" where there is nothing.

    Raises:
        InputError: it is something else, such as a named pipe, or may not be looked at.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)[:200]}: cannot be read ({reason})") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path}: it is neither a file nor a folder, from which data could be read")
    return "folder" if stat.S_ISDIR(mode) else "file"


def split_files(folder: Path, split: str) -> list[Path]:
    """The data files of a split below a folder, sorted.

    Raises:
        InputError: there are none, or those of several splits; the message lists the splits that there are.
    """
    labels = {file: split_name(file) for file in data_files(folder)}
    chosen = [file for file in labels if labels[file] == split or split in file.parent.parts]
    if not chosen:
        chosen = [file for file in labels if fits(labels[file], split)]
        if len(several := _sharded(chosen)) > 1:
            text = f"the split {split!r} may be any of {', '.join(several)}"
            raise InputError(f"{folder}: {text}; name one of them, for example in `splits`")
    if not chosen and split == "train" and _is_one_split(list(labels)):
        chosen = list(labels)
    if not chosen:
        present = ", ".join(sorted(set(labels.values())))
        raise InputError(f"{folder}: there is no split {split!r}; the files in it name {present}")
    return [folder / file for file in chosen]


def folder_splits(folder: Path) -> list[str]:
    """The names of all splits in a folder, sorted; `train` where its files name none.

    Raises:
        InputError: there is no data file in it.
    """
    files = data_files(folder)
    return ["train"] if _is_one_split(files) else sorted(set(map(split_name, files)))


def data_files(folder: Path) -> list[Path]:
    """The data files below a folder, relative to it, in the order of their paths; none that are hidden.

    Raises:
        InputError: there are none, one is no file, or a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: this folder cannot be read ({error.strerror})") from error

    found = [Path(at, name).relative_to(folder) for at, _, names in os.walk(folder, onerror=refuse) for name in names]
    files = [file for file in sorted(found) if file.name.endswith(SUFFIXES)]
    files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    if not files:
        raise InputError(f"{folder}: there is no data file in this folder; it must hold {', '.join(SUFFIXES)} files")
    for file in files:
        local_kind(folder / file)
    return files


def split_name(file: Path) -> str:
    """The label of a file, from its path below the folder."""
    stem = SHARD.sub("", _without_suffix(file.name))
    folders = [part for part in file.parent.parts if part in SPLIT_NAMES]
    if not folders and stem not in SPLIT_NAMES:
        folders = [part for part in file.parent.parts if names_split(part)]
    return folders[-1] if folders else stem


def names_split(label: str) -> bool:
    """Whether a label says of which split a file is, by a word or a prefix."""
    return any(fits(label, split) for split in (*WORDS, "selection"))


def fits(label: str, split: str) -> bool:
    """Whether files of a label can be meant by a split's name.

    Of two splits whose words are in a label, it is the one whose word comes first.
    """
    if re.match(rf"{re.escape(split)}({BREAK}|$)", label):
        return True
    places = {name: _place(label, words) for name, words in WORDS.items()}
    return split in places and places[split] is not None and places[split] == min(filter(None, places.values()))


def _place(label: str, words: tuple[str, ...]) -> int | None:
    """Where the first of the words is in a label, counted from 1; None where none is."""
    found = re.search(rf"(?:^|{BREAK})({'|'.join(words)})(?:{BREAK}|$)", label)
    return found.start(1) + 1 if found else None


def _without_suffix(name: str) -> str:
    return re.sub(r"\.(parquet|jsonl|jsonl\.gz)$", "", name)


def _sharded(files: list[Path]) -> list[str]:
    """The labels of files that are numbered as shards: each is a split of its own."""
    return sorted({split_name(file) for file in files if SHARD.search(_without_suffix(file.name))})


def _is_one_split(files: list[Path]) -> bool:
    """Whether a folder's files are of one split, which they do not name."""
    return not any(names_split(split_name(file)) for file in files) and len(_sharded(files)) < 2
