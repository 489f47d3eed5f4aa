"""An OpenAI-compatible server of the tests: real sockets, replies and faults as a test asks for them."""

import asyncio
import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MODEL = "judge-1"
MATERIAL = r"\[begin {name} (\w+)\]\n(.*?)\n\[end {name} \1\]"


@dataclass
class Call:
    """A request as it came, and what it was answered with."""

    path: str
    headers: dict[str, str]
    data: bytes
    at: float
    answer: "Answer | None" = None

    @property
    def body(self) -> dict:
        return json.loads(self.data)

    @property
    def text(self) -> str:
        """What the judge is asked."""
        return self.body["messages"][0]["content"]

    @property
    def name(self) -> str:
        """The idempotency key: request key and attempt."""
        return self.headers.get("idempotency-key", "")


@dataclass
class Answer:
    """What a call gets: a body with a status after a delay, or a connection that is dropped."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    fault: str = ""


def material(text: str, name: str) -> str:
    """A part of what a judge is shown: "request", "answer", "answer A", "answer B"."""
    return re.search(MATERIAL.format(name=name), text, re.DOTALL)[2]


def completion(content: str | None, model: str = MODEL, finish: str = "stop", **message) -> Answer:
    """A chat completion."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
    }
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
    return Answer(json.dumps(body).encode())


def error(status: int, message: str = "no", code: str | None = None, **headers) -> Answer:
    body = {"error": {"message": message, "type": "error", "code": code}}
    return Answer(json.dumps(body).encode(), status, {k.replace("_", "-"): str(v) for k, v in headers.items()})


def grade(text: str) -> int:
    """A score from 1 to 10 that depends on the text alone."""
    return hashlib.sha256(text.encode()).digest()[0] % 10 + 1


def verdict(call: Call) -> Answer:
    """A judge that grades the answers by `grade`, in the form that it is asked for."""
    names = {"score_a": "answer A", "score_b": "answer B"} if "[begin answer A " in call.text else {"score": "answer"}
    scores = {key: grade(material(call.text, name)) for key, name in names.items()}
    if "response_format" in call.body:
        return completion(json.dumps({"reasons": "Both say something.", **scores}))
    line = "SCORE: {score}" if "score" in scores else "SCORES: A={score_a} B={score_b}"
    return completion("Both say something.\n" + line.format(**scores))


FAULTS = ("429", "500", "timeout", "dropped", "malformed", "empty", "oversized", "wrong model")


def faulty(share: float, seed: int = 0, behave: Callable[[Call], Answer] = verdict, slow: float = 3.0):
    """A judge that fails with every fault, each as often as the others, in that share of its calls altogether."""
    draw = random.Random(seed)

    def answer(call: Call) -> Answer:
        if draw.random() >= share:
            return behave(call)
        fault = draw.choice(FAULTS)
        made = {
            "429": lambda: error(429, "slow down", retry_after=0.05),
            "500": lambda: error(500),
            "timeout": lambda: Answer(delay=slow, drop=True),
            "dropped": lambda: Answer(drop=True),
            "malformed": lambda: Answer(b'{"id": "c", "choices": [{"mess'),
            "empty": lambda: completion(""),
            "oversized": lambda: completion("a" * 1_200_000),
            "wrong model": lambda: completion(
                json.loads(verdict(call).body)["choices"][0]["message"]["content"], "gpt-2"
            ),
        }[fault]()
        made.fault = fault
        return made

    return answer


class Endpoint:
    """The server, in a thread of its own. Use it as a context.

    Args:
        behave: what a call gets; calls of the Batch API and others by path, too.
        idempotent: whether a call with the name of one that was answered with 200 gets the same answer again.
    """

    def __init__(self, behave: Callable[[Call], Answer] = verdict, idempotent: bool = False, port: int = 0):
        self.behave, self.idempotent, self.port = behave, idempotent, port
        self.calls: list[Call] = []
        self.answered: dict[str, Answer] = {}
        self.replayed = 0

    def __enter__(self) -> "Endpoint":
        started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self.thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_) -> None:
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def most_in(self, seconds: float) -> int:
        """The most calls in any window of so many seconds."""
        times, most, start = [call.at for call in self.calls], 0, 0
        for end, at in enumerate(times):
            while at - times[start] >= seconds:
                start += 1
            most = max(most, end - start + 1)
        return most

    async def _serve(self, started: threading.Event) -> None:
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self.ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        data = await reader.readexactly(int(headers.get("content-length", 0)))
        call = Call(" ".join(first.split()[:2]), headers, data, time.monotonic())
        self.calls.append(call)
        if self.idempotent and call.name in self.answered:
            call.answer = self.answered[call.name]
            self.replayed += 1
        else:
            call.answer = self.behave(call)
        answer = call.answer
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.drop:
            return False
        if answer.status == 200 and call.name:
            self.answered.setdefault(call.name, answer)
        extra = {"content-type": "application/json", "content-length": len(answer.body), **answer.headers}
        told = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{told}\r\n".encode() + answer.body)
        await writer.drain()
        return True
