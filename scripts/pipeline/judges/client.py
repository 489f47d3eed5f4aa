"""Asks a judge: every request once, again where that may help, within its limits and its budget."""

import asyncio
import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

from pipeline.jobs.io import InputError
from pipeline.jobs.progress import Progress
from pipeline.judges.budget import Budget, price
from pipeline.judges.endpoints import Endpoint, Pool
from pipeline.judges.failures import AGAIN, ENDS, FAILED, PLAIN, REFUSED, Failure
from pipeline.judges.limits import Limits
from pipeline.judges.prompts import estimate_tokens
from pipeline.judges.replies import Outcome, Reply, assess, is_open, least_tokens, settled
from pipeline.judges.requests import Request, body
from pipeline.judges.store import Paid, Store

LONGEST_BACKOFF = 60.0
REPORT_SECONDS = 30.0  # between lines of progress
FEW = 5  # requests that fail for a reason which holds for all, after which none is sent, unless one gave a verdict
MANY = 30  # replies without a verdict, likewise
DEAD = 40  # requests without a reply in a row, after which the last endpoint is given up


class Asker:
    """One job's questions to a judge.

    Args:
        spec, service: the judge's, as `Settings.judge_spec` and `Settings.judge_service` give them.
        largest: tokens of the largest request, its longest reply included.
        works: whether the judge has given one of this job's verdicts before.
    """

    def __init__(
        self, spec: dict, service: dict, store: Store, endpoints: list[Endpoint], largest: int, works: bool = False
    ):
        self.spec, self.service, self.store = spec, service, store
        self.pool = Pool(endpoints)
        self.limits = Limits(service["requests_per_minute"], service["tokens_per_minute"], largest)
        self.budget = Budget(service["budget_usd"], store.spent(service["prices"]))
        self.asked, self.works = 0, works
        self._fruitless: dict[int, Counter[str]] = {FEW: Counter(), MANY: Counter()}
        self._places: set[str] = set()
        self._stop: Exception | None = None
        self._workers: set[asyncio.Task] = set()
        self._sending: set[asyncio.Task] = set()

    async def ask_all(self, requests: Collection[Request], replies: dict[str, list[Reply]]) -> dict[str, Outcome]:
        """What becomes of requests that have no final outcome yet.

        When something makes it pointless or impossible to go on (the budget, a wrong key, a signal to end), no further
        request is sent; those under way are waited for and kept.

        Args:
            requests: distinct by key.
            replies: those that came before, by key.

        Raises:
            InputError: it could not go on.
        """
        outcomes: dict[str, Outcome] = {}
        waiting, progress = iter(requests), Progress("requests", len(requests), seconds=REPORT_SECONDS)

        async def work() -> None:
            try:
                for request in waiting:
                    outcomes[request.key] = await self._ask(request, replies.get(request.key, []))
                    progress.add(1, note=f"{self.asked} sent, {self.budget.spent:.4f} USD spent")
            except Exception as error:
                self.stop(error)

        with ending_on_signals(self):
            self._workers = {asyncio.create_task(work()) for _ in range(self.service["concurrency"])}
            await asyncio.gather(*self._workers, return_exceptions=True)
        if self._stop:
            raise self._stop
        return outcomes

    def stop(self, error: Exception) -> None:
        """Send nothing more."""
        if self._stop is None:
            self._stop = error
            for task in self._workers - self._sending:
                task.cancel()

    async def _ask(self, request: Request, replies: list[Reply]) -> Outcome:
        """One request, sent max_retries + 1 times at most, those before this job that were answered included.

        Raises:
            InputError: what the endpoint says holds for all requests.
        """
        sent, endpoint, plain, least = len(replies), None, False, least_tokens(request.text)
        if replies and not self._is_open(replies, least):
            return settled(replies, self.spec, least)
        while True:
            endpoint = await self._turn(request, endpoint)
            structured = self.spec["structured"] != "none" and endpoint.structured is not False and not plain
            sent += 1
            try:
                outcome = await self._send(endpoint, request, structured, replies, least)
            except Failure as error:
                if self._without_schema(endpoint, error, structured):
                    plain, sent = True, sent - 1
                    continue
                if outcome := await self._failed(endpoint, request, error, sent):
                    return outcome
                continue
            if plain:
                self._give_up_schema(endpoint)
            if outcome.setting or sent > self.spec["max_retries"] or not self._is_open(replies, least):
                return outcome

    def _is_open(self, replies: list[Reply], least: float) -> bool:
        return is_open(replies, self.spec, [endpoint.address for endpoint in self.pool.endpoints], least)

    async def _failed(self, endpoint: Endpoint, request: Request, error: Failure, sent: int) -> Outcome | None:
        """What becomes of a request that got no reply; None where it is to be sent again, after a wait."""
        if error.follows in (ENDS, PLAIN):
            if self.pool.left_out(endpoint, error):
                return None
            raise InputError(f"the endpoint {endpoint.address} refuses all requests: {error}; {error.advice}")
        if error.follows in (FAILED, REFUSED):
            endpoint.failures = endpoint.unanswered = 0
            if not error.sure:
                self._count(FEW, request, f"the endpoint {endpoint.address} refuses them: {error}; {error.advice}")
            elif error.follows == FAILED:
                self._count(MANY, request, f"the endpoint {endpoint.address} refuses them: {error}")
            return Outcome("failed" if error.follows == FAILED else "refused", reason=str(error))
        self.pool.failed(endpoint, error)
        if sent <= self.spec["max_retries"]:
            if error.wait is None:
                await asyncio.sleep(self._backoff(sent))
            return None
        if all(other.unanswered >= DEAD for other in self.pool.endpoints):
            raise InputError(
                f"the endpoint {endpoint.address} has answered none of the last {endpoint.unanswered} requests: {error}"
                ". All replies are kept; see base_url in judge.yaml, or run again to go on"
            )
        return Outcome("failed", reason=str(error))

    def _count(self, limit: int, request: Request, reason: str) -> None:
        """Count an answer without a verdict; the first ones are enough to say that there will be none.

        Raises:
            InputError: they are.
        """
        if self.works or self.service["max_failed_share"] >= 1:
            return
        found = self._fruitless[limit]
        found[request.key] += 1
        if found.total() >= limit and len(found) >= FEW:
            raise InputError(
                f"{found.total()} requests were sent, and none gave a verdict: {reason}. All replies are kept in "
                f"{self.store.path}; run again to go on"
            )

    async def _turn(self, request: Request, last: Endpoint | None) -> Endpoint:
        """Wait for the budget, an endpoint (another than the last, if possible) and the limits; then send at once."""
        if self._stop:
            raise self._stop
        most = self._most(request)
        await self.budget.reserve(most)
        try:
            while True:
                await self.pool.ready()
                await self.limits.acquire(request.tokens + self.spec["max_tokens"])
                # a pause may have been asked for while the limits held this request back
                if endpoint := self.pool.free(avoid=last):
                    return endpoint
        except BaseException:
            await self.budget.settle(most, None)
            raise

    async def _send(
        self, endpoint: Endpoint, request: Request, structured: bool, replies: list[Reply], least: float
    ) -> Outcome:
        """Send a request, keep its reply, and say what it means. Once sent, it is waited for."""
        task, paid, began = asyncio.current_task(), None, time.monotonic()
        self._sending.add(task)
        self.asked += 1
        try:
            sent, name = body(request.text, self.spec, structured), f"{request.key}-{len(replies) + 1}"
            reply = await endpoint.ask(sent, self.service["timeout_seconds"], name)
            seconds = time.monotonic() - began
            paid = paid_for(reply, request.tokens, self.spec, self.service, seconds, endpoint.address)
            self.store.add(request.key, self.spec["model"], reply, paid)
            replies.append(replace(reply, endpoint=endpoint.address))
        finally:
            self._sending.discard(task)
            await self.budget.settle(self._most(request), paid and paid.price_usd)
        outcome = assess(reply, self.spec, least)
        endpoint.unanswered = 0
        if reply.place not in {"", *self._places}:
            self._places.add(reply.place)
            print(f"{endpoint.address} sends no content; the text is read from {reply.place}", flush=True)
        if outcome.renamed:
            self.pool.failed(endpoint, Failure(AGAIN, outcome.reason))
        else:
            endpoint.failures = 0
        if outcome.status == "parsed":
            self.works = True
            endpoint.structured = True if structured else endpoint.structured
        else:
            self._count(FEW if outcome.renamed or outcome.setting else MANY, request, outcome.reason)
        return outcome

    def _most(self, request: Request) -> float | None:
        return price(request.tokens, self.spec["max_tokens"], self.service)

    def _without_schema(self, endpoint: Endpoint, error: Failure, structured: bool) -> bool:
        """Whether a request with a JSON schema is to be sent without: that is refused, or it is unclear what is."""
        if not structured or self.spec["structured"] != "auto":
            return False
        if error.follows == PLAIN:
            self._give_up_schema(endpoint)
            return True
        return error.follows == FAILED and not error.sure and endpoint.structured is None

    def _give_up_schema(self, endpoint: Endpoint) -> None:
        """An endpoint gets no more JSON schemas, unless a verdict has come by one."""
        if endpoint.structured is None:
            endpoint.structured = False
            print(
                f"{endpoint.address} does not take a JSON schema; its replies are read by their last line", flush=True
            )

    def _backoff(self, sent: int) -> float:
        """Seconds before a request is sent again: twice as many each time, half of them by chance."""
        longest = min(LONGEST_BACKOFF, self.service["backoff_seconds"] * 2 ** (sent - 1))
        return longest * random.uniform(0.5, 1.0)


