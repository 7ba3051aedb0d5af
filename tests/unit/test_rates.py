"""How often a key may ask: counted by one process, or by a Redis for all of them; what cannot count is told."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import Settings
from query_api.access.rates import Rates
from streams.errors import Invalid, Unavailable

SERVER = shutil.which("redis-server")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The address of a Redis."""
    pytest.importorskip("redis")
    if SERVER is None:
        pytest.skip("no redis-server is installed here")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    child = subprocess.Popen([SERVER, "--port", str(port), "--save", "", "--bind", "127.0.0.1"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    give_up = time.monotonic() + 20
    while child.poll() is None and time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(20)


async def closed(*processes: Rates) -> None:
    """Ends their connections, which live as long as a process does."""
    for one in processes:
        if bridge := getattr(one._limiter.storage, "bridge", None):
            await bridge.storage.aclose()


async def waits(*processes: Rates) -> list[int | None]:
    """What a key with a quota of three is told that asks each of them in turn, twice."""
    try:
        return [await one.asks("key", 3) for one in (*processes, *processes)]
    finally:
        await closed(*processes)


def test_processes_that_share_nothing_count_each_for_themselves() -> None:
    """So a key with a quota of three asks two of them four times."""
    assert asyncio.run(waits(Rates(Settings()), Rates(Settings()))) == [None] * 4


def test_processes_that_share_a_redis_count_together(redis: str) -> None:
    """The fourth request waits, whichever it asks; and a wrong key that one has seen, another has."""
    settings = Settings(api_rates=redis)
    told = asyncio.run(waits(Rates(settings), Rates(settings)))
    assert told[:3] == [None] * 3 and told[3] is not None and 1 <= told[3] <= 60

    async def act() -> int | None:
        one, other = Rates(settings), Rates(settings)
        try:
            for _ in range(20):
                await one.wrong("10.0.0.7")
            return await other.shut_out("10.0.0.7")
        finally:
            await closed(one, other)

    assert asyncio.run(act()) is not None


def test_while_a_redis_is_away_nobody_comes_in_uncounted() -> None:
    """It is told as what is away, and not as a fault."""
    pytest.importorskip("redis")
    with pytest.raises(Unavailable, match="does not answer"):
        asyncio.run(waits(Rates(Settings(api_rates="redis://:secret@127.0.0.1:1"))))


def test_what_cannot_count_is_told_as_the_api_starts() -> None:
    """Without the password that stands in it."""
    with pytest.raises(Invalid, match="neither memory:// nor redis") as told:
        Rates(Settings(api_rates="redys://:secret@127.0.0.1:1"))
    assert "secret" not in str(told.value)
