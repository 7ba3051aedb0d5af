"""How often a key may ask, and an address may show a wrong one."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from infra.settings import Settings

WRONG_KEYS = RateLimitItemPerMinute(20)  # a slow hash each


class Rates:
    """Counts by the minute, here or in the storage that several processes share."""

    def __init__(self, settings: Settings) -> None:
        storage = storage_from_string(f"async+{settings.api_rates}")
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._usual = settings.api_rate

    async def asks(self, key_id: str, quota: int | None) -> int | None:
        """Counts a request of a key. Seconds after which to come again, where there were too many; else None."""
        return await self._counted(RateLimitItemPerMinute(quota or self._usual), "key", key_id)

    async def wrong(self, address: str) -> None:
        """Counts a wrong key from an address."""
        await self._limiter.hit(WRONG_KEYS, "wrong", address)

    async def shut_out(self, address: str) -> int | None:
        """Seconds after which an address may show a key again, where it has shown too many wrong ones; else None."""
        return None if await self._limiter.test(WRONG_KEYS, "wrong", address) else await self._wait(WRONG_KEYS, "wrong", address)

    async def _counted(self, limit: RateLimitItemPerMinute, *names: str) -> int | None:
        return None if await self._limiter.hit(limit, *names) else await self._wait(limit, *names)

    async def _wait(self, limit: RateLimitItemPerMinute, *names: str) -> int:
        return max(1, math.ceil((await self._limiter.get_window_stats(limit, *names)).reset_time - time.time()))
