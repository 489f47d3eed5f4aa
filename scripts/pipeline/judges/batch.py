"""Asks a judge through the Batch API: cheaper, within a day, and resumable at any point.

A batch is known by the hash of its requests and of how often each was answered before. The hash is in the store before
the batch is submitted and in the batch's own metadata, so a batch that was submitted by a job that was then killed is
found again, not submitted twice. Its replies come into the store in one transaction. While batches run, other jobs of
the judge have their turn and submit theirs.
"""

import asyncio
import contextlib
import hashlib
import json
import math
from collections import Counter

from pipeline.jobs.io import InputError
from pipeline.judges.budget import price
from pipeline.judges.client import FEW, paid_for
from pipeline.judges.endpoints import Endpoint
from pipeline.judges.failures import ENDS, FAILED, PLAIN, REFUSED, failure
from pipeline.judges.replies import Outcome, Reply, is_open, least_tokens, read_reply, settled
from pipeline.judges.requests import Request, body, first_form
from pipeline.judges.store import Store

MOST_BYTES = 150_000_000  # of a batch's file; OpenAI takes 200 MB
ENDED = ("completed", "failed", "expired", "cancelled")
FREE_RETRIES = 5  # of calls that cost nothing, by the client itself


class BatchAsker:
    """One job's questions to a judge, in batches.

    Args:
        spec, service: the judge's, as `Settings.judge_spec` and `Settings.judge_service` give them.
        endpoint: the one that is asked.
    """

    def __init__(self, spec: dict, service: dict, store: Store, endpoint: Endpoint):
        self.spec, self.service, self.store, self.endpoint = spec, service, store, endpoint
        self.client = endpoint.client.with_options(max_retries=FREE_RETRIES)
        self.path = "/v1/chat/completions" if service["api_version"] is None else "/chat/completions"
        self.reasons: dict[str, str] = {}
        self.rejected: dict[str, Outcome] = {}
        self._stop: InputError | None = None

    async def ask_all(self, requests: dict[str, Request]) -> dict[str, Outcome]:
        """What becomes of requests; each is in max_retries + 1 batches at most, replies of earlier jobs included.

        Raises:
            InputError: the budget is reached, the endpoint refuses a batch or all requests, or no reply of the first
                batch has a verdict.
        """
        submitted: Counter[str] = Counter()
        least = {key: least_tokens(request.text) for key, request in requests.items()}
        while True:
            under_way = await self._collect_ended(requests)
            replies = self.store.replies(requests)
            outcomes = {key: settled(found, self.spec, least[key]) for key, found in replies.items()} | self.rejected
            waiting = [
                request
                for key, request in requests.items()
                if key not in under_way | self.rejected.keys()
                and submitted[key] <= self.spec["max_retries"]
                and is_open(replies.get(key, []), self.spec, least_tokens=least[key])
                and not (submitted[key] and key in outcomes and outcomes[key].setting)
            ]
            if waiting and submitted and not under_way:
                self._check_use(outcomes)
            for part in self._parts(self._affordable(waiting, wait=bool(under_way))):
                submitted.update(request.key for request in part)
                await self._submit(part, replies)
                under_way |= {request.key for request in part}
            if not (waiting or under_way & requests.keys()):
                break
            await self._pause()
        none = {key: Outcome("failed", reason=self.reasons.get(key, "no reply in the batch")) for key in requests}
        return none | outcomes

    async def wait_for(self, requests: dict[str, Request]) -> None:
        """Wait until none of the requests is in a batch that is still open."""
        while await self._collect_ended(requests) & requests.keys():
            await self._pause()

    def _check_use(self, outcomes: dict[str, Outcome]) -> None:
        """See that another batch of the same requests may be of use: one of those that were answered has a verdict."""
        useless = self.service["max_failed_share"] < 1 and len(outcomes) >= FEW
        if useless and not any(outcome.status == "parsed" for outcome in outcomes.values()):
            reason = next(iter(outcomes.values())).reason
            raise InputError(
                f"{len(outcomes)} requests were answered, and none with a verdict: {reason}. All replies are kept in "
                f"{self.store.path}; run again to go on"
            )

    async def _pause(self) -> None:
        """Let time pass, in which other jobs of the judge may submit their batches."""
        with self.store.left_to_others():
            await asyncio.sleep(self.service["batch_poll_seconds"])

    def _most(self, request: Request) -> float:
        """US dollars that a request may take."""
        return price(request.tokens, self.spec["max_tokens"], self.service, batched=True) or 0.0

    def _affordable(self, requests: list[Request], wait: bool) -> list[Request]:
        """As many of the requests as the budget is enough for, beside what open batches may take.

        Args:
            wait: whether batches are open, which may take less than they might; then none is an answer too.

        Raises:
            InputError: it is enough for none.
        """
        limit = self.service["budget_usd"]
        if limit is None or not requests:
            return requests
        spent = self.store.spent(self.service["prices"])
        query = "select coalesce(sum(most_usd), 0) from batches where state = 'new'"
        left, taken = limit - spent - self.store.connection.execute(query).fetchone()[0], []
        for request in requests:
            left -= self._most(request)
            if left < -1e-12:
                break
            taken.append(request)
        if not taken and not wait:
            raise InputError(
                f"budget_usd {limit:g} is reached: {spent:.4f} USD are spent, {len(requests)} requests are open. All "
                "replies are kept; raise budget_usd in judge.yaml and run again to go on"
            )
        return taken

    def _parts(self, requests: list[Request]) -> list[list[Request]]:
        """Requests as batches of no more than batch_size and MOST_BYTES."""
        parts, size = [], math.inf
        for request in requests:
            length = len(self._line(request))
            if size + length > MOST_BYTES or len(parts[-1]) >= self.service["batch_size"]:
                parts.append([])
                size = 0
            parts[-1].append(request)
            size += length
        return parts

    def _line(self, request: Request) -> bytes:
        sent = body(request.text, self.spec, first_form(self.spec))
        line = {"custom_id": request.key, "method": "POST", "url": self.path, "body": sent}
        return json.dumps(line).encode() + b"\n"

    async def _submit(self, requests: list[Request], replies: dict[str, list[Reply]]) -> None:
        """Write a batch down, then upload and create it."""
        names = [f"{request.key}-{len(replies.get(request.key, [])) + 1}" for request in requests]
        name = hashlib.sha256(json.dumps([self.spec["name"], *names]).encode()).hexdigest()
        keys = json.dumps([request.key for request in requests])
        most = sum(map(self._most, requests))
        row = "insert or replace into batches values (?, ?, ?, null, null, 'new')"
        self.store.connection.execute(row, (name, keys, most))
        lines = b"".join(map(self._line, requests))
        file = await self._call(self.client.files.create(file=(f"{name}.jsonl", lines), purpose="batch"))
        self._note(name, "file_id", file.id)
        once = self.endpoint.client.with_options(max_retries=0)  # sent twice, it would be paid for twice
        created = await self._call(
            once.batches.create(
                input_file_id=file.id,
                endpoint=self.path,
                completion_window="24h",
                metadata={"judge": self.spec["name"], "requests": name},
            )
        )
        self._note(name, "batch_id", created.id)
        print(f"batch {created.id}: {len(requests)} requests submitted", flush=True)

    async def _collect_ended(self, requests: dict[str, Request]) -> set[str]:
        """Keep the replies of batches that have ended; the keys that are in the others, of whatever job."""
        query = "select hash, keys, batch_id from batches where state = 'new'"
        under_way = set()
        for name, keys, batch_id in self.store.connection.execute(query).fetchall():
            if batch_id is None:
                batch_id = await self._call(self._find(name))
                if batch_id is None:  # it was never created; its requests are asked again if they are still wanted
                    self.store.connection.execute("delete from batches where hash = ?", (name,))
                    continue
                self._note(name, "batch_id", batch_id)
            batch = await self._call(self.client.batches.retrieve(batch_id))
            if batch.status in ENDED:
                await self._collect(name, json.loads(keys), batch, requests)
            else:
                under_way |= set(json.loads(keys))
        return under_way

    async def _find(self, name: str) -> str | None:
        """The id of a batch that was created by a job that ended before it could write it down."""
        async for found in self.client.batches.list(limit=100):
            if (found.metadata or {}).get("requests") == name:
                return found.id
        return None

    async def _collect(self, name: str, keys: list[str], batch, requests: dict[str, Request]) -> None:
        lines = []
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            content = await self._call(self.client.files.content(file_id))
            lines += _read_lines(self.endpoint.clean(content.text), batch.id)
        connection, wanted = self.store.connection, set(keys)
        with connection:  # what ends it early takes all of it back
            connection.execute("begin")
            for line in lines:
                if line.get("custom_id") in wanted:
                    wanted.discard(line["custom_id"])
                    self._keep(line, f"batch {batch.id}", requests.get(line["custom_id"]))
            self._note(name, "state", batch.status)
        print(f"batch {batch.id}: {batch.status}, {len(keys) - len(wanted)} of {len(keys)} answered", flush=True)
        if batch.status == "failed" and requests.keys() & set(keys):
            errors = (batch.errors.data if batch.errors else None) or []
            reasons = "; ".join(str(error.message) for error in errors[:3]) or "it gives no reason"
            raise InputError(f"the endpoint refuses the batch {batch.id}: {self.endpoint.clean(reasons)}")
        if self._stop:
            raise self._stop

    def _keep(self, line: dict, source: str, request: Request | None) -> None:
        """Keep a reply; of an error, which costs nothing, its message."""
        response = line["response"] if isinstance(line.get("response"), dict) else {}
        status, key = response.get("status_code"), line["custom_id"]
        reply = read_reply(json.dumps(response.get("body")).encode()) if status == 200 else None
        if reply is None:
            said = json.dumps(line.get("error") or response.get("body") or "no reply", ensure_ascii=False)
            error = failure(status if isinstance(status, int) else 0, self.endpoint.clean(said), structured=True)
            self.reasons[key] = str(error)
            if error.follows in (FAILED, REFUSED):
                self.rejected[key] = Outcome("failed" if error.follows == FAILED else "refused", reason=str(error))
            elif error.follows in (ENDS, PLAIN) and request:
                reason = f"the endpoint {self.endpoint.address} refuses all requests: {error}; {error.advice}"
                self._stop = InputError(reason)
            return
        paid = paid_for(reply, request.tokens if request else 0, self.spec, self.service, 0.0, source, batched=True)
        self.store.add(key, self.spec["model"], reply, paid)

    def _note(self, name: str, column: str, value: str) -> None:
        self.store.connection.execute(f"update batches set {column} = ? where hash = ?", (value, name))

    async def _call(self, call):
        """The result of a call of the batch interface; an error that stays is the user's to see."""
        import openai

        try:
            return await call
        except openai.OpenAIError as error:
            text = self.endpoint.clean(f"{type(error).__name__}: {error}")
            raise InputError(f"the endpoint {self.endpoint.address}, Batch API: {text}; run again to go on") from None


def _read_lines(text: str, batch_id: str) -> list[dict]:
    """The lines of a batch's file. What cannot be read must not keep what was paid for beside it from being kept."""
    contents = []
    # A reply may hold U+2028 and others that splitlines takes for an end.
    lines = [line for line in text.split("\n") if line.strip()]
    for line in lines:
        with contextlib.suppress(ValueError):
            contents.append(json.loads(line))
    readable = [content for content in contents if isinstance(content, dict)]
    if len(readable) < len(lines):
        print(f"batch {batch_id}: {len(lines) - len(readable)} lines of its files cannot be read", flush=True)
    return readable
