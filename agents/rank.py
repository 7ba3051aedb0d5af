"""Keeps boards: the shell of streams/boards. Every worker holds all results; each ranks the boards of its own partitions.

Ranking takes seconds for thousands of models: it is done in a thread, a board at a time, and no board takes more than half of the time. A
board is said whole: a long one waits longer before it is said again, so that many completions in a row do not each cost the log all of it.

A ranking that gets nowhere ends the process (agents/ending.py). Whoever starts next ranks that board beside the others, in processes of
their own (agents/ranked.py): a run over which these hang too has no place there, now and after every start.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from agents.app import Assignable, consume, or_end
from agents.care import LONGEST_TOLD, TWICE, Care, give_up
from agents.everywhere import Everywhere
from agents.ranked import Ranked, ranked, ranked_apart
from infra.apart import Hangs
from infra.kafka import Log, Record
from infra.logging import frames
from infra.metrics import BOARDS_FAILED
from infra.partitioning import partition_for
from infra.retrying import until_available
from infra.settings import Settings
from schemas.codec import Codec
from schemas.settled import RunSettled
from streams.boards.books import Books
from streams.boards.keeping import INPUTS, VERSION, loaded, telling
from streams.boards.ranking import Entry
from streams.boards.reckoned import Reckoned
from streams.topics import RESULTS, TOPICS, Topic

RANK_EVERY_S = 0.25
FAILED_REST_S = 60.0
ROW_EVERY_S = 0.01  # a board of 1,000 models, some 190 kB (47 as the log holds it), every ten seconds at most
log_line = structlog.get_logger()


class Holding:
    """The fold of boards over the topics of results."""

    version = VERSION
    topics: Sequence[Topic] = INPUTS

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def empty(self) -> Books:
        """No board."""
        return Books()

    def dumping(self, state: Books) -> Callable[[], bytes]:
        """What writes the books."""
        return telling(state, self._codec)

    def loaded(self, told: bytes) -> Books:
        """The books in such bytes. Raises: ValueError, KeyError, TypeError."""
        return loaded(told, self._codec)

    def fold(self, state: Books, record: Record) -> None:
        """Takes a record in."""
        if record.event:
            state.fold(record.event)


class Ranker:
    """Ranks the boards that are a worker's own."""

    def __init__(self, log: Log, settings: Settings, everywhere: Everywhere[Books]) -> None:
        self._log = log
        self._hang_s = settings.hang_s
        self._care = Care("rank", log, settings)
        self._everywhere = everywhere
        self._own: frozenset[int] = frozenset()
        self._partitions = 0
        self._due: dict[str, float] = {}
        self._known = Reckoned()
        self._given_up: set[tuple[str, str]] = set()  # board, and the digest of an entry over which ranking it breaks
        self._apart: dict[str, asyncio.Task[None]] = {}  # boards over which a process hung, while they are ranked
        self._turn = asyncio.Lock()

    async def handle(self, records: Sequence[Record]) -> None:
        """Returns once the results are among those that are held: from then on their boards are ranked, whatever happens."""
        await self._everywhere.passed(records)

    async def assigned(self, partitions: frozenset[int]) -> None:
        """From now on these are its own; boards of new ones may not have been said."""
        self._partitions = (await self._log.partitions([RESULTS]))[RESULTS.name]
        self._own = partitions
        self._everywhere.state.touched |= self._everywhere.state.boards.keys()

    def _mine(self, name: str) -> bool:
        return partition_for(name.encode(), self._partitions) in self._own

    async def rank(self) -> None:
        """Says how boards stand that have come to stand otherwise, for ever."""
        while True:
            await asyncio.sleep(RANK_EVERY_S)
            books, now_s = self._everywhere.state, time.monotonic()
            due = sorted(name for name in books.touched if self._mine(name) and self._due.get(name, 0.0) <= now_s) if self._own else []
            for name in (one for one in due if one not in self._apart):
                books.touched.discard(name)
                if self._care.suspects(_board(name)):
                    self._apart[name] = asyncio.create_task(self._rank_apart(name, books))
                else:
                    await self._rank(name, books)

    async def _rank_apart(self, name: str, books: Books) -> None:
        """As `_rank`, one such board after the other: what it takes holds up none of the others."""
        try:
            async with self._turn:
                await self._rank(name, books)
        finally:
            del self._apart[name]

    async def _rank(self, name: str, books: Books) -> None:
        """Says how one board stands, where it does so otherwise: without those over which ranking breaks, which is told of each.

        What cannot be ranked at all is told too, holds up no other board, and is tried again: it may have been for want of memory.
        """
        started, rows = time.monotonic(), 0
        try:
            for run_id in books.lacking(name):
                await until_available(partial(self._recall, books, run_id), what="kafka")
            entries = [entry for entry in books.entries(name) if not self._is_given_up(name, entry)]
            found = await self._ranked(name, entries, books.said.get(name))
            for entry, error in found.broken:
                await until_available(partial(self._give_up, name, entry, error), what="kafka")
            if events := found.made:
                await until_available(lambda: self._log.publish_all(events), what="kafka")
                books.said[name] = events[0].inputs_digest
                rows = sum(len(event.rows) for event in events)
                log_line.info("ranked", board=name, rows=rows, parts=len(events))
        except Exception:  # one board's: others go on
            BOARDS_FAILED.inc()
            log_line.exception("board cannot be ranked", board=name)
            books.touched.add(name)
            started -= FAILED_REST_S
        self._due[name] = again_s(started, time.monotonic(), rows=rows)

    async def _ranked(self, name: str, entries: Sequence[Entry], said: str | None) -> Ranked:
        """The board, from a thread; where a process ended over it before, from processes that end where it gets nowhere."""
        if self._care.suspects(_board(name)):
            apart = partial(ranked_apart, loop=asyncio.get_running_loop(), hang_s=self._hang_s)
            return await asyncio.to_thread(apart, name, entries, said)
        with self._care.beside(_board(name)) as pulse:
            self._known.moved = pulse.touch
            return await asyncio.to_thread(ranked, name, entries, said, self._known)

    def _is_given_up(self, name: str, entry: Entry) -> bool:
        known = self._care.suspects(_board(name)) and self._care.suspects(_place(name, entry), times=TWICE)
        return known or (name, entry.digest) in self._given_up

    async def _give_up(self, name: str, entry: Entry, error: Exception) -> None:
        """Dead-letters the result of a run that has no place on a board, for ranking breaks over it."""
        log_line.error("left out of a board", board=name, run_id=entry.run.run_id, error=frames(error))
        told = f"it has no place on the board {name}, for ranking breaks over it: {type(error).__name__}: {error}"[:LONGEST_TOLD]
        if record := await self._newest(entry.run.run_id):
            await give_up([(record, "cannot-rank", told)], log=self._log)
        self._given_up.add((name, entry.digest))
        if isinstance(error, Hangs):
            await asyncio.to_thread(self._care.condemn, _place(name, entry))

    async def _recall(self, books: Books, run_id: str) -> None:
        """Reads back a run that is judged, and was forgotten for it counts no more."""
        if (record := await self._newest(run_id)) and isinstance(record.event, RunSettled):
            books.recall(record.event)

    async def _newest(self, run_id: str) -> Record | None:
        """The last of a run's results in the log."""
        newest = None
        async for record in self._log.of_key(RESULTS, run_id.encode()):
            newest = record if isinstance(record.event, RunSettled) else newest
        return newest


def _board(name: str) -> str:
    return f"ranked {name}"


def _place(name: str, entry: Entry) -> str:
    return f"{_board(name)} with {entry.run.run_id} {hashlib.sha256(entry.digest.encode()).hexdigest()[:16]}"


def again_s(began_s: float, ended_s: float, *, rows: int) -> float:
    """When a board may be ranked again that was ranked from then to then, and said with so many rows (0: it stood as before)."""
    return ended_s + max(ended_s - began_s, rows * ROW_EVERY_S)


async def main(settings: Settings) -> None:
    """Ranks until SIGTERM."""
    async with Log(settings, client_id="agents.rank") as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        everywhere: Everywhere[Books] = Everywhere(log, settings, worker="rank", fold=Holding(log.codec))
        await until_available(everywhere.restore, what="kafka")
        ranker = Ranker(log, settings, everywhere)
        async with everywhere.following() as tasks:
            ranking = asyncio.create_task(ranker.rank())
            watching = [asyncio.create_task(or_end(task, what="boards")) for task in (*tasks, ranking)]
            await consume("rank", (RESULTS,), ranker.handle, log=log, settings=settings, state=Assignable(ranker.assigned))
            for task in (ranking, *watching):
                task.cancel()
