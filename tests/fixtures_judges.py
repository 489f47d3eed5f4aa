"""Judges of kind openai and what they judge, for tests."""

from pathlib import Path

import pandas as pd
from fixtures_endpoint import MODEL

from pipeline.config.judges import read_judge
from pipeline.jobs.io import write_yaml

REPOSITORY = Path(__file__).resolve().parents[1]


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
