"""Keeps boards: the shell of streams/boards. Every worker holds all results; each ranks the boards of its own partitions.

Ranking takes seconds for thousands of models: it is done in a thread, a board at a time, and no board takes more than half of the time.
"""

import asyncio
import json
import os
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence

import structlog

from agents.app import CRASHED, Following, consume
from agents.everywhere import Everywhere
from infra.identity import producer
from infra.kafka import Log, Record
from infra.metrics import BOARDS_FAILED
from infra.partitioning import partition_for
from infra.retrying import until_available
from infra.settings import Settings
from schemas.catalogue import EVENTS
from schemas.codec import Codec
from schemas.event import Event
from schemas.results import RankingChanged
from streams.boards.books import Books
from streams.boards.ranking import FORMULA_VERSION, Board, Chosen, rank
from streams.topics import ENVIRONMENTS, RESULTS, RUN_SCORES, TOPICS, Topic

RANK_EVERY_S = 0.25
ROWS_A_PART = 500  # some 400 kB
log_line = structlog.get_logger()


class Holding:
    """The fold of boards over the topics of results."""

    version = f"books-1 {FORMULA_VERSION}"
    topics: Sequence[Topic] = (ENVIRONMENTS, RUN_SCORES, RESULTS)

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def empty(self) -> Books:
        """No board."""
        return Books()

    def dumped(self, state: Books) -> bytes:
        """What was said, and the events that make the rest."""
        events = [[type(event).__name__, b64encode(self._codec.encode(event)).decode()] for event in state.held()]
        return json.dumps({"said": state.said, "events": events}).encode()

    def loaded(self, told: bytes) -> Books:
        """The books in such bytes. Raises: ValueError, KeyError."""
        found, state = json.loads(told), Books()
        for name, payload in found["events"]:
            state.fold(self._codec.decode(b64decode(payload), EVENTS[name]))
        state.said = found["said"]
        return state

    def fold(self, state: Books, record: Record) -> None:
        """Takes a record in."""
        if record.event:
            state.fold(record.event)


class Ranker:
    """Ranks the boards that are a worker's own."""

    def __init__(self, log: Log, everywhere: Everywhere[Books]) -> None:
        self._log = log
        self._everywhere = everywhere
        self._own: frozenset[int] = frozenset()
        self._partitions = 0
        self._due: dict[str, float] = {}

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
            for name in due:
                books.touched.discard(name)
                await self._rank(name, books)

    async def _rank(self, name: str, books: Books) -> None:
        """Says how one board stands, where it does so otherwise. What cannot be ranked is told, and holds up no other board."""
        started = time.monotonic()
        try:
            for chosen in books.changed([name]):
                board = await asyncio.to_thread(rank, chosen)
                events = list(_rankings(chosen, board))
                await until_available(lambda: self._log.publish_all(events), what="kafka")  # noqa: B023  # awaited here
                books.said[name] = chosen.digest
                log_line.info("ranked", board=name, rows=len(board.rows), parts=len(events))
        except Exception:  # one board's: others go on
            BOARDS_FAILED.inc()
            log_line.exception("board cannot be ranked", board=name)
        self._due[name] = 2 * time.monotonic() - started


def _rankings(chosen: Chosen, board: Board) -> Iterator[Event]:
    """The board, in parts that an event can hold."""
    latest = max(chosen.entries, key=lambda entry: entry.run.latest_us).run
    parts = [board.rows[first : first + ROWS_A_PART] for first in range(0, len(board.rows), ROWS_A_PART)] or [()]
    for part, rows in enumerate(parts):
        yield RankingChanged(
            occurred_us=latest.latest_us, producer=producer("agents.rank"), organisation_id=latest.organisation_id, board=board.name,
            version=board.version, tasks=board.tasks, runs=tuple(row.run_id for row in rows), inputs_digest=board.digest,
            provisional=False, rows=rows, part=part, parts=len(parts),
        )  # fmt: skip


async def _supervised(task: "asyncio.Task[None]") -> None:
    try:
        await task
    except Exception:  # these tasks' one supervised loop: it ends the process like the consumer's
        log_line.exception("boards cannot be kept")
        os._exit(CRASHED)


async def main(settings: Settings) -> None:
    """Ranks until SIGTERM."""
    async with Log(settings, client_id="agents.rank") as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        everywhere: Everywhere[Books] = Everywhere(log, settings, worker="rank", fold=Holding(log.codec))
        await until_available(everywhere.restore, what="kafka")
        ranker = Ranker(log, everywhere)
        async with everywhere.following() as tasks:
            ranking = asyncio.create_task(ranker.rank())
            watching = [asyncio.create_task(_supervised(task)) for task in (*tasks, ranking)]
            await consume("rank", (RESULTS,), ranker.handle, log=log, settings=settings, following=Following(ranker.assigned))
            for task in (ranking, *watching):
                task.cancel()
