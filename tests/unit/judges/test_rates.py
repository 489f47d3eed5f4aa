"""How often the openai judge asks: waits after failures, limits per minute, requests at a time."""

import time
from email.utils import formatdate
from itertools import pairwise

import pytest
from fixtures_endpoint import Answer, Endpoint, error, verdict
from fixtures_judges import make_judge, pairs

from pipeline.jobs.io import InputError


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed_by_all_requests(judge, form):
    first = []

    def busy(call):
        if first:
            return verdict(call)
        first.append(call.at)
        return error(429, retry_after=1.2 if form == "seconds" else formatdate(time.time() + 2.2, usegmt=True))

    with Endpoint(busy) as server:
        judge(server, pairs(8), concurrency=2)
    at = [call.at - first[0] for call in server.calls]
    assert len(at) == 17
    early = [seconds for seconds in at[1:] if seconds < 1.1]
    assert len(early) <= 1  # the one that was under way


def test_a_pause_that_is_too_long_ends_the_job(judge):
    with (
        Endpoint(lambda call: error(429, "come back tomorrow", retry_after=86400)) as server,
        pytest.raises(InputError, match="asks to wait 86400 seconds"),
    ):
        judge(server, pairs(8), concurrency=2)
    assert len(server.calls) <= 2


def test_failed_requests_wait_longer_each_time_and_not_alike(judge):
    with Endpoint(lambda call: error(500)) as server:
        judge(server, pairs(4), backoff_seconds=0.2, max_retries=3, max_failed_share=1.0, structured="none")
    times = {}
    for call in server.calls:
        times.setdefault(call.text, []).append(call.at)
    waits = [[later - earlier for earlier, later in pairwise(each)] for each in times.values()]
    for each in waits:
        for number, wait in enumerate(each):
            assert 0.1 * 2**number <= wait < 0.2 * 2**number + 1.0
    assert len({round(each[0], 3) for each in waits}) > 1


def test_requests_per_minute_hold_in_any_window(judge):
    with Endpoint() as server:
        started = time.monotonic()
        judge(server, pairs(20), requests_per_minute=1200.0)
        assert time.monotonic() - started > 40 * 0.05
        judge(server, pairs(4, "More. "), requests_per_minute=1200.0)  # a job that follows at once
    assert server.most_in(1.0) <= 25  # 20, and what a busy machine delays; at once it would be 40
    gaps = [later.at - earlier.at for earlier, later in pairwise(server.calls)]
    assert sum(gaps) / len(gaps) < 0.15  # and not much slower than they need be


def test_tokens_per_minute_hold_in_any_window(judge):
    from pipeline.judges.requests import plan_requests

    spec, _ = make_judge("PP", max_tokens=100)
    tokens = max(request.tokens for request in plan_requests(pairs(6), spec)[1].values()) + 100
    limit = 60 * 5.0 * tokens  # five requests a second
    with Endpoint() as server:
        judge(server, pairs(6), max_tokens=100, tokens_per_minute=limit)
        assert server.most_in(1.0) <= 8 and len(server.calls) == 12
        with pytest.raises(InputError, match=r"tokens_per_minute 100: a single request may take \d+ tokens"):
            judge(server, pairs(1, "x"), max_tokens=100, tokens_per_minute=100.0)


def test_no_more_than_concurrency_are_under_way(judge):
    def slow(call):
        return Answer(verdict(call).body, delay=0.1)

    with Endpoint(slow) as server:
        judge(server, pairs(10), concurrency=3)
        times = sorted(call.at for call in server.calls)
    assert max(sum(at <= other < at + 0.099 for other in times) for at in times) <= 3
