"""What happens, as it happens: one follower of the log, any number of listeners, each resumable without a gap.

An event's id is a cursor: the next offset of every (topic, partition) of the stream. Whoever comes back with it gets exactly what
followed: from the log as far as that goes, then live. A listener that does not keep up is cut off; it comes back with its cursor.
"""

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from infra.kafka import Ends, Log, Record
from infra.reach import Reach
from infra.retrying import until_available
from query_api.problems import Malformed
from streams.projection import name_of, plain
from streams.topics import DEAD_LETTERS, JOB_STATUS, PERFORMANCE, RANKINGS, REQUESTS, RUN_SCORES, RUNS, Topic

TOPICS = (REQUESTS, RUNS, JOB_STATUS, RUN_SCORES, PERFORMANCE, RANKINGS, DEAD_LETTERS)
BY_NAME = {name_of(topic): topic for topic in TOPICS}
PLACES = tuple((topic.name, partition) for topic in TOPICS for partition in range(topic.partitions))
WAITING = 10_000
SPAN = struct.Struct(f">{len(PLACES)}Q")


def cursor_of(ends: Ends) -> str:
    """The cursor of these next offsets, safe in an address."""
    packed = zlib.compress(SPAN.pack(*(ends.get(place, 0) for place in PLACES)), 1)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def ends_of(cursor: str) -> Ends:
    """The next offsets in a cursor. Raises: Malformed."""
    try:
        packed = zlib.decompress(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return dict(zip(PLACES, SPAN.unpack(packed), strict=True))
    except (ValueError, zlib.error, struct.error) as error:
        raise Malformed(f"{cursor[:40]!r} is no cursor of this stream; leave it out to begin now", code="bad-cursor") from error


@dataclass(frozen=True, slots=True)
class Told:
    """One event for listeners: `cursor` resumes behind it."""

    kind: str
    cursor: str
    data: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listener wants to hear."""

    topics: frozenset[str]
    run_id: str | None = None
    board: str | None = None

    def takes(self, record: Record) -> bool:
        """The record is for this listener."""
        if record.event is None or record.place.topic not in self.topics:
            return False
        if self.run_id is not None and getattr(record.event, "run_id", None) != self.run_id:
            return False
        return self.board is None or getattr(record.event, "board", None) == self.board


def wanted(topics: Sequence[str], *, run_id: str | None, board: str | None) -> Wanted:
    """A listener's wish. Raises: Malformed for a topic that is not told live."""
    if unknown := sorted(set(topics) - BY_NAME.keys()):
        raise Malformed(f"topic {unknown[0]!r} is not told live; there are {', '.join(BY_NAME)}", code="unknown-topic")
    chosen: Iterator[Topic] = (BY_NAME[name] for name in topics) if topics else iter(TOPICS)
    return Wanted(frozenset(topic.name for topic in chosen), run_id, board)


class Behind(Exception):
    """A listener did not keep up."""


class Live:
    """The follower, and those who listen."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._listeners: set[asyncio.Queue[Record | str | None]] = set()
        self.reach = Reach(log.check)
        self._next: Ends = {}
        self.ready = asyncio.Event()

    async def follow(self) -> None:
        """Follows the log for ever, and tells every listener."""
        self._next = await until_available(lambda: self._log.ends(TOPICS), what="kafka")
        self.ready.set()
        async for record in self._log.follow(TOPICS, since=self._next):
            self._next[record.place.topic, record.place.partition] = record.place.offset + 1
            for listener in list(self._listeners):
                self._tell(listener, record)

    async def watch(self) -> None:
        """Watches the log for ever, and tells every listener when it has gone or has come back."""
        await self.reach.watch(self._notify)

    def _notify(self) -> None:
        for listener in list(self._listeners):
            self._tell(listener, self._reached)

    @property
    def _reached(self) -> str:
        return "back" if self.reach.away_since_us is None else "away"

    def _tell(self, listener: asyncio.Queue[Record | str | None], record: Record | str) -> None:
        if listener.qsize() < WAITING:
            listener.put_nowait(record)
            return
        self._listeners.discard(listener)
        listener.put_nowait(None)

    async def listen(self, wish: Wanted, *, cursor: str | None) -> AsyncIterator[Told]:
        """What the listener wants, from its cursor (or from now). Ends where it does not keep up."""
        await self.ready.wait()
        since = ends_of(cursor) if cursor else None
        queue: asyncio.Queue[Record | str | None] = asyncio.Queue()
        self._listeners.add(queue)
        position = dict(since or self._next)
        joined = dict(self._next)
        try:
            yield Told("cursor", cursor_of(position), "{}")
            if self._reached == "away":
                yield self._notice("away", position)
            if since is not None:
                async for told in self._past(wish, position, until=joined):
                    yield told
            while (record := await queue.get()) is not None:
                if isinstance(record, str):
                    yield self._notice(record, position)
                elif told_now := self._advance(wish, position, record):
                    yield told_now
        finally:
            self._listeners.discard(queue)

    def _notice(self, kind: str, position: Ends) -> Told:
        return Told(kind, cursor_of(position), json.dumps({"since_us": self.reach.away_since_us}))

    async def _past(self, wish: Wanted, position: Ends, *, until: Ends) -> AsyncIterator[Told]:
        behind = {place: end for place, end in until.items() if position.get(place, 0) < end}
        if not behind:
            return
        async for record in self._log.follow(TOPICS, since=dict(position), until=behind):
            if told := self._advance(wish, position, record):
                yield told

    @staticmethod
    def _advance(wish: Wanted, position: Ends, record: Record) -> Told | None:
        """Moves the position past the record; the event for the listener, where it wants it and has not had it."""
        place = (record.place.topic, record.place.partition)
        if record.place.offset < position.get(place, 0):
            return None
        position[place] = record.place.offset + 1
        if not wish.takes(record) or record.event is None:
            return None
        kind = type(record.event).__name__
        return Told(kind, cursor_of(position), json.dumps(plain(record.event), ensure_ascii=False))
