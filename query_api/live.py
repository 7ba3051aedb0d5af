"""What happens, as it happens: one follower of the log, any number of listeners, each resumable without a gap.

An event's id is a cursor (query_api/positions.py). Whoever comes back with it gets exactly what followed: from the log as far as that
goes, of the places that it asked for and no others, then live. What is not for a listener moves its position all the same, and now and
then it is told where it stands. A listener that does not keep up is cut off; it comes back with its cursor. One whose cursor is beyond the
log's end was told by another log, or by one that has lost its end since: it is told so, and goes on from the end.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from infra.identity import now_us
from infra.kafka import Ends, Log, Record
from infra.metrics import LISTENERS
from infra.reach import Reach
from infra.retrying import until_available
from query_api.positions import Position, position_of
from query_api.wanted import BY_NAME, TOPICS, Wanted
from streams.projection import plain
from streams.topics import topic_named
from streams.trust.privacy import told
from streams.trust.visibility import Seen, seen_by

WAITING = 10_000
CURSOR_EVERY_S = 3.0
PATIENCE_MS = 250  # all topics are followed: with less the broker does little else but answer that there is nothing


def _framed(kind: str, cursor: str, data: str) -> bytes:
    """An event as listeners get it; data is one line. Source: HTML Standard, Server-sent events."""
    return f"id: {cursor}\r\nevent: {kind}\r\ndata: {data}\r\n\r\n".encode()


class Heard:
    """A record as the follower heard it. What is told of it is made once for all listeners who have come equally far."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._frames: dict[object, bytes] = {}
        self._data: dict[bool, str] = {}

    def told(self, wish: Wanted, position: Position) -> bytes:
        """Moves a listener's position past the record; the event, where it wants it and has not had it, else nothing."""
        if not position.passes(self.record) or not wish.takes(self.record):
            return b""
        stand = wish.seen.all, position.at_us, *position.next.items()
        if stand not in self._frames:
            self._frames[stand] = _framed(type(self.record.event).__name__, position.cursor(), self._shown(wish.seen))
        return self._frames[stand]

    def _shown(self, seen: Seen) -> str:
        if seen.all not in self._data:
            event = seen_by(seen, self.record.event) if self.record.event else None
            self._data[seen.all] = json.dumps(plain(told(event)) if event else None, ensure_ascii=False)
        return self._data[seen.all]


class Notice:
    """The log has gone (`away`), or has come `back`; or this is just where the listener stands (`cursor`)."""

    def __init__(self, kind: str, **data: int | None) -> None:
        self.kind = kind
        self._data = json.dumps(data)

    def told(self, _wish: Wanted, position: Position) -> bytes:
        """For every listener."""
        return _framed(self.kind, position.cursor(), self._data)


STAND = Notice("cursor")
RESET = Notice("reset")
Waiting = asyncio.Queue[Heard | Notice | None]


class Telling:
    """What one listener is told. Where it was told nothing for a while, it is told how far the log was passed over for it."""

    def __init__(self, wish: Wanted, position: Position, *, cursor_every_s: float) -> None:
        self._wish = wish
        self._position = position
        self._every_s = cursor_every_s
        self._known = dict(position.next)
        self._told_s = time.monotonic()

    def of(self, *waiting: Heard | Notice) -> bytes:
        """What to tell of these, and the position where that is due; it may be nothing."""
        frames = b"".join([what.told(self._wish, self._position) for what in waiting])
        if not frames and self.due_in_s() == 0:
            frames = STAND.told(self._wish, self._position)
        if frames:
            self._known, self._told_s = dict(self._position.next), time.monotonic()
        return frames

    def due_in_s(self) -> float | None:
        """In how long it is to be told its position; None while it knows it."""
        return max(0.0, self._told_s + self._every_s - time.monotonic()) if self._position.next != self._known else None


