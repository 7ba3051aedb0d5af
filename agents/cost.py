"""Says what runs cost, under every version of the price book: the shell of streams/money/costs.py.

A run's cost follows from its result, the price book and the environments. The last two are small, and every worker has them whole; results
come by partition, and none is kept: when a price is published, those of the worker's partitions are read again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from functools import partial

import structlog

from agents.app import consume, of_shards, or_end
from agents.care import LONGEST_TOLD, give_up
from agents.everywhere import Everywhere
from agents.shards import Shards
from infra.identity import producer
from infra.kafka import Log, Place, Record
from infra.retrying import until_available
from infra.settings import Settings
from schemas.codec import Codec
from schemas.results import CostSummarised
from schemas.settled import RunSettled
from streams.errors import Temporary
from streams.money import rates
from streams.money.costs import summaries
from streams.money.rates import Rates
from streams.settling.attempts import unfolded
from streams.settling.results import cost
from streams.topics import RESULTS, TOPICS, Topic

AT_ONCE = 500
TOGETHER_S = 0.2  # prices come in lists
log_line = structlog.get_logger()


class Pricing:
    """The fold of prices and environments."""

    version = rates.VERSION
    topics: Sequence[Topic] = rates.INPUTS

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def empty(self) -> Rates:
        """No price."""
        return Rates()

    def dumping(self, state: Rates) -> Callable[[], bytes]:
        """What writes the events that make them."""
        return rates.dumping(state, self._codec)

    def loaded(self, told: bytes) -> Rates:
        """The rates in such bytes. Raises: ValueError, KeyError."""
        return rates.loaded(told, self._codec)

    def fold(self, state: Rates, record: Record) -> None:
        """Takes a record in."""
        if record.event:
            state.fold(record.event)


@dataclass(slots=True)
class Reckoned:
    """How far a partition's results are reckoned: with which prices at least (their ids) all of them are, and which results are new.

    `next`: those before that offset are meant; None where it is not known, and none is reckoned.
    """

    prices: frozenset[str] = frozenset()
    next: int | None = None
    new: list[Record] = field(default_factory=list)


class Accountant:
    """The fold of a partition's results: each is reckoned when it comes, and again when a price does."""

    version = rates.RECKONED_VERSION
    inputs: Sequence[Sequence[Topic]] = ((RESULTS,),)

    def __init__(self, log: Log, rates: Everywhere[Rates]) -> None:
        self._log = log
        self._rates = rates
        self.at: Callable[[str], AbstractContextManager[None]] = _unwatched

    def empty(self) -> Reckoned:
        """Nothing is reckoned."""
        return Reckoned()

    def dumping(self, state: Reckoned) -> Callable[[], bytes]:
        """What writes with which prices all results so far are reckoned."""
        return partial(rates.reckoned_told, state.prices, state.next)

    def loaded(self, told: bytes) -> Reckoned:
        """The same from such bytes. Raises: ValueError, KeyError, TypeError."""
        return Reckoned(*rates.reckoned_of(told))

    def wanted(self, state: Reckoned, key: bytes | None, place: Place) -> bool:
        """What is behind a snapshot. Without one all results are read when it is said what they cost."""
        return state.next is not None

    async def fold(self, state: Reckoned, record: Record) -> None:
        """A result is to be reckoned."""
        if isinstance(record.event, RunSettled) and record.place.offset >= (state.next or 0):
            state.new.append(record)
            state.next = record.place.offset + 1

    async def say(self, state: Reckoned, partition: int) -> None:
        """Says what the new results cost; where prices have come since, what all of them cost under the versions that these change.

        Who reckoned before may have known prices that are not here yet: they are waited for, that nothing is said without them again.
        """
        if state.prices - self._rates.state.prices:
            await self._rates.catch_up()
        here = self._rates.state.prices
        if state.new:
            state.prices &= here
        newest: dict[str, Record] = {}
        for record in state.new:
            _take(newest, record)
        await self._reckon(newest.values())
        state.new = []  # not before: whoever is tried again finds them
        if lacking := here - state.prices:
            if state.next is None:
                state.next = (await self._log.ends([RESULTS]))[RESULTS.name, partition]
            await self._again((RESULTS.name, partition), state.next, self._rates.state.versions(lacking))
            state.prices = here

    def gone(self, state: Reckoned, partition: int) -> None:
        """Nothing is held."""

    async def _again(self, at: tuple[str, int], end: int, versions: Collection[str]) -> None:
        """Those before that offset, and none behind it: of a run's results the newest is to be reckoned last."""
        count, newest = 0, dict[str, Record]()
        async with aclosing(self._log.follow([RESULTS], until={at: end})) as records:
            async for record in records:
                count += 1
                _take(newest, record)
                if len(newest) >= AT_ONCE:
                    await self._reckon(newest.values(), since=versions)
                    newest.clear()
        await self._reckon(newest.values(), since=versions)
        log_line.info("reckoned again", partition=at[1], results=count)

    async def _reckon(self, records: Iterable[Record], *, since: Collection[str] = ()) -> None:
        """Says what results cost. One that cannot be reckoned is a dead letter, and holds up no other."""
        events, refused = list[CostSummarised](), list[tuple[Record, str, str]]()
        for record in records:
            try:
                with self.at(getattr(record.event, "run_id", "")):
                    events += await self._costs(record, since)
            except Temporary:
                raise
            except Exception as error:  # noqa: BLE001  # one run's: it is told, and others are reckoned
                told = f"what it cost cannot be reckoned: {type(error).__name__}: {error}"
                refused.append((record, "cannot-reckon", told[:LONGEST_TOLD]))
        await until_available(lambda: self._log.publish_all(events), what="kafka")
        await give_up(refused, log=self._log)
        await asyncio.sleep(0)

    async def _costs(self, record: Record, since: Collection[str]) -> list[CostSummarised]:
        """What a result costs, under each version of the book, or under those that new prices of such versions may have changed."""
        if not isinstance(record.event, RunSettled):
            return []
        rates = self._rates.state
        run = await asyncio.to_thread(unfolded, record.event) if record.event.attempts_packed else record.event  # thousands take long
        if any(one.environment_sha not in rates.environments for one in run.attempts):
            await self._rates.catch_up()  # an environment is in the log before anything has run there
        events = list[CostSummarised]()
        for summary in summaries(run, rates.book, rates.environments, since=since):
            events.append(cost(run, summary, stamp=producer("agents.cost")))
            await asyncio.sleep(0)
        return events


