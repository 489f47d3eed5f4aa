"""Five thousand verdicts from an endpoint with every fault, while the job is killed again and again."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing

import pytest
from fixtures_endpoint import FAULTS, Endpoint, faulty
from fixtures_judges import make_judge, pairs, write_service

from pipeline.columns.verdicts import VERDICT_COLUMNS
from pipeline.jobs.io import read_parquet, write_parquet, write_yaml

PROMPTS, CONCURRENCY, PER_MINUTE, LONGEST = 2500, 48, 5000, 400
KILLS = (500, 1500, 1600, 3200, 4500)  # requests after which the job is killed


def stored(path) -> set[tuple]:
    """(key, attempt) of every reply in the store, read as any other process would."""
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("select key, attempt from replies").fetchall())


@pytest.mark.slow
def test_a_storm(tmp_path):
    changes = {"requests_per_minute": PER_MINUTE, "concurrency": CONCURRENCY, "max_retries": 20, "timeout_seconds": 1.0}
    table = pairs(PROMPTS)
    write_parquet(table[["prompt_id", "prompt", "response"]], tmp_path / "own.parquet")
    other = table[["prompt_id", "baseline_response"]].rename(columns={"baseline_response": "response"})
    write_parquet(other, tmp_path / "other.parquet")
    # the server gives an answer again, unpaid, when it is asked with an idempotency key that it has answered
    with Endpoint(faulty(0.12, slow=1.5), idempotent=True) as server:
        spec, service = make_judge("PP", base_url=server.url, **changes)
        write_yaml(spec, tmp_path / "spec.yaml")
        write_service(service, tmp_path / "judge.yaml")
        places = {"spec": "spec.yaml", "service": "judge.yaml", "store": "store", "responses": "own.parquet"}
        places |= {"baseline-responses": "other.parquet", "output": "verdicts.parquet"}
        named = [part for name, file in places.items() for part in (f"--{name}", str(tmp_path / file))]
        command = [sys.executable, "scripts/judge_responses.py", *named, "--run", "r", "--seed", "1", "--baseline", "b"]
        kept = []  # at each kill: how many requests there had been, and what was stored
        with open(tmp_path / "log", "w") as log:
            for kill in (*KILLS, None):
                process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OPENAI_API_KEY": "x"})
                started = time.monotonic()
                while process.poll() is None and (kill is None or len(server.calls) < kill):
                    assert time.monotonic() - started < LONGEST
                    time.sleep(0.01)
                if kill is not None:
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    time.sleep(0.1)
                    kept.append((len(server.calls), stored(tmp_path / "store" / "PP.sqlite")))
        assert process.returncode == 0, (tmp_path / "log").read_text()
        calls = server.calls

    # each pair is judged, in both orders
    verdicts = read_parquet(tmp_path / "verdicts.parquet", VERDICT_COLUMNS)
    assert len(verdicts) == 2 * PROMPTS and (verdicts["status"] == "parsed").all()
    assert not verdicts.duplicated(["prompt_id", "order"]).any() and verdicts["request_key"].nunique() == 2 * PROMPTS
    # nothing that was stored was asked again, and what was lost was under way when the job was killed
    for number, replies in kept:
        names = {f"{key}-{attempt}" for key, attempt in replies}
        assert not names & {call.name for call in calls[number:]}
    assert server.replayed <= CONCURRENCY * len(KILLS)
    # none was paid twice: one good answer for each request, one reply in the store for each that was paid
    paid = {name for name, answer in server.answered.items() if answer.status == 200}
    assert {f"{key}-{attempt}" for key, attempt in stored(tmp_path / "store" / "PP.sqlite")} == paid
    good = Counter(name.split("-")[0] for name, answer in server.answered.items() if not answer.fault)
    assert set(good.values()) == {1} and len(good) == 2 * PROMPTS
    # never more requests in a minute than the limit allows, nor in bursts
    assert len(calls) > PER_MINUTE >= server.most_in(60.0)
    assert server.most_in(1.0) <= 1.5 * PER_MINUTE / 60
    assert {call.answer.fault for call in calls} == {*FAULTS, ""}
