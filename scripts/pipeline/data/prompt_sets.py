"""Preparing a set of prompts: its rows as they are published become prompts, turns, references and categories.

A set is small and published as it is to be used: a row that has no prompt is an error, and none is left out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.columns.prompts import SET_COLUMNS
from pipeline.data.hub_errors import why_not_loaded
from pipeline.data.json_lines import UTF_8, json_rows
from pipeline.data.loading import is_hub_id, is_saved, load_hub, load_saved
from pipeline.data.messages import UnusableError, cleaned, turns
from pipeline.data.split_files import local_kind, split_files
from pipeline.jobs.io import InputError

PROMPT_NAMES = ("prompt", "instruction", "question", "messages", "turns", "conversation")
NO_CATEGORY = "none"
SAMPLES = 3


def prepare_prompts(spec: dict) -> tuple[pd.DataFrame, dict]:
    """A set in the source's order, and its card.

    Args:
        spec: name, path, file, config_name, revision, split, columns {prompt, reference, category, id}, limit, seed.

    Returns:
        SET_COLUMNS, prompts all text or all messages; and {set, rows_in, prompts, turns, references, categories,
        prompt_characters, samples}.

    Raises:
        InputError: the set cannot be read, lacks a column, has a row that cannot be used, or an id twice.
    """
    rows, where = source_rows(spec)
    if not rows:
        raise InputError(f"{where}: there are no rows")
    named = _columns(rows, spec.get("columns") or {}, where)
    found = [_prompt(row, named, f"{where}: row {i}") for i, row in enumerate(rows)]
    frame = pd.DataFrame(found, columns=SET_COLUMNS)
    if any(not isinstance(prompt, str) for prompt in frame["prompt"]):
        frame["prompt"] = [_as_messages(prompt) for prompt in frame["prompt"]]
    frame["prompt_id"] = _ids(frame["prompt_id"], "id" in named, named.get("id", ""), where)
    if (limit := spec.get("limit")) and limit < len(frame):
        kept = np.sort(np.random.default_rng(spec["seed"]).permutation(len(frame))[:limit])
        frame = frame.iloc[kept].reset_index(drop=True)
    return frame, _card(spec, len(rows), frame)


def set_table(frame: pd.DataFrame) -> pa.Table:
    """A set as it is written, with the same types of columns whatever is in it."""
    text = pa.string()
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    prompt = text if all(isinstance(value, str) for value in frame["prompt"]) else messages
    types = [text, prompt, pa.list_(text), pa.list_(text), text, text]
    schema = pa.schema(list(zip(SET_COLUMNS, types, strict=True)))
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)


def source_rows(spec: dict) -> tuple[list[dict], str]:
    """The rows of a set as they are published, and where they are from, for messages.

    Raises:
        InputError: there is no such file, folder or hub id, or it cannot be read.
    """
    path, file, split = Path(spec["path"]).expanduser(), spec.get("file"), spec["split"]
    kind = local_kind(path)
    if kind == "file":
        return _file_rows(path), str(path)
    if kind == "folder":
        if file:
            return _file_rows(path / file), str(path / file)
        if is_saved(path):
            return _saved_rows(path, split), f"{path}, split {split}"
        return [row for one in split_files(path, split) for row in _file_rows(one)], f"{path}, split {split}"
    if not is_hub_id(spec["path"]):
        raise InputError(f"{path}: there is no such file or folder, and it is no hub id (owner/name)")
    if file:
        return _file_rows(_hub_file(spec, file)), f"{spec['path']}, {file}"
    loaded = load_hub(spec["path"], spec.get("config_name"), spec.get("revision"), split)
    return list(loaded), f"{spec['path']}, split {split}"


def asked_turns(value: Any) -> tuple[str | list[dict], list[str]]:
    """What a cell asks: the prompt, text or messages, and what the user says after each answer.

    Args:
        value: a text; a list of texts, the user's turns; messages, of which those without a role are the user's, and
            where the user has several in a row at the end, each waits for an answer.

    Raises:
        UnusableError: it asks nothing, or is of another form.
    """
    parts = value if isinstance(value, list) else [value]
    if parts and all(isinstance(part, str) for part in parts):
        first, *further = parts
        if not all(part.strip() for part in parts):
            raise UnusableError("malformed", "an empty text")
        return first, further
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise UnusableError("malformed", "neither text, nor a list of texts, nor messages")
    spoken = cleaned(
        turns([part if part.get("role") or part.get("from") else part | {"role": "user"} for part in parts], set())
    )
    if not spoken or spoken[-1]["role"] != "user":
        raise UnusableError("malformed", "messages that do not end with the user's")
    last = next((i for i in range(len(spoken) - 1, -1, -1) if spoken[i]["role"] != "user"), -1) + 1
    prompt, further = spoken[: last + 1], [turn["content"] for turn in spoken[last + 1 :]]
    return (prompt[0]["content"] if len(prompt) == 1 else prompt), further


def _prompt(row: dict, named: dict[str, str], where: str) -> tuple:
    """A row as SET_COLUMNS."""
    try:
        prompt, further = asked_turns(row.get(named["prompt"]))
    except (UnusableError, InputError) as error:
        what = error.what if isinstance(error, UnusableError) else str(error)
        raise InputError(
            f"{where}: column {named['prompt']!r} has {what}; each row of a set must ask something"
        ) from error
    references = _references(row.get(named["reference"]), len(further) + 1, where) if "reference" in named else None
    category = row.get(named["category"]) if "category" in named else None
    category = category if "category" not in named or category not in (None, "") else NO_CATEGORY
    identity = row.get(named["id"]) if "id" in named else json.dumps([prompt, further], ensure_ascii=False)
    text = json.dumps(row, ensure_ascii=False, default=str)
    return identity, prompt, further, references, None if category is None else str(category), text


def _references(value: Any, count: int, where: str) -> list[str] | None:
    """A row's reference answers, one a turn; None where it has none."""
    given = value if isinstance(value, list | tuple) else [] if value is None else [value]
    given = [part.get("content") or part.get("value") if isinstance(part, dict) else part for part in given]
    if not given:
        return None
    if len(given) != count or any(not isinstance(part, str | int | float) for part in given):
        raise InputError(
            f"{where}: {len(given)} reference answers to {count} turns; there must be a text for each, or none"
        )
    return [str(part) for part in given]


