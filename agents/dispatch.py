"""Leases a pool's jobs to its agents: the loop around `streams/queue/`. No Faust here, and no consumer group.

Any number may run. Each folds the log up to its end and goes on to follow it, ready to act. One of them acts, and says about once a second
that it does (`DispatcherBeat`); another takes the pool only when that one has left, or was not heard for three seconds in which the log
answered (streams/queue/succession.py). Whoever takes it folds up to its own marks before it acts.

What was decided counts when it comes back from the log: until then nothing else is decided. So the fold is the log's, in every process.
"""

import asyncio
import gc
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import structlog

from agents.care import ATTENDED, ENDED, LONGEST_TOLD, QUARANTINED, Care
from agents.decided import SERVICE, delayed, event_of, run_of
from agents.ending import end_where_hung
from agents.missed import by_dispatcher
from infra.following import Following
from infra.identity import now_us, producer
from infra.kafka import Ends, Log, Place, Record
from infra.logging import frames
from infra.metrics import AGENTS, LEASES, QUEUE, READY
from infra.partitioning import partition_for
from infra.reach import Reach
from infra.retrying import until_available
from infra.settings import Settings
from infra.snapshots import Snapshot, Snapshots
from schemas.event import Event
from schemas.jobs import DispatcherBeat, DispatcherTook, JobReleased
from streams.errors import AssayError, Permanent, Temporary
from streams.queue.clocks import Moment
from streams.queue.deciding import at_fault, decide, tidy, waits
from streams.queue.dispatch import Pool
from streams.queue.keeping import VERSION, dumped, loaded, picture
from streams.queue.leases import Step
from streams.queue.succession import RETURN_US
from streams.topics import (
    CANCELLATIONS,
    DELAYS,
    DISPATCHER_BEATS,
    DISPATCHERS,
    ENVIRONMENTS,
    HEARTBEATS,
    JOB_STATUS,
    JOBS_PLANNED,
    PRICES,
    RUNS,
    STOPS,
    TOPICS,
    jobs_topic,
    partition_of,
)  # fmt: skip

TICK_S, COUNT_S, BEAT_S, TELL_S = 0.1, 1.0, 1.0, 1.0
PAUSED_S = 1.0  # a tick that took so long was none: this process did not run
LEAVE_S = 2.0
STUCK_S = 60.0  # while the log answers, no tick takes so long: who beats and does not work keeps others from working
MOST_FAULTS = 3  # where deciding breaks over more runs at once than these it is something else that is wrong: none of them has failed
# The last beats of a pool's dispatchers: as many as tell who has it, and whether it left.
LAST_BEATS = 50
# Nothing of these is needed of a run that is over. Reports are: they tell whose agents have not said how they ended.
BY_RUN = frozenset({topic.name for topic in (JOBS_PLANNED, STOPS, CANCELLATIONS, DELAYS)})
T = TypeVar("T")
log_line = structlog.get_logger()


def steady_us() -> int:
    """Microseconds on the clock that nobody can turn."""
    return time.monotonic_ns() // 1000


def moment() -> Moment:
    """This moment, by both clocks."""
    return Moment(steady_us(), now_us())


