"""How often a key may ask, and an address may show a wrong one.

Counts are of the process, or of a Redis that several share; while that is away nobody is let in uncounted.
"""

import math
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from limits import RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from infra.settings import Settings
from streams.errors import Invalid, Unavailable

T = TypeVar("T")
REDIS: Final = ("redis", "rediss", "redis+unix")
WRONG_KEYS = RateLimitItemPerMinute(20)  # a slow hash each


class Rates:
    """Counts by the minute, here or in the storage that several processes share. Raises: Invalid for one that there is not."""

    def __init__(self, settings: Settings) -> None:
        kind = settings.api_rates.partition("://")[0]
        by: dict[str, Any] = {"implementation": "redispy"} if kind in REDIS else {}
        try:
            storage = storage_from_string(f"async+{settings.api_rates}", wrap_exceptions=True, **by)
        except ConfigurationError as error:
            what = "wants the package redis: pip install redis" if by else "is neither memory:// nor redis://HOST:PORT"
            raise Invalid(f"ASSAY_API_RATES={kind}://… {what}", code="api-rates") from error
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._usual = settings.api_rate

    async def asks(self, key_id: str, quota: int | None) -> int | None:
        """Counts a request of a key. Seconds after which to come again, where there were too many; else None."""
        return await self._counted(RateLimitItemPerMinute(quota or self._usual), "key", key_id)

    async def wrong(self, address: str) -> None:
        """Counts a wrong key from an address."""
        await _told(self._limiter.hit(WRONG_KEYS, "wrong", address))

    async def shut_out(self, address: str) -> int | None:
        """Seconds after which an address may show a key again, where it has shown too many wrong ones; else None."""
        return None if await _told(self._limiter.test(WRONG_KEYS, "wrong", address)) else await self._wait(WRONG_KEYS, "wrong", address)

    async def _counted(self, limit: RateLimitItemPerMinute, *names: str) -> int | None:
        return None if await _told(self._limiter.hit(limit, *names)) else await self._wait(limit, *names)

    async def _wait(self, limit: RateLimitItemPerMinute, *names: str) -> int:
        stats = await _told(self._limiter.get_window_stats(limit, *names))
        return max(1, math.ceil(stats.reset_time - time.time()))


async def _told(asked: Awaitable[T]) -> T:
    """What the storage says. Raises: Unavailable where it says nothing."""
    try:
        return await asked
    except StorageError as error:
        raise Unavailable("where requests are counted (ASSAY_API_RATES) does not answer", code="api-rates") from error
