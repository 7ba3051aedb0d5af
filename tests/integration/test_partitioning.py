"""Where the real producer puts a key's records is where they are looked for."""

import asyncio

import pytest

from infra.identity import producer
from infra.kafka import Log
from infra.partitioning import partition_for
from infra.settings import Settings
from schemas.trust import AccessChanged

pytestmark = pytest.mark.integration


def test_records_lie_where_their_key_says(stack: Settings) -> None:
    """Keys of all lengths: the hash takes four bytes at a time, and the rest by itself."""
    keys = [*("r" * length for length in range(20)), *(f"key {n}" for n in range(80)), "größer"]
    events = [
        AccessChanged(occurred_us=1, producer=producer("test"), subject=key, organisation="local", member="me", role="reader",
                      key_hash=None, scopes=(), expires_us=None, quota=None)
        for key in keys
    ]  # fmt: skip

    async def act() -> list[int]:
        async with Log(stack, client_id="test") as log:
            return [place.partition for place in await log.publish_all(events)]

    assert asyncio.run(act()) == [partition_for(key.encode(), 4) for key in keys]