def _columns(rows: list[dict], given: dict[str, str], where: str) -> dict[str, str]:
    """The columns by role, that of the prompt found by its usual names where it is not given."""
    present = list(dict.fromkeys(name for row in rows for name in row))
    named = dict(given)
    if "prompt" not in named:
        usual = [name for name in PROMPT_NAMES if name in present]
        if not usual:
            raise InputError(
                f"{where}: no column of prompts by its name; it has {', '.join(present)}. Name it in the set's entry: "
                "columns: {prompt: …}"
            )
        named["prompt"] = usual[0]
    for role, column in named.items():
        if column not in present:
            raise InputError(f"{where}: no column {column!r} for {role}; it has {', '.join(present)}")
    return named


def _ids(values: pd.Series, given: bool, column: str, where: str) -> list[str]:
    """What prompts are known by: the source's ids, or hashes, of which those of equal prompts are counted."""
    if given:
        ids = ["" if value is None else str(value) for value in values]
        seen: Counter = Counter()
        for row, name in enumerate(ids):
            seen[name] += 1
            if not name or seen[name] > 1:
                text = f"stands there {seen[name]} times" if name else "is empty"
                raise InputError(
                    f"{where}: row {row}: the id {name!r} of column {column!r} {text}; each row needs its own"
                )
        return ids
    seen, ids = Counter(), []
    for text in values:
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return ids


def _as_messages(prompt: str | list[dict]) -> list[dict]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _card(spec: dict, rows_in: int, frame: pd.DataFrame) -> dict:
    lengths = [len(prompt if isinstance(prompt, str) else prompt[-1]["content"]) for prompt in frame["prompt"]]
    counts = Counter(1 + len(further) for further in frame["further"])
    card = {
        "set": spec["name"],
        "rows_in": rows_in,
        "prompts": len(frame),
        "turns": {str(number): counts[number] for number in sorted(counts)},
        "references": int(frame["reference"].notna().sum()),
        "prompt_characters": {"mean": round(float(np.mean(lengths)), 1), "most": int(max(lengths))},
    }
    if frame["category"].notna().any():
        card["categories"] = dict(sorted(Counter(frame["category"]).items()))
    shown: Sequence[str] = ("prompt_id", "prompt", "further", "reference", "category")
    return card | {"samples": frame[list(shown)].head(SAMPLES).to_dict("records")}


def _hub_file(spec: dict, file: str) -> Path:
    from huggingface_hub import hf_hub_download  # slow to import, and most sets need it not

    try:
        return Path(hf_hub_download(spec["path"], file, repo_type="dataset", revision=spec.get("revision")))
    except Exception as error:  # the library and its clients raise dozens of kinds
        raise InputError(f"{why_not_loaded(spec['path'], None, None, error)} (file {file})") from error


def _saved_rows(folder: Path, split: str) -> list[dict]:
    saved = load_saved(folder)
    if isinstance(saved, dict):
        if split not in saved:
            raise InputError(f"{folder}: there is no split {split!r}; it has {', '.join(saved)}")
        saved = saved[split]
    return list(saved)


def _file_rows(file: Path) -> list[dict]:
    """The rows of a file: parquet, JSON lines, or one array in JSON."""
    if not file.is_file():
        raise InputError(f"{file}: there is no such file")
    if file.name.endswith(".parquet"):
        try:
            return pq.read_table(file).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file}: not a readable parquet file ({error})") from error
    if not file.name.endswith((".jsonl", ".jsonl.gz", ".json")):
        raise InputError(f"{file}: not a data file by its name; it must end in .parquet, .jsonl, .jsonl.gz or .json")
    if file.name.endswith(".json"):
        try:
            text = file.read_text(encoding=UTF_8)
            whole = json.loads(text) if text.lstrip().startswith("[") else None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{file}: not readable as JSON ({error})") from error
        for i, row in enumerate(whole or ()):
            if not isinstance(row, dict):
                raise InputError(f"{file}: item {i} is no JSON object but {type(row).__name__}")
        if whole is not None:
            return whole
    return list(json_rows(file))
