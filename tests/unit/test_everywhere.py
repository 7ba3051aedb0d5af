"""State that every worker has whole: what was not written to its end is written later."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from agents.everywhere import SHARD, Everywhere
from infra.kafka import Log, Place, Record
from infra.settings import Settings
from infra.snapshots import Snapshots
from streams.topics import PRICES, Topic
from tests.measured import price
from tests.unit.test_snapshots import There


class Counting:
    """A fold that counts records; writing its state down takes until it is let go."""

    version: str = "counting-1"
    topics: Sequence[Topic] = (PRICES,)

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def empty(self) -> list[Record]:
        """No record."""
        return []

    def dumping(self, state: list[Record]) -> Callable[[], bytes]:
        """How many there are, slowly."""
        count = len(state)

        def write() -> bytes:
            self.begun.set()
            assert self.go_on.wait(300)
            return str(count).encode()

        return write

    def loaded(self, told: bytes) -> list[Record]:
        """Never asked for here."""
        raise ValueError(told)

    def fold(self, state: list[Record], record: Record) -> None:
        """One more."""
        state.append(record)


def test_a_snapshot_that_was_cut_off_is_written_at_the_end(tmp_path: Path) -> None:
    """A process that ends while it writes one lets that go; what it had not written then is written at its end."""
    settings, fold = Settings(home=tmp_path), Counting()
    log = There(settings, client_id="test")
    record = Record(Place(PRICES.name, 0, 6), None, b"", 0, price("cpu_hour", 1.0, unit="core-hour"))

    async def act(log: Log) -> bytes | None:
        everywhere = Everywhere(log, settings, worker="p", fold=fold)
        await everywhere._take(record)
        keeping = asyncio.create_task(everywhere.save())
        assert await asyncio.to_thread(fold.begun.wait, 300)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        fold.go_on.set()
        await everywhere.save()
        found = await Snapshots(log, settings, processor="p", version=fold.version).load(SHARD)
        return found.state if found else None

    assert asyncio.run(act(log)) == b"1"


def test_a_snapshot_that_cannot_be_made_ends_nobody(tmp_path: Path) -> None:
    """It is a cache: the next one may be made again."""
    settings, fold = Settings(home=tmp_path), Counting()
    log, failing = There(settings, client_id="test"), [1]

    def short(state: list[Record]) -> Callable[[], bytes]:
        if failing.pop():
            raise MemoryError
        return lambda: str(len(state)).encode()

    async def act() -> list[bytes | None]:
        fold.dumping, found = short, list[bytes | None]()  # type: ignore[method-assign]
        everywhere = Everywhere(cast("Log", log), settings, worker="p", fold=fold)
        for more in (1, 0):
            failing.append(more)
            await everywhere._take(Record(Place(PRICES.name, 0, 6), None, b"", 0, price("cpu_hour", 1.0, unit="core-hour")))
            await everywhere.save()
            snapshot = await Snapshots(cast("Log", log), settings, processor="p", version=fold.version).load(SHARD)
            found.append(snapshot.state if snapshot else None)
        return found

    assert asyncio.run(act()) == [None, b"2"]
