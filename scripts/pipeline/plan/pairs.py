"""How many pairs a dataset's splits have and how long they are: from its data card, or before that from its entry."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pipeline.config.prompts import set_spec
from pipeline.config.settings import Settings

CHARACTERS = 4  # of a token
UNSEEN = 10_000  # rows of a dataset that says nothing of how many it has
UNSEEN_SET = 1_000  # turns of a set of prompts that nobody has seen yet
# Tokens of a prompt and of a response that nobody has seen yet: those of the embedded world, else of dialogues.
WORLD_LENGTHS, USUAL_LENGTHS = (12.0, 17.0), (150.0, 150.0)


@dataclass(frozen=True)
class Pairs:
    """A dataset in numbers.

    Attributes:
        rows: pairs of each split.
        prompt, response: mean tokens.
        counted: whether the rows are those of the prepared splits, or follow from the entry; else they are a guess.
        prepared: when the splits were written, empty before that.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    prompt: float = USUAL_LENGTHS[0]
    response: float = USUAL_LENGTHS[1]
    counted: bool = True
    prepared: str = ""


def planned_pairs(settings: Settings, dataset: str, results: Path) -> Pairs:
    """What a dataset is, or will be once it is prepared by the config."""
    there = prepared_pairs(dataset, results)
    spec = settings.data_spec(dataset)
    if there and _read(results / "data" / dataset / "provenance.json").get("spec") == json.loads(json.dumps(spec)):
        return there
    lengths = (
        (there.prompt, there.response) if there else WORLD_LENGTHS if spec.get("source") == "world" else USUAL_LENGTHS
    )
    rows, counted = _expected_rows(spec)
    return Pairs(rows, *lengths, counted)


@cache
def prepared_pairs(dataset: str, results: Path) -> Pairs | None:
    """What the data card says; None where there is none."""
    folder = results / "data" / dataset
    card = _read(folder / "card.json")
    try:
        responses = [card["response_characters"][name]["mean"] for name in ("chosen", "rejected")]
        prompts = [len(str(sample["prompt"])) for sample in card["samples"]] or [0]
        rows = {name: int(count) for name, count in card["splits"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    prepared = str(_read(folder / "provenance.json").get("finished", ""))
    return Pairs(rows, sum(prompts) / len(prompts) / CHARACTERS, sum(responses) / 2 / CHARACTERS, True, prepared)


def with_set(pairs: Pairs, name: str, spec: dict, results: Path) -> Pairs:
    """A dataset whose split of a set's name is the set, a row a turn: by its card, or before that a guess.

    Args:
        pairs: of the dataset that the policies are trained on; their responses are as long as its.
        spec: that the set is prepared from.
    """
    card, record = (_read(results / "prompts" / f"{name}.{end}") for end in ("json", "provenance.json"))
    try:
        rows = sum(int(turns) * int(count) for turns, count in card["turns"].items())
        prompt = float(card["prompt_characters"]["mean"]) / CHARACTERS
    except (KeyError, TypeError, ValueError, AttributeError):
        rows, prompt, record = spec.get("limit") or UNSEEN_SET, USUAL_LENGTHS[0], {}
    counted = record.get("spec") == json.loads(json.dumps(spec)) or bool(spec.get("limit"))
    return replace(pairs, rows={**pairs.rows, name: rows}, prompt=prompt, counted=counted)


def _expected_rows(spec: dict) -> tuple[dict[str, int], bool]:
    """Rows of each split by a data spec, at most; and whether it says so."""
    selection = spec.get("selection_size") or 0
    if spec.get("source") == "world":
        return _split(spec["size"], spec["eval_size"], selection), True
    limit = spec.get("limit")
    total = limit or UNSEEN
    held_out = spec.get("eval_size") or round(total * (spec.get("eval_share") or 0.1))
    return _split(total, held_out, selection), bool(limit)


def _split(total: int, held_out: int, selection: int) -> dict[str, int]:
    return {"train": max(total - held_out - selection, 1), "selection": selection, "eval": held_out}


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class SeenPairs:
    """What the datasets of a config are, alone and with a set of prompts as a split more; each is looked at once.

    Args:
        settings: the config's.
        results: folder of the results.
    """

    def __init__(self, settings: Settings, results: Path):
        self.settings, self.results = settings, results
        self.found: dict[tuple[str, str | None], Pairs] = {}

    def __call__(self, dataset: str, name: str | None = None) -> Pairs:
        """A dataset, with the set of that name where one is given."""
        key = dataset, name
        if key not in self.found and name is None:
            self.found[key] = planned_pairs(self.settings, dataset, self.results)
        elif key not in self.found:
            self.found[key] = with_set(self(dataset), name, set_spec(self.settings, name), self.results)
        return self.found[key]
