"""The script that judges: its files, what its log says of the time left, and signals."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from fixtures_endpoint import Answer, Endpoint, verdict
from fixtures_judges import PRICES, make_judge, pairs, replies, write_service

from pipeline.columns import VERDICT_COLUMNS
from pipeline.jobs.io import InputError, read_parquet, write_parquet, write_yaml

pytestmark = pytest.mark.usefixtures("key")


def arguments(tmp_path, server, **changes):
    spec, service = make_judge("PP", **{"base_url": server.url, **changes})
    write_yaml(spec, tmp_path / "spec.yaml")
    write_service(service, tmp_path / "judge.yaml")
    table = pairs(40)
    write_parquet(table[["prompt_id", "prompt", "response"]], tmp_path / "own.parquet")
    other = table[["prompt_id", "baseline_response"]].rename(columns={"baseline_response": "response"})
    write_parquet(other, tmp_path / "other.parquet")
    files = {"spec": "spec.yaml", "service": "judge.yaml", "store": "store", "responses": "own.parquet"}
    files |= {"baseline-responses": "other.parquet", "output": "verdicts.parquet"}
    named = [part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))]
    return [*named, "--run", "dpr", "--seed", "2", "--baseline", "dpo"]


def test_the_script_judges(tmp_path, capsys):
    import judge_responses

    with Endpoint() as server:
        judge_responses.main(arguments(tmp_path, server))
        verdicts = read_parquet(tmp_path / "verdicts.parquet", VERDICT_COLUMNS)
        assert len(verdicts) == len(server.calls) == 80
        assert "dpr against dpo: win rate" in capsys.readouterr().out
        with pytest.raises(InputError, match="needs --service and --store"):
            given = arguments(tmp_path, server)
            at = given.index("--service")
            judge_responses.main(given[:at] + given[at + 2 :])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_lets_requests_under_way_end(tmp_path, name):
    def slow(call):
        return Answer(verdict(call).body, delay=0.5)

    with Endpoint(slow) as server:
        command = [sys.executable, "scripts/judge_responses.py", *arguments(tmp_path, server, concurrency=4)]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        while len(server.calls) < 9:
            time.sleep(0.01)
        process.send_signal(getattr(signal, name))
        _, told = process.communicate(timeout=20)
        assert process.returncode == 1 and f"error: ended by {name}; all replies are kept" in told
        # two waves of four are answered, of the third as many as were asked before the signal
        assert len(replies(tmp_path)) == len(server.calls) and 9 <= len(server.calls) <= 12
        assert not (tmp_path / "verdicts.parquet").exists()


def test_the_log_says_how_far_a_job_is_and_when_it_will_end(judge, monkeypatch, capsys):
    monkeypatch.setattr("pipeline.judges.client.REPORT_SECONDS", 0.0)
    with Endpoint() as server:
        judge(server, pairs(3), prices=PRICES, concurrency=1)
    lines = [text for text in capsys.readouterr().out.splitlines() if text.startswith("requests ")]
    assert (
        re.fullmatch(r"requests 3/6  \d+ s, about \d+ s left; 3 sent, 0\.0600 USD spent", lines[2]) and len(lines) == 6
    )
