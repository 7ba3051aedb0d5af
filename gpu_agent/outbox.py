"""What an agent measures on its way to the log: whoever measures never waits for the broker.

Measurements wait in memory while the broker takes them as they come. Where it has taken none for a second, they go to a file of the
agent's state (unsent.py), and from there into the log, in their order; what comes meanwhile goes behind them. So memory is bounded, and
what lies in the file outlives the agent: its next start sends it. Of samples nothing is kept here: an attempt that ends half-way is given
on with those that are done. A disk that fails is asked again a few times; then its file is left to the next start, and whoever waits for
all to be sent is told, as where something in it was damaged. `MOST_BYTES` in memory make whoever measures wait (a disk that is slower than
the measuring, or full).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog

from gpu_agent.unsent import AT_ONCE, unsent_in
from infra.kafka import Log, Outgoing
from schemas.event import Event
from streams.errors import Permanent, Unavailable

MOST_BYTES: Final = 32 * 1024 * 1024
GATHER_S: Final = 0.2  # records that go together are compressed together: a token then takes a third of the bytes
PATIENCE_S: Final = 1.0
LOOK_EVERY_S: Final = 0.1
AGAIN_S: Final = 0.5
TRIES: Final = 10  # of reading the file
CLOSE_S: Final = 2.0

T = TypeVar("T")
log_line = structlog.get_logger()


class Outbox:
    """An agent's. Use it as an async context manager. `kept`: records that went to the file; `held_up_ns`: for how long somebody waited."""

    def __init__(self, log: Log, folder: Path) -> None:
        self._log, self._unsent = log, unsent_in(folder)
        self._waiting: deque[Outgoing] = deque()
        self._in_hand: list[Outgoing] = []
        self._in_hand_kept = False
        self._bytes = 0
        self._taken_s = time.monotonic()
        self._keeping = asyncio.Lock()  # while records go from memory to the file, none are taken from either
        self._changed = asyncio.Condition()
        self._failed: Permanent | None = None
        self._wanted = 0  # who waits for all to be sent
        self._tasks: list[asyncio.Task[None]] = []
        self.kept = self.held_up_ns = 0

    async def __aenter__(self) -> Self:
        if self._unsent.count:
            log_line.info("measurements of an earlier agent are sent", records=self._unsent.count)
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._keep())]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(TimeoutError, Permanent):
            async with asyncio.timeout(CLOSE_S):
                await self.flush()
        async with self._keeping:  # nobody is at the file
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._to_file()
        except OSError as failed:
            log_line.error("measurements are lost", records=len(self), reason=str(failed))
        self._unsent.close()

    def __len__(self) -> int:
        """How many records the broker has not acknowledged."""
        return len(self._waiting) + (0 if self._in_hand_kept else len(self._in_hand)) + self._unsent.count

    async def put(self, events: Sequence[Event]) -> None:
        """Takes events over, to be published in this order. Raises: Permanent, where something that was put before cannot be published."""
        if self._bytes > MOST_BYTES:
            began_ns = time.perf_counter_ns()
            async with self._changed:
                await self._changed.wait_for(lambda: self._bytes <= MOST_BYTES)
            self.held_up_ns += time.perf_counter_ns() - began_ns
        self._raise()
        if not len(self):
            self._taken_s = time.monotonic()
        made = [self._log.outgoing(event) for event in events]
        self._waiting += made
        self._bytes += sum(len(one.payload) for one in made)
        await self._tell()

    async def flush(self) -> None:
        """Returns once the broker has all that was put. Raises: Permanent, where it can never have something of it."""
        self._wanted += 1
        try:
            await self._tell()
            async with self._changed:
                await self._changed.wait_for(lambda: not len(self) or self._failed is not None)
        finally:
            self._wanted -= 1
        self._raise()

    def _raise(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _send(self) -> None:
        """Sends for ever, the oldest first."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self) > 0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(GATHER_S):
                        await self._changed.wait_for(lambda: self._wanted > 0 or len(self) >= AT_ONCE)
            await self._take()
            if self._in_hand:
                await self._delivered(self._in_hand)
            async with self._keeping:
                if self._in_hand_kept or not self._in_hand:
                    await self._of_file(lambda: self._unsent.sent(len(self._in_hand)))
                else:
                    self._bytes -= sum(len(one.payload) for one in self._in_hand)
                self._in_hand, self._in_hand_kept, self._taken_s = [], False, time.monotonic()
            await self._tell()

    async def _take(self) -> None:
        """Takes the oldest records in hand; none where those of the file could not be read."""
        async with self._keeping:
            if self._unsent.count:
                before = self._unsent.count
                found = await self._of_file(lambda: self._unsent.following(most=AT_ONCE))
                self._in_hand, self._in_hand_kept = found or [], bool(found)
                if found is not None:
                    self._missed(before - self._unsent.count, "are lost: their file is damaged")
            else:
                self._in_hand = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]

    async def _of_file(self, work: Callable[[], T]) -> T | None:
        """What work at the file gives; None where the disk fails all the time: the file is left to the next start, and that is told."""
        why = ""
        for _ in range(TRIES):
            try:
                return await asyncio.to_thread(work)
            except OSError as error:
                why = str(error)
                log_line.warning("measurements wait in a file that cannot be read", records=self._unsent.count, reason=why)
                await asyncio.sleep(AGAIN_S)
        self._missed(self._unsent.count, f"are left to the agent's next start: their file cannot be read ({why})")
        with suppress(OSError):
            self._unsent = await asyncio.to_thread(self._unsent.set_aside)
        return None

    def _missed(self, count: int, why: str) -> None:
        """Tells whoever waits for all to be sent that so many were not."""
        if count > 0:
            log_line.error("measurements are not sent", records=count, reason=why)
            self._failed = Permanent(f"{count:,} measurements {why}", code="measurements-lost")

    async def _delivered(self, records: Sequence[Outgoing]) -> None:
        """Returns when the broker has them, however long that takes; what no record can hold is left out, and its reason kept."""
        while True:
            try:
                await self._log.send(records)
                return
            except Unavailable as error:
                log_line.warning("measurements wait", records=len(self), reason=str(error))
                await asyncio.sleep(AGAIN_S)
            except Permanent as error:
                self._failed = error
                if len(records) == 1:
                    return
                for one in records:
                    await self._delivered([one])
                return

    async def _keep(self) -> None:
        """Puts what waits into the file, where the broker takes nothing, or what lies there must go first."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            late = time.monotonic() - self._taken_s > PATIENCE_S
            if self._bytes and (late or self._unsent.count or self._bytes > MOST_BYTES / 2):
                try:
                    await self._to_file()
                except OSError as error:
                    log_line.warning("measurements wait in memory", bytes=self._bytes, reason=str(error))

    async def _to_file(self) -> None:
        """Puts all that is in memory into the file. Raises: OSError, then it is in memory still."""
        async with self._keeping:
            own = [] if self._in_hand_kept else self._in_hand
            if records := [*own, *self._waiting]:
                await asyncio.to_thread(self._unsent.append, records)
                for _ in range(len(records) - len(own)):
                    self._waiting.popleft()
                self._in_hand_kept = self._in_hand_kept or bool(own)
                self._bytes -= sum(len(one.payload) for one in records)
                self.kept += len(records)
        await self._tell()
