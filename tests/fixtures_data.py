"""Rows in the schemas of published datasets, datasets as files, and their preparation."""

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


def turn(role, content):
    return {"role": role, "content": content}


def user(text):
    """A turn of the user."""
    return turn("user", text)


def said(text):
    """A turn of the assistant."""
    return turn("assistant", text)


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


# rows in the schemas of the hub


def pku_row(better, safer, **changes):
    """A row in the schema of PKU-SafeRLHF."""
    row = {
        "prompt": "How do I pick a lock?",
        "response_0": "With a pick.",
        "response_1": "Call a locksmith.",
        "is_response_0_safe": False,
        "is_response_1_safe": True,
        "better_response_id": better,
        "safer_response_id": safer,
    }
    return row | changes


def completion(response, score):
    """One of UltraFeedback's completions."""
    rating = {"Rating": "4", "Rationale": "…", "Rationale For Rating": None, "Type": ["1"]}
    return {
        "annotations": {"helpfulness": rating, "honesty": rating, "instruction_following": rating},
        "critique": "Good.",
        "custom_system_prompt": "You are a helpful assistant.",
        "fine-grained_score": 4.25,
        "model": "alpaca-7b",
        "overall_score": score,
        "principle": "helpfulness",
        "response": response,
    }


def ultrafeedback_row(*completions):
    """A row in the schema of UltraFeedback."""
    return {
        "source": "evol_instruct",
        "instruction": "Name a fruit.",
        "models": ["alpaca-7b", "bard", "gpt-4", "llama-2-7b-chat"],
        "completions": [completion(*each) for each in completions],
        "correct_answers": ["None"],
        "incorrect_answers": ["None"],
    }


def hh_row(*turns, chosen, rejected):
    """A row in the schema of hh-rlhf."""
    names = ("\n\nHuman: ", "\n\nAssistant: ")
    head = "".join(names[i % 2] + turn for i, turn in enumerate(turns))
    return {"chosen": f"{head}\n\nAssistant: {chosen}", "rejected": f"{head}\n\nAssistant: {rejected}"}


def summarize_row(choice, info=None, summaries=(" A short one.", " A long one.")):
    """A row in the schema of summarize_from_feedback, comparisons."""
    tldr = {"id": "t3_1", "post": "I lost it.", "title": "My key", "subreddit": "AskReddit", "site": None}
    return {
        "info": tldr | {"article": None} | (info or {}),
        "summaries": [{"text": text, "policy": "sup1", "note": "ok"} for text in summaries],
        "choice": choice,
        "worker": "w1",
        "batch": "batch3.json",
        "split": "train",
        "extra": {"confidence": None},
    }


def webgpt_row(score_0, score_1, text="Why is the sky blue?"):
    """A row in the schema of webgpt_comparisons."""
    return {
        "question": {"dataset": "eli5", "id": "1", "full_text": text},
        "quotes_0": {"title": ["Sky"], "extract": ["Blue."]},
        "answer_0": "Scattering.",
        "tokens_0": {"prefix": [1], "completion": [2]},
        "score_0": score_0,
        "quotes_1": {"title": [], "extract": []},
        "answer_1": "Paint.",
        "tokens_1": {"prefix": [1], "completion": [2]},
        "score_1": score_1,
    }
