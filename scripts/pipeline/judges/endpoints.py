"""The endpoints of a judge: how they are reached, which of them are used, and what their errors mean."""

import asyncio
import contextlib
import email.utils
import itertools
import os
import time
from dataclasses import dataclass
from typing import AnyStr

from pipeline.jobs.console import redact
from pipeline.jobs.io import InputError
from pipeline.judges.replies import MOST_BYTES

DEFAULT_KEY = "OPENAI_API_KEY"
LONGEST_WAIT = 600.0  # seconds; an endpoint that asks for a longer pause is as good as gone
FAILURES = 10  # in a row, after which an endpoint is left out where there is another


class AskAgain(Exception):  # noqa: N818
    """A request failed in a way that may pass.

    Attributes:
        wait: seconds that the endpoint asks for, None where it does not say.
        broken: whether it counts against the endpoint.
    """

    def __init__(self, reason: str, wait: float | None = None, broken: bool = True):
        super().__init__(reason)
        self.wait, self.broken = wait, broken


class Rejected(Exception):  # noqa: N818
    """The endpoint will not answer this request, whenever it is asked.

    Attributes:
        filtered: whether its content filter says so.
    """

    def __init__(self, reason: str, filtered: bool = False):
        super().__init__(reason)
        self.filtered = filtered


@dataclass(eq=False)
class Endpoint:
    """One address.

    Attributes:
        address: for messages and the store.
        client: an openai.AsyncOpenAI.
        key: the API key, which is in nothing that is written.
        paused_until: on the clock time.monotonic.
        failures: in a row.
        structured: whether it takes a JSON schema, None where that is not known yet.
    """

    address: str
    client: object
    key: str
    paused_until: float = 0.0
    failures: int = 0
    structured: bool | None = None

    async def ask(self, sent: dict, seconds: float, idempotency_key: str) -> bytes:
        """The body of a reply with status 200, at most a little more than MOST_BYTES of it.

        Raises:
            AskAgain, Rejected: see there.
            InputError: the endpoint will answer no request: wrong key, no such model, no money left.
        """
        import httpx2
        import openai

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
            return self.clean(received)
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except (TimeoutError, openai.APITimeoutError, httpx2.TimeoutException):
            raise AskAgain(f"no reply within {seconds:g} seconds") from None
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise AskAgain(self.clean(f"{type(error).__name__}: {error.__cause__ or error}")) from None

    def _status_error(self, error) -> Exception:
        status, reason = error.status_code, self.clean(str(error))[:500]
        wait = _retry_after(error.response.headers.get("retry-after"))
        if error.code == "content_filter":
            return Rejected(reason, filtered=True)
        if status == 429 and error.code != "insufficient_quota":
            return AskAgain(reason, wait, broken=False)
        if status in (408, 409, 425) or status >= 500:
            return AskAgain(reason, wait)
        if status in (401, 403, 404, 429):
            return InputError(f"the endpoint {self.address} refuses all requests: {reason}")
        return Rejected(reason)

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

    def failed(self, endpoint: Endpoint, error: AskAgain) -> None:
        """An endpoint has failed: heed the pause that it asks for, leave it out when it fails too often.

        Raises:
            InputError: the only endpoint asks for a pause of more than LONGEST_WAIT.
        """
        endpoint.failures += error.broken
        too_long = (error.wait or 0) > LONGEST_WAIT
        if error.wait is not None and not too_long:
            endpoint.paused_until = max(endpoint.paused_until, time.monotonic() + error.wait)
        if (too_long or endpoint.failures >= FAILURES) and endpoint in self.endpoints:
            if len(self.endpoints) > 1:
                self.endpoints.remove(endpoint)
                print(f"the endpoint {endpoint.address} is left out from now on: {error}", flush=True)
            elif too_long:
                raise InputError(f"the endpoint {endpoint.address} asks to wait {error.wait:.0f} seconds: {error}")


def open_endpoints(service: dict) -> list[Endpoint]:
    """The endpoints of a judge.

    Raises:
        InputError: the environment variable of the API key is not set.
    """
    import openai

    name, urls = service["api_key_env"], service["base_url"]
    key = os.environ.get(name, "")
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


def _retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header, which has seconds or a date; None where it cannot be read."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(text or ""))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(text or "").timestamp() - time.time())
    return None
