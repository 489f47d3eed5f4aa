"""What the openai judge's replies cost, and the budget that ends a job."""

import json

import pytest
from fixtures_endpoint import Answer, Endpoint, completion, verdict
from fixtures_judges import PRICES, pairs, replies

from pipeline.jobs.io import InputError
from pipeline.judges.store import read_store


def test_prices_are_kept_with_each_reply(judge, tmp_path):
    with Endpoint() as server:
        judge(server, pairs(2), prices=PRICES)
    assert [row["price_usd"] for row in replies(tmp_path)] == pytest.approx([0.02] * 4)
    with read_store(tmp_path / "store", "PP") as store:
        assert store.spent(None) == pytest.approx(0.08)


def test_a_reply_without_usage_is_priced_by_estimate(judge, tmp_path):
    def bare(call):
        content = json.loads(verdict(call).body)
        content.pop("usage")
        return Answer(json.dumps(content).encode())

    with Endpoint(bare) as server:
        judge(server, pairs(1), prices=PRICES)
    for row in replies(tmp_path):
        assert row["prompt_tokens"] > 300 and row["completion_tokens"] == -(-len(row["content"]) // 3)
        assert row["price_usd"] > 0.03


def test_the_budget_stops_cleanly_and_raising_it_goes_on(judge, tmp_path):
    table = pairs(20)
    common = {"prices": PRICES, "max_tokens": 10, "concurrency": 4}
    with Endpoint() as server:
        with pytest.raises(InputError, match=r"budget_usd 0.3 is reached: 0\.\d+ USD are spent"):
            judge(server, table, budget_usd=0.3, **common)
        asked = len(server.calls)
        spent = sum(row["price_usd"] for row in replies(tmp_path))
        assert 0.2 < spent <= 0.3 and asked == len(replies(tmp_path)) == round(spent / 0.02)
        with pytest.raises(InputError, match=r"budget_usd 0\.3 is reached"):
            judge(server, table, budget_usd=0.3, **common)
        assert len(server.calls) == asked
        assert len(judge(server, table, budget_usd=5.0, **common)) == 40
        assert len(server.calls) == 40


def test_unparsed_replies_count_against_the_budget(judge):
    with (
        Endpoint(lambda call: completion("No idea.")) as server,
        pytest.raises(InputError, match=r"budget_usd 0\.3 is reached"),
    ):
        judge(server, pairs(20), prices=PRICES, budget_usd=0.3, max_tokens=10, max_retries=100, concurrency=4)
    assert len(server.calls) <= 15
