"""A workflow whose judge is a model behind an endpoint: planned, priced, judged, paid for once."""

import re
import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
import yaml
from fixtures_endpoint import Endpoint

from pipeline.jobs.io import read_json
from pipeline.results.tables import read_table
from workflow.snakemake_copy import Job


def add_judge(workflow, **entry) -> None:
    """Add the judge `mine`, with the prompt of PP, and set it in the config."""
    folder = workflow.folder / "config/judges/mine"
    folder.mkdir(exist_ok=True)
    shutil.copy2(workflow.folder / "config/judges/PP/prompt.txt", folder)
    content = {"kind": "openai", "model": "judge-1", "prices": {"input": 100, "output": 1000}, "backoff_seconds": 0.01}
    content["max_tokens"] = 20  # what a request may take is held back from the budget before it is sent
    (folder / "judge.yaml").write_text(yaml.safe_dump(content | entry), encoding="utf-8")
    workflow.configure(lambda config: config.update(judge="mine"))


def test_a_config_with_an_openai_judge_is_planned(fresh):
    jobs = fresh.plan("--config", "judge=PM")
    judged = [job for job in jobs if job.rule == "judge_responses"]
    assert judged and {job.resources["judge"] for job in judged} == {"1"}
    assert {job.resources.get("gpu", "0") for job in judged} == {"0"}
    assert not [job for job in jobs if job.rule == "measure_judge"]  # it would cost money
    paid = fresh.plan("--config", "judge=PM", "judge_quality={paid: true}")
    assert Job("measure_judge", ("small", "PM", "eval")) in paid
    assert Job("measure_judge", ("small", "gold", "eval")) in fresh.plan()
    assert fresh.plan("judge_cost", "--config", "judge=PM") == {
        *(Job("write_spec", (name,)) for name in ("data/small", "judge/PM", "runs")),
        *(Job("prepare_data", ("small",)), Job("judge_cost", ())),
    }
    # where every run is judged on the selection split too, that is in the price
    assert Job("write_spec", ("selection",)) in fresh.plan("judge_cost", "--config", "judge=PM", "best_of_sweep=true")


def test_a_judge_may_be_a_reward_model_that_no_dataset_has(fresh):
    (fresh.folder / "config/judges/other").mkdir()
    (fresh.folder / "config/judges/other/judge.yaml").write_text("{kind: reward, reward_model: deberta}")
    jobs = fresh.plan("--config", "judge=other")
    assert Job("write_spec", ("reward/deberta",)) in jobs and Job("write_spec", ("reward/tiny",)) in jobs
    assert Job("measure_judge", ("small", "other", "eval")) in jobs


@pytest.mark.slow
def test_judging_by_a_model_from_its_price_to_the_report(copied, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    store = copied.folder / "results/judgements/mine.sqlite"
    copied.configure(lambda config: config.update(judge_quality={"pairs": 8, "paid": True}, tasks=config["tasks"][:3]))

    with Endpoint() as server:
        add_judge(copied, base_url=server.url, budget_usd=0.5)
        told = copied.snakemake("judge_cost")
        asked = int(re.search(r"requests +([\d,]+),", told)[1].replace(",", ""))
        assert 300 < asked <= (5 * 32 + 8) * 2 and "at most" in told and "0.50 left" in told
        assert server.calls == [] and not store.exists()
        assert "requests to send" in copied.snakemake("judge_cost"), "it is not printed again"

        output = copied.snakemake("--keep-going", code=1)
        assert "Error in rule judge_responses" in output or "Error in rule measure_judge" in output
        logs = "".join(path.read_text() for path in copied.folder.glob("results/logs/*judge*/small/**/*.log"))
        assert "budget_usd 0.5 is reached" in logs
        assert 15 <= len(server.calls) <= 25
        with closing(sqlite3.connect(store)) as connection:
            assert connection.execute("select count(*), sum(price_usd) from replies").fetchone() == (
                len(server.calls),
                pytest.approx(0.02 * len(server.calls)),
            )

        add_judge(copied, base_url=server.url, budget_usd=100)
        copied.snakemake()
        assert len(server.calls) == len({call.text for call in server.calls}) == asked

        # another address and other limits ask nothing anew, and no verdict is stale
        add_judge(copied, base_url=["http://127.0.0.1:9/v1"], requests_per_minute=10)
        assert copied.plan() == set()
        # lost verdicts are made from the store, where something is to be made of them
        shutil.rmtree(copied.folder / "results/verdicts")
        (copied.folder / "results/winrate.csv").unlink()
        copied.snakemake("results/winrate.csv")
        assert len(server.calls) == asked

    verdicts = pd.concat(map(pd.read_parquet, (copied.folder / "results/verdicts").rglob("*.parquet")))
    assert len(verdicts) == 5 * 32 * 2 and set(verdicts["judge_model"]) == {"judge-1"}
    assert set(verdicts["order"]) == {"ab", "ba"} and set(verdicts["status"]) == {"parsed"}
    table = read_table(copied.folder / "results/winrate.csv")
    assert (table["n"] == 64).all() and (table["unparsed"] == 0).all()  # both orders
    measured = read_json(copied.folder / "results/judge_quality/small/mine/eval.json")
    assert (measured["pairs"], measured["verdicts"], measured["position_bias"]["value"]) == (8, 16, 0.0)
    page = (copied.folder / "results/report.html").read_text(encoding="utf-8")
    assert 'id="judges"' in page and "flips on swap" in page
    for path in copied.folder.rglob("*"):
        if path.is_file():
            assert b"sk-secret-0123456789" not in path.read_bytes(), path
