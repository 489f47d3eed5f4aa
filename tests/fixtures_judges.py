"""Judges of kind openai and what they judge, for tests."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
from fixtures_endpoint import MODEL, Answer, completion, error, verdict

from pipeline.config.judges import read_judge
from pipeline.jobs.io import write_yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PRICES = {"input": 100.0, "output": 1000.0, "batch_discount": 0.5}  # 0.02 USD for 100 and 10 tokens
KEY = "sk-secret-0123456789"


def make_judge(name: str = "PP", **changes) -> tuple[dict, dict]:
    """Spec and service of a shipped judge that asks the tests' server, without waits and limits; changes by key."""
    spec, service = read_judge(name, REPOSITORY, [])
    spec |= {"name": name, "model": MODEL}
    service |= {"backoff_seconds": 0.01, "timeout_seconds": 5.0, "max_failed_share": 0.0, "prices": None}
    for key, value in changes.items():
        (service if key in service else spec)[key] = value
    return spec, service


def write_service(service: dict, path: Path) -> None:
    """A judge.yaml with this service."""
    write_yaml({"kind": "openai", "model": MODEL} | service, path)


def pairs(count: int, prefix: str = "") -> pd.DataFrame:
    """A run's responses and a baseline's to so many prompts."""
    numbers = range(count)
    return pd.DataFrame(
        {
            "prompt_id": [f"id{i}" for i in numbers],
            "prompt": [f"{prefix}Question {i}?" for i in numbers],
            "response": [f"{prefix}Own answer {i}." for i in numbers],
            "baseline_response": [f"{prefix}Other answer, number {i}." for i in numbers],
        }
    )


def replies(folder: Path, name: str = "PP") -> list[dict]:
    """The replies that a judge's store in a folder holds."""
    with closing(sqlite3.connect(folder / "store" / f"{name}.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("select * from replies order by key, attempt")]


def verdict_text(call) -> str:
    """What a judge that grades by `grade` says."""
    return json.loads(verdict(call).body)["choices"][0]["message"]["content"]


def fault_answer(name: str):
    """A judge that fails with one of the faults, always."""
    return {
        "429": lambda call: error(429, retry_after=0.1),
        "500": lambda call: error(500),
        "timeout": lambda call: Answer(delay=2, drop=True),
        "dropped": lambda call: Answer(drop=True),
        "malformed": lambda call: Answer(b'{"choices": [{'),
        "empty": lambda call: completion(""),
        "oversized": lambda call: completion("SCORES: A=10 B=1" + "\n" * 1_200_000),
        "wrong model": lambda call: completion(verdict_text(call), "gpt-2"),
    }[name]
