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
from functools import cached_property

from infra.kafka import Ends, Log, Record
from infra.metrics import LISTENERS
from infra.reach import Reach
from infra.retrying import until_available
from query_api.operations.problems import Malformed
from streams.projection import name_of, plain
from streams.topics import COSTS, DEAD_LETTERS, DELAYS, JOB_STATUS, PERFORMANCE, RANKINGS, REQUESTS, RUN_SCORES, RUNS, Topic
from streams.trust.privacy import told

TOPICS = (REQUESTS, RUNS, JOB_STATUS, RUN_SCORES, PERFORMANCE, COSTS, RANKINGS, DEAD_LETTERS, DELAYS)
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


def _framed(kind: str, cursor: str, data: str) -> bytes:
    """An event as listeners get it; data is one line. Source: HTML Standard, Server-sent events."""
    return f"id: {cursor}\r\nevent: {kind}\r\ndata: {data}\r\n\r\n".encode()


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


class Heard:
    """A record as the follower heard it, and the next offsets behind it. What is told of it is made once for all listeners."""

    def __init__(self, record: Record, ends: Ends) -> None:
        self.record = record
        self.ends = ends

    def told(self, wish: Wanted, position: Ends) -> bytes:
        """Moves a listener's position past the record; the event, where it wants it and has not had it, else nothing."""
        place = (self.record.place.topic, self.record.place.partition)
        if self.record.place.offset < position.get(place, 0):
            return b""
        position[place] = self.record.place.offset + 1
        if not wish.takes(self.record):
            return b""
        # A listener's cursor may have been ahead of the follower: then it keeps its own.
        return self._frame if position == self.ends else _framed(self._kind, cursor_of(position), self._data)

    @property
    def _kind(self) -> str:
        return type(self.record.event).__name__

    @cached_property
    def _data(self) -> str:
        event = self.record.event
        return json.dumps(plain(told(event)) if event else None, ensure_ascii=False)

    @cached_property
    def _frame(self) -> bytes:
        return _framed(self._kind, cursor_of(self.ends), self._data)


@dataclass(frozen=True, slots=True)
class Notice:
    """The log has gone (`away`), or has come `back`."""

    kind: str
    since_us: int | None

    def told(self, _wish: Wanted, position: Ends) -> bytes:
        """For every listener."""
        return _framed(self.kind, cursor_of(position), json.dumps({"since_us": self.since_us}))


Waiting = asyncio.Queue[Heard | Notice | None]


class Live:
    """The follower, and those who listen."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._listeners: set[Waiting] = set()
        self.reach = Reach(log.check)
        self._next: Ends = {}
        self.ready = asyncio.Event()

    async def follow(self) -> None:
        """Follows the log for ever, and tells every listener."""
        self._next = await until_available(lambda: self._log.ends(TOPICS), what="kafka")
        self.ready.set()
        async for record in self._log.follow(TOPICS, since=self._next):
            self._next[record.place.topic, record.place.partition] = record.place.offset + 1
            heard = Heard(record, dict(self._next))
            for listener in list(self._listeners):
                self._tell(listener, heard)

    async def watch(self) -> None:
        """Watches the log for ever, and tells every listener when it has gone or has come back."""
        await self.reach.watch(self._notify)

    def _notify(self) -> None:
        for listener in list(self._listeners):
            self._tell(listener, self._reached)

    @property
    def _reached(self) -> Notice:
        since_us = self.reach.away_since_us
        return Notice("back" if since_us is None else "away", since_us)

    def _tell(self, listener: Waiting, what: Heard | Notice) -> None:
        if listener.qsize() < WAITING:
            listener.put_nowait(what)
            return
        self._listeners.discard(listener)
        listener.put_nowait(None)

    async def listen(self, wish: Wanted, *, cursor: str | None) -> AsyncIterator[bytes]:
        """What the listener wants, from its cursor (or from now): whole events, as many as wait. Ends where it does not keep up."""
        await self.ready.wait()
        since = ends_of(cursor) if cursor else None
        queue: Waiting = asyncio.Queue()
        self._listeners.add(queue)
        LISTENERS.inc()
        position = dict(since or self._next)
        joined = dict(self._next)
        try:
            yield _framed("cursor", cursor_of(position), "{}")
            if self._reached.kind == "away":
                yield self._reached.told(wish, position)
            if since is not None:
                async for heard in self._past(position, until=joined):
                    if told := heard.told(wish, position):
                        yield told
            while waiting := await _all_that_waits(queue):
                if told := b"".join([what.told(wish, position) for what in waiting]):
                    yield told
        finally:
            LISTENERS.dec()
            self._listeners.discard(queue)

    async def _past(self, position: Ends, *, until: Ends) -> AsyncIterator[Heard]:
        behind = {place: end for place, end in until.items() if position.get(place, 0) < end}
        if behind:
            async for record in self._log.follow(TOPICS, since=dict(position), until=behind):
                yield Heard(record, {})


async def _all_that_waits(queue: Waiting) -> list[Heard | Notice]:
    """Everything in the queue, at least one; nothing, once the listener was cut off and has had the rest."""
    waiting = [await queue.get()]
    while not queue.empty() and waiting[-1] is not None:
        waiting.append(queue.get_nowait())
    if waiting[-1] is None and len(waiting) > 1:
        queue.put_nowait(None)
    return [what for what in waiting if what is not None]