def paid_for(
    reply: Reply, tokens: int, spec: dict, service: dict, seconds: float, source: str, batched: bool = False
) -> Paid:
    """What a reply took; where the endpoint does not say, by estimate: `tokens` of the request."""
    prompt = tokens if reply.prompt_tokens is None else reply.prompt_tokens
    completion = reply.completion_tokens
    if completion is None:
        completion = min(spec["max_tokens"], estimate_tokens(reply.content or reply.body))
    return Paid(prompt, completion, price(prompt, completion, service, batched), seconds, source)


@contextlib.contextmanager
def ending_on_signals(asker: Asker) -> Iterator[None]:
    """Inside, SIGINT and SIGTERM let requests under way end; a second one ends the process as it always does."""
    loop, in_main = asyncio.get_running_loop(), threading.current_thread() is threading.main_thread()
    names = (signal.SIGINT, signal.SIGTERM) if in_main else ()  # only the main thread can handle them

    def restore() -> None:
        for name in names:
            loop.remove_signal_handler(name)

    def end(name: signal.Signals) -> None:
        restore()
        print(f"{name.name}: requests under way are waited for, then this ends", flush=True)
        asker.stop(InputError(f"ended by {name.name}; all replies are kept, run again to go on"))

    for name in names:
        loop.add_signal_handler(name, end, name)
    try:
        yield
    finally:
        restore()