def _unwatched(_what: str) -> AbstractContextManager[None]:
    return nullcontext()


def _take(newest: dict[str, Record], record: Record) -> None:
    """Takes a result in, where it is one, in the place of those of its run that know less."""
    if isinstance(record.event, RunSettled):
        known = newest.get(record.event.run_id)
        if known is None or not isinstance(known.event, RunSettled) or known.event.knows <= record.event.knows:
            newest[record.event.run_id] = record


async def main(settings: Settings) -> None:
    """Reckons until SIGTERM."""
    async with Log(settings, client_id="agents.cost") as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        rates = Everywhere(log, settings, worker="cost", fold=Pricing(log.codec))
        await until_available(rates.restore, what="kafka")
        accountant = Accountant(log, rates)
        shards = Shards(log, settings, worker="cost", fold=accountant)
        accountant.at = shards.at
        priced = asyncio.Event()
        async with rates.following(lambda _record: priced.set()) as tasks:
            again = asyncio.create_task(_when(priced, partial(until_available, shards.ask, what="effect of a price")))
            watching = [asyncio.create_task(or_end(task, what="prices")) for task in (*tasks, again)]
            await consume("cost", shards.topics, shards.handle, log=log, settings=settings, state=of_shards(shards))
            for task in (again, *watching):
                task.cancel()


async def _when(event: asyncio.Event, follow: Callable[[], Awaitable[None]]) -> None:
    """Does something whenever the event is set, for ever: several at once are one."""
    while True:
        await event.wait()
        await asyncio.sleep(TOGETHER_S)
        event.clear()
        await follow()
