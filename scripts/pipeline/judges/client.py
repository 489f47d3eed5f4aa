"""Asks a judge: every request once, again where that may help, within its limits and its budget."""

import asyncio
import contextlib
import random
import signal
import threading
import time
from collections.abc import Collection, Iterator

from pipeline.jobs.io import InputError
from pipeline.jobs.progress import Progress
from pipeline.judges.budget import Budget, price
from pipeline.judges.endpoints import AskAgain, Endpoint, Pool, Rejected
from pipeline.judges.limits import Limits
from pipeline.judges.prompts import estimate_tokens
from pipeline.judges.replies import Outcome, Reply, assess, read_reply
from pipeline.judges.requests import Request, body
from pipeline.judges.store import Paid, Store

LONGEST_BACKOFF = 60.0
REPORT_SECONDS = 30.0  # between lines of progress


class Asker:
    """One job's questions to a judge.

    Args:
        spec, service: the judge's, as `Settings.judge_spec` and `Settings.judge_service` give them.
        largest: tokens of the largest request, its longest reply included.
    """

    def __init__(self, spec: dict, service: dict, store: Store, endpoints: list[Endpoint], largest: int):
        self.spec, self.service, self.store = spec, service, store
        self.pool = Pool(endpoints)
        self.limits = Limits(service["requests_per_minute"], service["tokens_per_minute"], largest)
        self.budget = Budget(service["budget_usd"], store.spent(service["prices"]))
        self.asked = 0
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
        """One request, sent max_retries + 1 times at most, those before this job that were answered included."""
        outcome, sent, endpoint = settled(replies, self.spec), len(replies), None
        while outcome is None or not (outcome.final or sent > self.spec["max_retries"]):
            endpoint = await self._turn(request, endpoint)
            sent += 1
            structured = self.spec["structured"] != "none" and endpoint.structured is not False
            try:
                outcome = await self._send(endpoint, request, structured, replies)
            except Rejected as error:
                if error.filtered or not (structured and self._without_schema(endpoint)):
                    return Outcome("refused" if error.filtered else "failed", reason=str(error))
                outcome = Outcome("failed", reason=str(error))
            except AskAgain as error:
                outcome = Outcome("failed", reason=str(error))
                self.pool.failed(endpoint, error)
                if error.wait is None and sent <= self.spec["max_retries"]:
                    await asyncio.sleep(self._backoff(sent))
        return outcome

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

    async def _send(self, endpoint: Endpoint, request: Request, structured: bool, replies: list[Reply]) -> Outcome:
        """Send a request, keep its reply, and say what it means. Once sent, it is waited for."""
        task, paid, began = asyncio.current_task(), None, time.monotonic()
        self._sending.add(task)
        self.asked += 1
        try:
            sent, name = body(request.text, self.spec, structured), f"{request.key}-{len(replies) + 1}"
            reply = read_reply(await endpoint.ask(sent, self.service["timeout_seconds"], name))
            seconds = time.monotonic() - began
            paid = paid_for(reply, request.tokens, self.spec, self.service, seconds, endpoint.address)
            self.store.add(request.key, self.spec["model"], reply, paid)
            replies.append(reply)
        finally:
            self._sending.discard(task)
            await self.budget.settle(self._most(request), paid and paid.price_usd)
        outcome = assess(reply, self.spec)
        if structured and outcome.status == "parsed":
            endpoint.structured = True
        if outcome.status == "failed":  # another model than the one asked for
            self.pool.failed(endpoint, AskAgain(outcome.reason))
        else:
            endpoint.failures = 0
        return outcome

    def _most(self, request: Request) -> float | None:
        return price(request.tokens, self.spec["max_tokens"], self.service)

    def _without_schema(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint that rejected a request with a JSON schema may take it without; it then gets no more."""
        if self.spec["structured"] != "auto" or endpoint.structured:
            return False
        if endpoint.structured is None:
            print(
                f"{endpoint.address} does not take a JSON schema; its replies are read by their last line", flush=True
            )
        endpoint.structured = False
        return True

    def _backoff(self, sent: int) -> float:
        """Seconds before a request is sent again: twice as many each time, half of them by chance."""
        longest = min(LONGEST_BACKOFF, self.service["backoff_seconds"] * 2 ** (sent - 1))
        return longest * random.uniform(0.5, 1.0)


def settled(replies: list[Reply], spec: dict) -> Outcome | None:
    """The outcome that replies already give: the first that is final, else the last one's; None without replies."""
    outcomes = [assess(reply, spec) for reply in replies]
    return next((outcome for outcome in outcomes if outcome.final), outcomes[-1] if outcomes else None)


def is_open(replies: list[Reply], spec: dict) -> bool:
    """Whether a request with these replies is still to be asked: none is final, and it has retries left."""
    outcome = settled(replies, spec)
    return outcome is None or not (outcome.final or len(replies) > spec["max_retries"])


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
