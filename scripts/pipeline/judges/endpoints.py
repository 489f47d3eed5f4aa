"""The endpoints of a judge: how they are reached, and which of them are used."""

import asyncio
import itertools
import os
import time
from dataclasses import dataclass
from typing import AnyStr

from pipeline.jobs.console import redact
from pipeline.jobs.io import InputError
from pipeline.judges.failures import AGAIN, Failure, failure, no_reply
from pipeline.judges.replies import MOST_BYTES, Reply, read_reply

DEFAULT_KEY = "OPENAI_API_KEY"
LONGEST_WAIT = 600.0  # seconds; an endpoint that asks for a longer pause is as good as gone
FAILURES = 10  # in a row, after which an endpoint is left out where there is another
SHORTEST_PAUSE = 0.5  # seconds, of those that are told


@dataclass(eq=False)
class Endpoint:
    """One address.

    Attributes:
        address: for messages and the store.
        client: an openai.AsyncOpenAI.
        key: the API key, which is in nothing that is written.
        paused_until: on the clock time.monotonic.
        failures: in a row, of those that count against it.
        unanswered: requests without a reply in a row, whatever the reason.
        structured: whether it takes a JSON schema, None where that is not known yet.
    """

    address: str
    client: object
    key: str
    paused_until: float = 0.0
    failures: int = 0
    unanswered: int = 0
    structured: bool | None = None

    async def ask(self, sent: dict, seconds: float, idempotency_key: str) -> Reply:
        """The reply to a request; of a long one, a little more than MOST_BYTES are read.

        Raises:
            Failure: there is none.
        """
        import httpx2
        import openai

        structured = "response_format" in sent
        headers = {"Idempotency-Key": idempotency_key}
        received = b""
        try:
            async with asyncio.timeout(seconds):
                asked = self.client.chat.completions.with_streaming_response.create(**sent, extra_headers=headers)
                async with asked as response:
                    async for chunk in response.iter_bytes():
                        received += chunk
                        if len(received) > MOST_BYTES:
                            break
        except openai.APIStatusError as error:
            text = self.clean(error.response.content[:MOST_BYTES].decode("utf-8", "replace"))
            raise failure(error.status_code, text, error.response.headers, structured) from None
        except (TimeoutError, openai.APITimeoutError, httpx2.TimeoutException):
            raise no_reply(f"no reply within {seconds:g} seconds") from None
        except (openai.APIConnectionError, httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            cause = error.__cause__ or error
            raise failure(0, self.clean(f"{type(error).__name__}: {type(cause).__name__}: {cause}")) from None
        reply = read_reply(self.clean(received))
        if reply is None:
            text = self.clean(received[:MOST_BYTES].decode("utf-8", "replace"))
            if text.lstrip()[:1] in ("{", "["):
                raise failure(response.status_code, text, response.headers, structured)
            raise no_reply(f"status {response.status_code}, and no chat completion: {' '.join(text[:200].split())!r}")
        return reply

    def clean(self, text: AnyStr) -> AnyStr:
        """A message, or what an endpoint sent, without the API key."""
        return redact(text, [self.key])


class Pool:
    """The endpoints that share a judge's requests, in turns. One that keeps failing is left out, but not the last."""

    def __init__(self, endpoints: list[Endpoint]):
        self.endpoints = list(endpoints)
        self._turns = itertools.count()

    async def ready(self) -> None:
        """Wait until an endpoint does not ask for a pause."""
        while not self._unpaused():
            until = min(endpoint.paused_until for endpoint in self.endpoints)
            await asyncio.sleep(max(0.001, until - time.monotonic()))

    def free(self, avoid: Endpoint | None = None) -> Endpoint | None:
        """The next endpoint that does not ask for a pause, another than `avoid` if possible; None where all do."""
        unpaused = self._unpaused()
        others = [endpoint for endpoint in unpaused if endpoint is not avoid] or unpaused
        return others[next(self._turns) % len(others)] if others else None

    def _unpaused(self) -> list[Endpoint]:
        now = time.monotonic()
        return [endpoint for endpoint in self.endpoints if endpoint.paused_until <= now]

    def failed(self, endpoint: Endpoint, error: Failure) -> None:
        """An endpoint has failed: heed the pause that it asks for, leave it out when it fails too often.

        Raises:
            InputError: the only endpoint asks for a pause of more than LONGEST_WAIT.
        """
        endpoint.failures += error.follows == AGAIN
        endpoint.unanswered += 1
        now, too_long = time.monotonic(), (error.wait or 0) > LONGEST_WAIT
        if error.wait is not None and not too_long:
            if error.wait >= SHORTEST_PAUSE and endpoint.paused_until <= now:
                print(
                    f"{endpoint.address} asks for a pause of {error.wait:.1f} seconds (Retry-After): {error}",
                    flush=True,
                )
            endpoint.paused_until = max(endpoint.paused_until, now + error.wait)
        if (too_long or endpoint.failures >= FAILURES) and not self.left_out(endpoint, error) and too_long:
            raise InputError(f"the endpoint {endpoint.address} asks to wait {error.wait:.0f} seconds: {error}")

    def left_out(self, endpoint: Endpoint, error: Failure) -> bool:
        """Whether an endpoint is left out from now on, as there are others."""
        if endpoint in self.endpoints:
            if len(self.endpoints) == 1:
                return False
            self.endpoints.remove(endpoint)
            print(f"the endpoint {endpoint.address} is left out from now on: {error}", flush=True)
        return True


def open_endpoints(service: dict) -> list[Endpoint]:
    """The endpoints of a judge.

    Raises:
        InputError: the environment variable of the API key is not set.
    """
    import openai

    name, urls = service["api_key_env"], service["base_url"]
    key = os.environ.get(name, "").strip()
    if not key and (urls is None or name != DEFAULT_KEY):
        raise InputError(f"the environment variable {name}, which is to hold the judge's API key, is not set")
    common = {"api_key": key or "none", "max_retries": 0, "timeout": service["timeout_seconds"]}
    endpoints = []
    for url in urls if isinstance(urls, list) else [urls]:
        if service["api_version"] is None:
            client = openai.AsyncOpenAI(base_url=url, **common)
        else:
            client = openai.AsyncAzureOpenAI(azure_endpoint=url, api_version=service["api_version"], **common)
        endpoints.append(Endpoint(url or str(client.base_url), client, key))
    return endpoints
