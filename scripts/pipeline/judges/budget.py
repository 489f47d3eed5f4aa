"""What requests cost, and how much may be spent."""

import asyncio

from pipeline.jobs.io import InputError


def price(prompt_tokens: int, completion_tokens: int, service: dict, batched: bool = False) -> float | None:
    """US dollars of a request by the judge's prices per million tokens; None where it has none.

    Args:
        batched: whether it is sent through the Batch API.
    """
    prices = service["prices"]
    if prices is None:
        return None
    dollars = (prompt_tokens * prices["input"] + completion_tokens * prices["output"]) / 1e6
    return dollars * (1 - prices["batch_discount"]) if batched else dollars


class Budget:
    """Money that is spent, that requests under way may take, and the limit of both together.

    A request reserves the most that it can take before it is sent, so the limit holds as far as the estimate of its
    prompt's tokens does.
    """

    def __init__(self, limit: float | None, spent: float):
        self.limit, self.spent, self.reserved, self.under_way = limit, spent, 0.0, 0
        self._changed = asyncio.Condition()

    async def reserve(self, dollars: float | None) -> None:
        """Wait until requests under way leave enough for one more.

        Raises:
            InputError: none is under way, and the money is spent.
        """
        async with self._changed:
            while self.limit is not None and self.spent + self.reserved + (dollars or 0.0) > self.limit + 1e-12:
                if not self.under_way:
                    raise InputError(
                        f"budget_usd {self.limit:g} is reached: {self.spent:.4f} USD are spent, the next request may "
                        "take more than what is left. All replies are kept; raise budget_usd in judge.yaml and run "
                        "again to go on"
                    )
                await self._changed.wait()
            self.reserved += dollars or 0.0
            self.under_way += 1

    async def settle(self, reserved: float | None, paid: float | None) -> None:
        """A request has ended: what it reserved is free, what it took is spent."""
        async with self._changed:
            self.reserved -= reserved or 0.0
            self.under_way -= 1
            self.spent += paid or 0.0
            self._changed.notify_all()