class Dispatcher:
    """One dispatcher of one pool: `run` follows, takes the pool when nobody has it, and acts while it is its own."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log = log
        self._settings = settings
        self._jobs = jobs_topic(settings.pool)
        self._topics = (
            RUNS, JOBS_PLANNED, JOB_STATUS, STOPS, CANCELLATIONS, DISPATCHERS, DISPATCHER_BEATS, self._jobs, HEARTBEATS, DELAYS,
            ENVIRONMENTS, PRICES,
        )  # fmt: skip
        self._snapshots = Snapshots(log, settings, processor="dispatch", version=VERSION)
        self._following = Following(log, fold=self._fold, passes=self._passes)
        self._care = Care(f"dispatch-{settings.pool}", log, settings, tells=by_dispatcher)
        self._reach = Reach(log.check)
        self._past: Ends = {}
        self._partitions = 0
        self._written: Ends = {}
        self._sequence = 0
        self._saved = 0
        self._term = -1
        self._acts = False
        self._caught_up = False
        self._ticked_s = time.monotonic()
        self._failing: dict[str, str] = {}
        self.pool = self._empty()

    def _empty(self) -> Pool:
        lease_us = int(self._settings.lease_s * 1e6)
        return Pool(self._settings.pool, lease_us=lease_us, max_attempts=self._settings.max_attempts)

    async def run(self, stopped: asyncio.Event) -> None:
        """Works until told to stop; then says that it leaves, where it has the pool. Raises: what ended it otherwise."""
        await self._start()
        stopping = asyncio.create_task(stopped.wait())
        works = (self._following.run(), self._reach.watch(self._returned), self._count(), self._work(), self._beats(), self._keep())
        tasks = [stopping, *map(asyncio.create_task, works)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        with suppress(TimeoutError, AssayError):
            async with asyncio.timeout(LEAVE_S):
                await self._leave()
        await self._following.close()
        for task in done:
            task.result()

    # --- The past

    async def _start(self) -> None:
        """Begins to read where the snapshot ends, or where the log begins."""
        self._watched()
        self._past = _at_home(await self._log.ends(self._topics), self._settings.pool)
        self._partitions = sum(name == self._jobs.name for name, _ in self._past)
        self.pool.succession.listens(now_us=steady_us())
        found = await self._snapshots.load(self._settings.pool)
        restored = await asyncio.to_thread(self._restored, found)
        self.pool = restored or self._empty()
        self.pool.succession.listens(now_us=steady_us())
        recent = await self._log.offsets_at([HEARTBEATS], written_us=now_us() - 2 * self.pool.lease_us)
        beats = {place: max(0, end - LAST_BEATS) for place, end in self._past.items() if place[0] == DISPATCHER_BEATS.name}
        since = dict(self.pool.places.next)
        since |= {place: max(offset, since.get(place, 0)) for place, offset in (recent | beats).items()}
        await self._following.start(self._past, since=since)
        log_line.info("folds the log", pool=self.pool.name, snapshot=found is not None, open_runs=len(self.pool.runs))

    def _watched(self) -> None:
        end_where_hung(self._care, self._settings, at=lambda _loop: [f"{ATTENDED}{self.pool.at}"] if self.pool.at else [])

    def _restored(self, found: Snapshot | None) -> Pool | None:
        return self._care.restored(found, lambda state: loaded(state, self._empty()), shard=self._settings.pool)

    async def _catch_up(self) -> None:
        """Folds up to where the log ended at the start.

        First which runs are over, so that what belongs to them is not even decoded, and who has taken the pool.
        """
        began_s, first = time.monotonic(), (RUNS.name, DISPATCHERS.name)
        self._following.only([RUNS, DISPATCHERS])
        await self._following.until({place: end for place, end in self._past.items() if place[0] in first}, told="folds runs")
        self._following.everything()
        await self._following.until(self._past, told="folds the log")
        self.pool.listens(now_us=steady_us())
        self._caught_up = True
        gc.freeze()  # what is held from the start on is not looked through for cycles: who stands still for seconds loses the pool
        READY.set(1)
        figures = {"open_runs": len(self.pool.runs), "jobs": len(self.pool.entries), "took_s": round(time.monotonic() - began_s, 3)}
        log_line.info("follows", pool=self.pool.name, **figures)
        await self._save()  # whoever starts next need not fold that again, also where this one never has the pool

    def _is_past(self, place: Place) -> bool:
        return place.offset < self._past.get((place.topic, place.partition), 0)

    def _passes(self, key: bytes | None, place: Place, written_us: int) -> bool:
        """Something of the past, of a run that is over."""
        if place.topic not in BY_RUN or not self._is_past(place) or not self.pool.over.holds(key):
            return False
        self.pool.places.passes((place.topic, place.partition), offset=place.offset, written_us=written_us)
        return True

    async def _fold(self, record: Record) -> None:
        place, at, event = record.place, (record.place.topic, record.place.partition), record.event
        if event is None:
            log_line.warning("cannot be decoded, passed over", place=place, reason=str(record.fault))
            if record.fault and record.fault.code == QUARANTINED:
                await self._care.undecodable([record])
            self.pool.places.passes(at, offset=place.offset, written_us=record.written_us)
            return
        if self.pool.unheard(event):
            await self._following.ahead(DISPATCHERS)
            if self.pool.unheard(event):
                log_line.warning("of a term that nobody took, passed over", place=place, said=type(event).__name__)
        at_us = 0 if self._is_past(place) else steady_us()
        if not await self._care.taken(
            record, lambda: self.pool.fold(event, at=at, offset=place.offset, written_us=record.written_us, at_us=at_us)
        ):
            self.pool.places.passes(at, offset=place.offset, written_us=record.written_us)

    # --- The pool's succession

    @property
    def active(self) -> bool:
        """This dispatcher has the pool, has folded up to its marks, and nobody has taken it since."""
        return self._acts and self.pool.succession.term == self._term

    async def _work(self) -> None:
        """Catches up, then decides while active, and takes the pool while nobody has it."""
        await self._catch_up()
        told_s = 0.0
        while True:
            ticked_s = self._ticked_s = time.monotonic()
            await asyncio.sleep(TICK_S)
            if (paused_s := time.monotonic() - ticked_s) > PAUSED_S:
                await self._wake(paused_s)
            if self._reach.away_since_us is not None:
                continue
            if self.active:
                tells = time.monotonic() - told_s >= TELL_S
                told_s = time.monotonic() if tells else told_s
                await self._decide(tells=tells)
            elif self.pool.succession.vacant(now_us=steady_us()):
                await self._take()

    async def _take(self) -> None:
        """Takes the pool where really nobody has it: where the silence is the log's, and not only of what this process has read."""
        await self._following.until(await self._following.ends([DISPATCHERS, DISPATCHER_BEATS]))
        if not self.pool.succession.vacant(now_us=steady_us()):
            return
        self._acts, name, began_s = False, self._settings.pool, time.monotonic()
        ends = await self._following.ends([self._jobs])
        took = await self._log.publish(DispatcherTook(
            occurred_us=now_us(), producer=producer(SERVICE), pool=name, nonce=uuid.uuid4().hex,
            begins=tuple(ends[self._jobs.name, partition] for partition in range(self._partitions)),
        ))  # fmt: skip
        self._term, self._sequence = took.offset, 0
        await asyncio.gather(*map(self._mark, range(self._partitions)))
        await self._following.until(await self._following.ends(self._topics))
        self._acts = True
        took_s = round(time.monotonic() - began_s, 3)
        log_line.info("took the pool", pool=name, term=self._term, jobs=len(self.pool.entries), took_s=took_s)

    async def _mark(self, partition: int) -> None:
        """Voids what older dispatchers write behind this place."""
        mark = JobReleased(
            occurred_us=now_us(), producer=producer(SERVICE), pool=self._settings.pool, term=self._term, kind="mark", nonce=f"{partition}"
        )
        await self._log.publish_to(mark, partition=partition)

    async def _beats(self) -> None:
        """Says about once a second that it has the pool, from when it took it; for ever. Raises: RuntimeError where nothing else moves."""
        while True:
            await asyncio.sleep(BEAT_S)
            if self._reach.away_since_us is not None or not self._caught_up:
                self._ticked_s = time.monotonic()
            elif time.monotonic() - self._ticked_s > STUCK_S:
                raise RuntimeError(f"nothing was decided for {STUCK_S:.0f} s while the log answered: another dispatcher takes the pool")
            if self._term >= 0 and self.pool.succession.term <= self._term:
                await self._beat()

    async def _beat(self, *, leaving: bool = False) -> None:
        self._sequence += 1
        await self._log.publish(DispatcherBeat(
            occurred_us=now_us(), producer=producer(SERVICE), pool=self._settings.pool, term=self._term, sequence=self._sequence,
            leaving=leaving,
        ))  # fmt: skip

    async def _leave(self) -> None:
        if self.active and self._reach.away_since_us is None:
            await self._beat(leaving=True)
        if self._caught_up:
            await self._save()

    def _returned(self) -> None:
        """Nobody was silent while nobody could be heard."""
        self.pool.listens(now_us=steady_us())
        self.pool.succession.listens(now_us=steady_us() + RETURN_US)

    async def _wake(self, paused_s: float) -> None:
        """Reads what came while this process did not run, before anybody is taken for silent. A long pause may have been others' too."""
        await self._following.until(await self._following.ends(self._topics))
        if paused_s > self._settings.lease_s / 2:
            self.pool.listens(now_us=steady_us())
            self.pool.succession.listens(now_us=steady_us())

    # --- What is decided

    async def _decide(self, *, tells: bool) -> None:
        """Decides once, writes what follows, and waits until it was folded; now and then also what runs wait for.

        What is not written within a second is decided anew: by then it may not be so. How long deciding itself takes is no part of that:
        else a pool whose jobs wait in tens of thousands of lines would lease nothing.
        """
        decisions, decided_s = self._isolating(lambda: decide(self.pool, moment())), time.monotonic()
        for decision in decisions:
            if not self.active:
                return
            if time.monotonic() - decided_s > PAUSED_S:
                break
            await self._write_of(run_of(decision), partial(event_of, decision, pool=self.pool.name, term=self._term))
        delays, decided_s = self._isolating(lambda: waits(self.pool, moment())) if tells else [], time.monotonic()
        for delay in delays:
            if not self.active:
                return
            if time.monotonic() - decided_s > PAUSED_S:
                break  # thousands may have come at once: leases go on between them
            await self._write_of(run_of(delay), partial(delayed, delay, self.pool, term=self._term))
        await self._fail()
        await self._following.until(self._written)
        self._written = {}

    def _isolating(self, work: Callable[[], T]) -> T:
        """What is decided; a run over whose state that breaks is put aside. Raises: what is no one run's."""
        self._check()
        while True:
            try:
                return work()
            except Exception as error:
                if len(self._failing.keys() - self._care.condemned) == MOST_FAULTS or (run_id := at_fault(self.pool, work)) is None:
                    raise
                self._put_aside(run_id, error)
            finally:
                self.pool.at = None

    def _check(self) -> None:
        """Puts runs aside over which dispatchers have hung again and again."""
        for run_id in (self._care.condemned & self.pool.runs.keys()) - self.pool.aside:
            self._put_aside(run_id, Permanent(ENDED, code="dispatching-hangs"))

    def _put_aside(self, run_id: str, error: Exception) -> None:
        """From now on nothing is decided of the run but that it has failed: others go on."""
        log_line.error("cannot be dispatched", run_id=run_id, error=frames(error))
        self.pool.aside.add(run_id)
        self._failing[run_id] = f"its jobs cannot be dispatched: {type(error).__name__}: {error}"[:LONGEST_TOLD]

    async def _write_of(self, run_id: str, event: Callable[[], Event]) -> None:
        """Writes what was decided of a run. One of which it cannot be said is put aside."""
        if run_id in self.pool.aside:
            return
        try:
            await self._write(event())
        except Temporary:
            raise
        except Exception as error:  # noqa: BLE001  # one run's: others go on
            self._put_aside(run_id, error)

    async def _fail(self) -> None:
        """Says of runs that were put aside that they have failed."""
        while self._failing and self.active:
            run_id, why = next(iter(self._failing.items()))
            if run := self.pool.runs.get(run_id):
                failed = Step(run_id, run.organisation_id, "failed", "cannot-dispatch", why, run.visibility)
                await self._write(event_of(failed, pool=self.pool.name, term=self._term))
            del self._failing[run_id]

    async def _write(self, event: Event) -> None:
        if isinstance(event, JobReleased):
            place = await self._log.publish_to(event, partition=partition_of(event.agent_id, partitions=self._partitions))
        else:
            place = await self._log.publish(event)
        at = place.topic, place.partition
        self._written[at] = max(self._written.get(at, 0), place.offset + 1)
        log_line.info(type(event).__name__, **_line(event))

    # --- Beside the work

    async def _count(self) -> None:
        """Keeps the pool's figures as metrics, for ever."""
        while True:
            self._isolating(partial(tidy, self.pool, moment()))
            queued, leased = self.pool.counts()
            for metric, value in ((QUEUE, queued), (LEASES, leased), (AGENTS, len(self.pool.alive(now_us=steady_us())))):
                metric.labels(self.pool.name).set(value)
            await asyncio.sleep(COUNT_S)

    async def _keep(self) -> None:
        """Writes a snapshot now and then while active, for ever."""
        while True:
            await asyncio.sleep(self._settings.snapshot_s)
            if self.active:
                await self._save()

    async def _save(self) -> None:
        """Writes a snapshot where something has changed since the last that was written to its end; its bytes are made in a thread."""
        changes = self.pool.changes
        if changes != self._saved:
            await self._snapshots.keep(self._settings.pool, self.pool.places.next, lambda: partial(dumped, picture(self.pool)))
            self._saved = changes


def _at_home(ends: Ends, pool: str) -> Ends:
    """Without the partitions of `assay.dispatchers` where the pool's key does not lie: offsets there are no terms of the pool's."""
    home = partition_for(pool.encode(), sum(name == DISPATCHERS.name for name, _ in ends))
    return {(name, partition): end for (name, partition), end in ends.items() if name != DISPATCHERS.name or partition == home}


def _line(event: Event) -> dict[str, object]:
    names = ("run_id", "job_id", "kind", "attempt", "agent_id", "state", "reason_code", "message", "waits_for")
    return {name: value for name in names if (value := getattr(event, name, None))}


async def main(settings: Settings) -> None:
    """Dispatches until SIGTERM."""
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with Log(settings, client_id=SERVICE) as log:
        await until_available(lambda: log.create_topics((*TOPICS, jobs_topic(settings.pool))), what="topics")
        while not stopped.is_set():
            await until_available(lambda: Dispatcher(log, settings).run(stopped), what="kafka")
