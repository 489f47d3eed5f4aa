"""Requests and tokens per minute, never more in any 60 seconds.

A limiter that lets a whole minute's worth through at once can pass twice that in the 60 seconds around the end of the
burst. So requests go evenly, a minute's share apart, and tokens through a bucket no larger than the largest request,
whose content is taken off the rate. Both start full: a job that follows another one keeps the distance, too.
"""

from aiolimiter import AsyncLimiter

from pipeline.jobs.io import InputError

MINUTE = 60.0
MARGIN = 1.02  # of the distance between requests, for delays on the way to the endpoint


class Limits:
    """Holds back requests; `None` is no limit.

    Args:
        largest: tokens of the largest request, its longest reply included.

    Raises:
        InputError: one request alone takes more tokens than a minute has.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None, largest: int):
        self._requests = self._tokens = None
        self._largest, self._started = largest, False
        if requests_per_minute is not None:
            self._requests = AsyncLimiter(1, MARGIN * MINUTE / requests_per_minute)
        if tokens_per_minute is not None:
            if largest >= tokens_per_minute:
                raise InputError(
                    f"tokens_per_minute {tokens_per_minute:g}: a single request may take {largest} tokens, by "
                    "estimate, reply included; raise the limit, or lower max_tokens"
                )
            self._tokens = AsyncLimiter(largest, MARGIN * MINUTE * largest / (tokens_per_minute - largest))

    async def acquire(self, tokens: int) -> None:
        """Wait until a request of so many tokens, its longest reply included, may be sent."""
        if not self._started:
            self._started = True
            for limiter, all_of_it in ((self._tokens, self._largest), (self._requests, 1)):
                if limiter is not None:
                    await limiter.acquire(all_of_it)
        if self._tokens is not None:
            await self._tokens.acquire(min(tokens, self._largest))
        if self._requests is not None:
            await self._requests.acquire()
