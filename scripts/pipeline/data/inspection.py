"""A look at a dataset before there is an entry for it: its shape, some pairs as they would be trained on, an entry."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.columns.pairs import PAIR_COLUMNS, PAIR_RESPONSES
from pipeline.data.detection import adapter_of
from pipeline.data.dialogues import is_dialogue_text
from pipeline.data.filters import RowFilter
from pipeline.data.loading import is_hub_id, is_saved, load_hub, load_saved, read_batches
from pipeline.data.split_files import split_files
from pipeline.data.splitting import dropped_rows
from pipeline.data.tally import CHANGED, MALFORMED, SHAPE, Tally, in_words
from pipeline.jobs.io import InputError
from pipeline.jobs.parts import load_part

PAIRS = 5
CHARACTERS = 600  # of a text that are shown
EVAL_SPLITS = ("test", "validation", "eval", "dev", "valid", "val")


# Names that columns have here and there, by their role.
GUESSES = {
    "prompt": ("prompt", "question", "instruction", "query", "input", "context"),
    "chosen": ("chosen", "better", "preferred", "accepted", "chosen_response", "response_chosen", "positive"),
    "rejected": ("rejected", "worse", "dispreferred", "rejected_response", "response_rejected", "negative"),
    "system": ("system", "system_prompt", "sys"),
}


@dataclass(frozen=True)
class Inspection:
    """What was found in a dataset.

    Attributes:
        entry: keys of its entry.
        rows: that were read, the first of its train split.
        tally: what became of them.
        pairs: some of them, prompt, chosen and rejected.
    """

    entry: dict
    rows: int
    tally: Tally
    pairs: list[dict]


def inspect(path: str, config_name: str | None = None) -> Inspection:
    """Look at the first rows of a dataset.

    Args:
        path: local file or folder, or hub id.
        config_name: of the dataset on the hub.

    Raises:
        InputError: it cannot be read, or its rows are of no known shape or source.
    """
    place = {"path": path, **({"config_name": config_name} if config_name else {})}
    splits = _splits(path, config_name)
    found: dict = {}

    def choose(present: list[str]) -> list[str]:
        spec, adapter = adapter_of(present)
        if spec["source"] == "plain" and (columns := _guessed(present)):
            spec, adapter = adapter_of(present, columns)
        found.update(spec=spec, columns=adapter.of(present).columns)
        return found["columns"]

    read = {"source": "plain", **place, "splits": {"train": splits["train"]}}
    batch = next(_first_batch(read, choose), None)
    if batch is None:
        raise InputError(f"{path}: the split {splits['train']!r} has no rows")
    spec = found["spec"]
    if set(found["columns"]) == set(PAIR_RESPONSES) and _is_hh(batch.table.slice(0, 1).to_pylist()[0]):
        spec = {"source": "hh_rlhf"}
    filtered = RowFilter({**spec, **place, "name": path, "near_duplicates": None})(batch)
    tally = Tally()
    tally.take(filtered.dropped, filtered.notes)
    ending = {"splits": splits} if "eval" in splits else {"eval_share": 0.1}
    if "eval" not in splits and splits["train"] != "train":
        ending["splits"] = splits
    pairs = filtered.pairs.slice(0, PAIRS).select(PAIR_COLUMNS).to_pylist()
    entry = {"source": spec["source"], **place, **spec, **ending}
    return Inspection(entry, len(batch.table), tally, pairs)


def report(found: Inspection) -> str:
    """What was found, in lines for a terminal."""
    source = found.entry["source"]
    shape = "; ".join(found.tally.of(SHAPE)) or load_part("sources", source, "description").SENTENCE
    lines = [f"source: {source}", f"shape: {shape}"]
    dropped = in_words(dropped_rows(found.tally), found.tally.of(MALFORMED))
    lines += [f"of the first {found.rows:,} rows: dropped {dropped}; changed {in_words(found.tally.of(CHANGED))}"]
    for number, pair in enumerate(found.pairs, start=1):
        lines += ["", f"pair {number}"]
        for name, value in pair.items():
            turns = [("", value)] if isinstance(value, str) else [(f" {m['role']}", m["content"]) for m in value]
            lines += [f"  {name}{role}: {_shortened(text)}" for role, text in turns]
    if not found.pairs:
        lines += ["", "None of these rows has a usable pair."]
    return "\n".join([*lines, "", *_entry_lines(found.entry)])


def _entry_lines(entry: dict) -> list[str]:
    """The entry to paste, with what it still needs."""
    name = re.sub(r"[^A-Za-z0-9_.-]+|\.(parquet|jsonl)(\.gz)?$", "", Path(entry["path"]).name) or "mine"
    text = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True, width=120).rstrip()
    note = "# reward_model and judge: in the entry, or once in the config"
    return ["The entry for config/datasets.yaml, or for definitions: {datasets: …} of a config:", "", text, f"  {note}"]


def _shortened(text: str) -> str:
    text = text.replace("\n", "\n    ")
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}… ({len(text):,} characters)"


def _first_batch(spec: dict, columns) -> Iterator:
    yield from read_batches(spec, spec["splits"]["train"], columns)


def _guessed(present: list[str]) -> dict[str, str]:
    """The columns by role where the responses have other names that are known; {} where they are not."""
    found = {role: next((name for name in names if name in present), None) for role, names in GUESSES.items()}
    others = found["chosen"] != "chosen" or found["rejected"] != "rejected"
    return (
        {role: name for role, name in found.items() if name} if others and all(map(found.get, PAIR_RESPONSES)) else {}
    )


def _is_hh(row: dict) -> bool:
    return all(isinstance(row[name], str) and is_dialogue_text(row[name]) for name in PAIR_RESPONSES)


def _splits(path: str, config_name: str | None) -> dict[str, str]:
    """The splits to train and evaluate on: {train, eval}, without eval where there is none.

    Raises:
        InputError: there is no such dataset.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return {"train": "train"}
    if place.is_dir() and not is_saved(place):
        for name in EVAL_SPLITS:
            try:
                if not set(split_files(place, name)) & set(split_files(place, "train")):
                    return {"train": "train", "eval": name}
            except InputError:
                continue
        return {"train": "train"}
    if not place.is_dir() and not is_hub_id(path):
        raise InputError(f"{path}: there is no such file or folder, and it is no hub id (owner/name)")
    loaded = load_saved(place) if place.is_dir() else load_hub(path, config_name)
    names = list(loaded) if isinstance(loaded, dict) else ["train"]
    train = next((name for name in names if name.startswith("train")), names[0])
    wanted = [train.replace("train", name, 1) for name in EVAL_SPLITS]
    held_out = next((name for name in wanted if name in names and name != train), None)
    return {"train": train, **({"eval": held_out} if held_out else {})}
