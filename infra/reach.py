"""Whether the log answers, as of a second ago, and since when it does not."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from infra.identity import now_us
from streams.errors import Unavailable

EVERY_S = 1.0


class Reach:
    """`away_since_us` is when the log last answered, while it does not answer; None while it does."""

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self._check = check
        self._answered_us = now_us()
        self.away_since_us: int | None = None

    async def watch(self, changed: Callable[[], None]) -> None:
        """Asks every second, for ever; `changed` is called when the log has gone or has come back."""
        while True:
            before = self.away_since_us
            try:
                await self._check()
                self._answered_us, self.away_since_us = now_us(), None
            except Unavailable as error:
                self.away_since_us = self._answered_us
                if before is None:
                    structlog.get_logger().warning("the log is away", reason=str(error))
            if (before is None) != (self.away_since_us is None):
                changed()
            await asyncio.sleep(EVERY_S)
