"""State that every worker of a processor needs whole: topics of few, small events, read by all of them, without a group.

It is restored from a snapshot and the log behind it, and then follows the log. One snapshot serves all workers.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Generic, Protocol, TypeVar

import structlog

from agents.care import Care
from agents.ending import end_where_hung
from infra.kafka import Ends, Log, Record
from infra.settings import Settings
from infra.snapshots import Snapshots
from streams.topics import Topic

S = TypeVar("S")
SHARD = "everywhere"
PATIENCE_MS = 500  # boards and costs may be late by that much
log_line = structlog.get_logger()


class Fold(Protocol[S]):
    """What is held of the topics. `version` names the code of the fold, for snapshots."""

    version: str
    topics: Sequence[Topic]

    def empty(self) -> S:
        """A state that has folded nothing."""
        ...

    def dumping(self, state: S) -> Callable[[], bytes]:
        """What writes the state as bytes, as it is now: it is called in a thread, while the state goes on."""
        ...

    def loaded(self, told: bytes) -> S:
        """The state in such bytes. Raises: anything, where they are none."""
        ...

    def fold(self, state: S, record: Record) -> None:
        """Takes a record in."""
        ...


class Everywhere(Generic[S]):
    """The state, and how far it has followed the log."""

    def __init__(self, log: Log, settings: Settings, *, worker: str, fold: Fold[S]) -> None:
        self._log = log
        self._fold = fold
        self._care = Care(worker, log, settings)
        self._settings = settings
        self._every_s = settings.snapshot_s
        self._snapshots = Snapshots(log, settings, processor=worker, version=fold.version)
        self._next: Ends = {}
        self._moved = asyncio.Event()
        self._changes = 0
        self._saved = 0
        self.state = fold.empty()

    async def restore(self) -> None:
        """Brings the state to the log's present end."""
        end_where_hung(self._care, self._settings)
        started, found = time.perf_counter(), await self._snapshots.load(SHARD)
        state = self._care.restored(found, self._fold.loaded, shard=SHARD)
        self.state, self._next = (state, found.offsets) if found and state is not None else (self._fold.empty(), {})
        ends, events = await self._log.ends(self._fold.topics), 0
        behind = {place: end for place, end in ends.items() if self._next.get(place, 0) < end}
        if behind:
            async with aclosing(self._log.follow(self._fold.topics, since=dict(self._next), until=behind, told="restoring")) as records:
                async for record in records:
                    events += 1
                    await self._take(record)
        self._next |= ends
        log_line.info("restored", everywhere=True, events=events, took_s=round(time.perf_counter() - started, 3))

    async def _take(self, record: Record) -> None:
        """Folds a record; what is wrong with one stops nobody. Other workers meet it too: a dead letter of one id counts once."""
        await self._care.undecodable([record])
        if record.event:
            await self._care.taken(record, lambda: self._fold.fold(self.state, record))
        self._next[record.place.topic, record.place.partition] = record.place.offset + 1
        self._changes += 1

    async def follow(self, moved: Callable[[Record], None] = lambda _record: None) -> None:
        """Follows the log for ever; `moved` is told of each record once it is folded."""
        async for record in self._log.follow(self._fold.topics, since=dict(self._next), patience_ms=PATIENCE_MS):
            await self._take(record)
            moved(record)
            self._moved.set()

    async def passed(self, records: Sequence[Record]) -> None:
        """Returns once these records are folded here."""
        last = {(record.place.topic, record.place.partition): record.place.offset for record in records}
        while any(self._next.get(place, 0) <= offset for place, offset in last.items()):
            self._moved.clear()
            await self._moved.wait()

    async def catch_up(self) -> None:
        """Returns once all that the topics hold by now is folded here."""
        ends = await self._log.ends(self._fold.topics)
        while any(self._next.get(place, 0) < end for place, end in ends.items()):
            self._moved.clear()
            await self._moved.wait()

    async def keep(self) -> None:
        """Writes a snapshot now and then, for ever, where something has changed."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.save()

    async def save(self) -> None:
        """Writes a snapshot, where something has changed since the last that was written to its end."""
        changes = self._changes
        if changes != self._saved:
            await self._snapshots.keep(SHARD, self._next, lambda: self._fold.dumping(self.state))
            self._saved = changes

    @asynccontextmanager
    async def following(self, moved: Callable[[Record], None] = lambda _record: None) -> AsyncIterator[list[asyncio.Task[None]]]:
        """While it lasts, the state follows and is kept; gives the tasks that do it, which never end by themselves."""
        tasks = [asyncio.create_task(self.follow(moved)), asyncio.create_task(self.keep())]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.save()
