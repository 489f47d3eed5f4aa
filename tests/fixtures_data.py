"""Datasets of one's own as files, and their preparation."""

import gzip
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.data import preparation
from pipeline.data.splitting import SPLITS


def row(number, prompt=None):
    """A preference pair in the plain columns."""
    return {"prompt": prompt or f"prompt {number}", "chosen": f"good {number}", "rejected": f"bad {number}"}


def write_jsonl(path, rows):
    """Write rows as JSON lines, compressed where the name says so; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def plain(path, **keys):
    """The spec of a plain dataset."""
    spec = {"name": "mine", "source": "plain", "path": str(path), "splits": {"train": "train", "eval": None}}
    return {**spec, "eval_share": 0.2, "selection_share": 0.1, **keys}


def prepare(spec, processes=1):
    """The splits as tables, and the card."""
    with tempfile.TemporaryDirectory() as folder:
        card = preparation.prepare(spec, folder, processes)
        assert json.loads((Path(folder) / "card.json").read_text()) == card
        return {name: pq.read_table(Path(folder) / f"{name}.parquet") for name in SPLITS}, card


def prepare_rows(folder, rows, **keys):
    """The same for rows, which are written to a file first."""
    return prepare(plain(write_jsonl(folder / "rows.jsonl", rows), **keys))


def ids(table):
    """The prompt ids of a split."""
    return table["prompt_id"].to_pylist()
