"""Measurements on their way while the real broker is killed and started again: all of them arrive, in order, and nobody waited."""

import asyncio
import time
from pathlib import Path

import pytest

from gpu_agent.outbox import Outbox
from infra.identity import producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.measurements import TokensTimed
from streams.topics import TOKEN_TIMINGS
from tests.conftest import end, settings_in, spawn
from tests.flow import PATIENCE_S
from tests.runs import run_named

pytestmark = [pytest.mark.integration, pytest.mark.slow]
R = run_named("r")
MEASUREMENTS = 600


def timed(number: int) -> TokensTimed:
    """A measurement of that number."""
    return TokensTimed(
        occurred_us=1, producer=producer("test"), run_id=R, job_id=f"{R}/perf", attempt=1, request_index=number, sequence=0, chunk=0,
        first_token=0, first_ns=number, gaps=bytes([1, *range(31)]),
    )  # fmt: skip


async def measured(log: Log, folder: Path, *, took_s: list[float], broker: "Broker") -> int:
    """Puts a measurement every 10 ms, the broker away from the 100th to the 400th; how many went through the file."""
    async with Outbox(log, folder) as outbox:
        for number in range(MEASUREMENTS):
            if number == 100:
                broker.kill()
            if number == 400:
                broker.start()
            began_s = time.monotonic()
            await outbox.put([timed(number)])
            took_s.append(time.monotonic() - began_s)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENCE_S):
            await outbox.flush()
        return outbox.kept


class Broker:
    """The real broker of a folder, as a child."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.start()

    def start(self) -> None:
        """Starts it."""
        self._child = spawn("infra.embedded.broker", settings=self._settings)

    def kill(self) -> None:
        """Kills it."""
        self._child.kill()
        self._child.wait()

    def end(self) -> None:
        """Ends it."""
        end(self._child)


def test_a_broker_that_is_killed_and_comes_back_has_every_measurement_in_order(tmp_path: Path) -> None:
    """What lies in the log twice is the same events; to put one never took as long as a token's gap."""
    settings = settings_in(tmp_path / "home")
    broker, registry = Broker(settings), spawn("infra.embedded.registry", settings=settings)
    took_s = list[float]()

    async def act() -> tuple[int, list[int]]:
        async with Log(settings, client_id="test") as log:
            await log.create_topics([TOKEN_TIMINGS])
            kept = await measured(log, tmp_path / "unsent", took_s=took_s, broker=broker)
            return kept, [event.request_index async for record in log.read([TOKEN_TIMINGS])
                          if isinstance(event := record.event, TokensTimed)]  # fmt: skip

    try:
        kept, found = asyncio.run(act())
    finally:
        broker.end()
        end(registry)
    assert list(dict.fromkeys(found)) == list(range(MEASUREMENTS))
    assert kept >= 200 and list((tmp_path / "unsent").iterdir()) == []
    assert sorted(took_s)[int(0.99 * MEASUREMENTS)] < 0.05