class Live:
    """The follower, and those who listen."""

    def __init__(self, log: Log, *, cursor_every_s: float = CURSOR_EVERY_S) -> None:
        self._log = log
        self._cursor_every_s = cursor_every_s
        self._listeners: set[Waiting] = set()
        self.reach = Reach(log.check)
        self._next: Ends = {}
        self.ready = asyncio.Event()

    async def follow(self) -> None:
        """Follows the log for ever, and tells every listener."""
        self._next = await until_available(lambda: self._log.ends(TOPICS), what="kafka")
        self.ready.set()
        async for record in self._log.follow(TOPICS, since=self._next, patience_ms=PATIENCE_MS):
            self._next[record.place.topic, record.place.partition] = record.place.offset + 1
            heard = Heard(record)
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
        return Notice("back" if since_us is None else "away", since_us=since_us)

    def _tell(self, listener: Waiting, what: Heard | Notice) -> None:
        if listener.qsize() < WAITING:
            listener.put_nowait(what)
            return
        self._listeners.discard(listener)
        listener.put_nowait(None)

    async def listen(self, wish: Wanted, *, cursor: str | None) -> AsyncGenerator[bytes, None]:
        """What the listener wants, from its cursor (or from now): whole events, as many as wait. Ends where it does not keep up."""
        await self.ready.wait()
        queue: Waiting = asyncio.Queue()
        self._listeners.add(queue)
        LISTENERS.inc()
        joined = {place: self._next[place] for place in wish.places(self._next)}
        try:
            position, known = Position(dict(joined), now_us()), position_of(cursor, topics=BY_NAME) if cursor else None
            if known is not None:
                position = await self._resumed(known, joined)
            yield STAND.told(wish, position)
            if known is not None and any(known.next.get(place, 0) > offset for place, offset in position.next.items()):
                yield RESET.told(wish, position)
            if self._reached.kind == "away":
                yield self._reached.told(wish, position)
            telling = Telling(wish, position, cursor_every_s=self._cursor_every_s)
            async with aclosing(self._past(position, until=joined)) as past:
                async for heard in past:
                    if told := telling.of(heard):
                        yield told
            while (waiting := await _all_that_waits(queue, within_s=telling.due_in_s())) is not None:
                if told := telling.of(*waiting):
                    yield told
        finally:
            LISTENERS.dec()
            self._listeners.discard(queue)

    async def _resumed(self, known: Position, joined: Ends) -> Position:
        """Where a cursor stands, of the places that are listened to now, at most at their ends; those that it lacks begin at its time."""
        lacking = dict.fromkeys(topic for topic, partition in joined if (topic, partition) not in known.next)
        topics = [topic for name in lacking if (topic := topic_named(name))]
        written = await self._log.offsets_at(topics, written_us=known.at_us) if topics else {}
        position = Position({place: known.next.get(place, written.get(place, end)) for place, end in joined.items()}, known.at_us)
        if any(position.next[place] > end for place, end in joined.items()):  # it is ahead of the follower, or of the log
            ends = await self._log.ends([topic for topic in TOPICS if any(topic.name == name for name, _ in joined)])
            position.next = {place: min(offset, ends[place]) for place, offset in position.next.items()}
        return position

    async def _past(self, position: Position, *, until: Ends) -> AsyncGenerator[Heard, None]:
        behind = {place: end for place, end in until.items() if position.next[place] < end}
        if behind:
            async for record in self._log.follow(TOPICS, since=dict(position.next), until=behind):
                yield Heard(record)


async def _all_that_waits(queue: Waiting, *, within_s: float | None) -> list[Heard | Notice] | None:
    """Everything in the queue, nothing where nothing comes in that time; None, once the listener was cut off and has had the rest."""
    try:
        async with asyncio.timeout(within_s):
            waiting = [await queue.get()]
    except TimeoutError:
        return []
    while not queue.empty() and waiting[-1] is not None:
        waiting.append(queue.get_nowait())
    if waiting[-1] is not None:
        return [what for what in waiting if what is not None]
    if len(waiting) > 1:
        queue.put_nowait(None)
    return [what for what in waiting if what is not None] or None
