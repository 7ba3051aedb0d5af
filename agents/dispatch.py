"""Leases a pool's jobs to its agents: the loop around `streams/queue/dispatch.py`. No Faust here, and no consumer group.

Several may run. Each takes the pool when it starts; the one before it then stands by, and takes it again only when work
has been waiting for an agent that is free while nobody released it.
"""

import asyncio
import signal
import time
import uuid
import zlib
from collections.abc import AsyncIterator

import structlog

from infra.identity import now_us, producer
from infra.kafka import Log, Record
from infra.metrics import AGENTS, LEASES, QUEUE, READY
from infra.reach import Reach
from infra.retrying import until_available
from infra.settings import Settings
from schemas.event import Event
from schemas.jobs import DispatcherTook, JobChanged, JobReleased
from schemas.runs import RunChanged, RunDelayed
from streams.queue.delays import Delay
from streams.queue.dispatch import Pool
from streams.queue.leases import Abandon, Cancel, Decision, Release, Step
from streams.topics import (
    CANCELLATIONS,
    DELAYS,
    DISPATCHERS,
    ENVIRONMENTS,
    HEARTBEATS,
    JOB_PARTITIONS,
    JOB_STATUS,
    JOBS_PLANNED,
    PRICES,
    RUNS,
    STOPS,
    TOPICS,
    jobs_topic,
)  # fmt: skip

TICK_S, COUNT_S = 0.1, 1.0
TELL_EVERY_US = 1_000_000
log_line = structlog.get_logger()


def partition_of(agent_id: str) -> int:
    """The partition of its pool's job topic that an agent reads."""
    return zlib.crc32(agent_id.encode()) % JOB_PARTITIONS


class Dispatcher:
    """One dispatcher of one pool. `take` makes it the active one; `run` decides until another takes over."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log = log
        self._settings = settings
        self._nonce = uuid.uuid4().hex
        self._topics = (
            JOBS_PLANNED,
            JOB_STATUS,
            RUNS,
            STOPS,
            CANCELLATIONS,
            DISPATCHERS,
            jobs_topic(settings.pool),
            HEARTBEATS,
            DELAYS,
            ENVIRONMENTS,
            PRICES,
        )
        self._told_us = 0
        self.term = -1
        self.newest_term = -1
        self.pool = self._empty()

    def _empty(self) -> Pool:
        lease_us = int(self._settings.lease_s * 1e6)
        return Pool(self._settings.pool, lease_us=lease_us, max_attempts=self._settings.max_attempts)

    async def take(self) -> dict[tuple[str, int], int]:
        """Takes the pool and folds its past; returns the offsets from which to follow."""
        name, stamp, took_us = self._settings.pool, producer("agents.dispatch"), now_us()
        self._nonce = uuid.uuid4().hex
        took = await self._log.publish(DispatcherTook(occurred_us=took_us, producer=stamp, pool=name, nonce=self._nonce))
        self.term = self.newest_term = took.offset
        for partition in range(JOB_PARTITIONS):
            mark = JobReleased(occurred_us=took_us, producer=stamp, pool=name, term=self.term, kind="mark", nonce=f"{partition}")
            await self._log.publish_to(mark, partition=partition)
        ends = await self._log.ends(self._topics)
        recent = await self._log.offsets_at([HEARTBEATS], written_us=now_us() - 2 * self.pool.lease_us)
        self.pool, started = self._empty(), time.perf_counter()
        async for record in self._log.read(self._topics, until=ends, since=recent):
            self._fold(record, at_us=0)
        self.pool.took_over(now_us=now_us())
        took_s = round(time.perf_counter() - started, 3)
        log_line.info("took the pool", pool=name, term=self.term, jobs=len(self.pool.entries), took_s=took_s)
        return ends

    def _fold(self, record: Record, *, at_us: int) -> None:
        event = record.event
        if event is None:
            log_line.warning("cannot be decoded, passed over", place=record.place, reason=str(record.fault))
            return
        if isinstance(event, DispatcherTook) and event.pool == self._settings.pool:
            self.newest_term = max(self.newest_term, record.place.offset)
        place = record.place
        self.pool.fold(event, partition=place.partition, offset=place.offset, written_us=record.written_us, at_us=at_us)

    async def follow(self, since: dict[tuple[str, int], int]) -> None:
        """Folds what comes, for ever."""
        async for record in self._log.follow(self._topics, since=since):
            self._fold(record, at_us=now_us())

    async def check(self) -> None:
        """Returns once the log has answered. Raises: Unavailable."""
        await self._log.check()

    @property
    def active(self) -> bool:
        """Nobody has taken the pool since."""
        return self.newest_term == self.term

    async def count(self) -> None:
        """Keeps the pool's figures as metrics, for ever."""
        while True:
            queued, leased = self.pool.counts()
            for metric, value in ((QUEUE, queued), (LEASES, leased), (AGENTS, len(self.pool.alive(now_us=now_us())))):
                metric.labels(self.pool.name).set(value)
            await asyncio.sleep(COUNT_S)

    def restart_clocks(self) -> None:
        """No agent was silent while nobody could be heard."""
        self.pool.took_over(now_us=now_us())

    async def decide(self) -> None:
        """Decides once, writes what follows, and folds it in at once; once a second also what runs wait for."""
        for decision in self.pool.decide(now_us=now_us()):
            if not self.active:
                return
            await self._write(self._event(decision))
        if now_us() - self._told_us < TELL_EVERY_US:
            return
        self._told_us = now_us()
        for delay in self.pool.waits(now_us=now_us()):
            if not self.active:
                return
            await self._write(self._delayed(delay))

    async def _write(self, event: Event) -> None:
        if isinstance(event, JobReleased):
            place = await self._log.publish_to(event, partition=partition_of(event.agent_id))
        else:
            place = await self._log.publish(event)
        self.pool.fold(event, partition=place.partition, offset=place.offset, written_us=now_us(), at_us=now_us())
        log_line.info(type(event).__name__, **_line(event))

    def _event(self, decision: Decision) -> Event:
        match decision:
            case Release():
                return self._lease(decision, kind="release")
            case Cancel():
                return self._lease(decision, kind="cancel")
            case Abandon(job=job, attempt=attempt, error=error):
                return JobChanged(
                    occurred_us=now_us(), producer=producer("agents.dispatch"), organisation_id=job.organisation_id,
                    visibility=job.visibility, pool=job.pool, run_id=job.run_id, job_id=job.job_id, attempt=attempt, agent_id="",
                    incarnation=0, state="failed", final=True, error=error,
                )  # fmt: skip
            case Step(run_id=run_id, organisation_id=organisation, state=state, reason_code=code, message=message):
                return RunChanged(
                    occurred_us=now_us(), producer=producer("agents.dispatch"), organisation_id=organisation,
                    run_id=run_id, state=state, reason_code=code, message=message,
                )  # fmt: skip

    def _delayed(self, delay: Delay) -> RunDelayed:
        reason, sequence = delay.reason, self.pool.delays.next_sequence(delay.run_id, term=self.term)
        return RunDelayed(
            occurred_us=now_us(), producer=producer("agents.dispatch"), run_id=delay.run_id, term=self.term, sequence=sequence,
            organisation_id=self.pool.runs[delay.run_id].organisation_id, pool=self._settings.pool,
            reason_code=reason.code if reason else None, waits_for=reason.waits_for if reason else None,
            ahead=reason.ahead if reason else None,
        )  # fmt: skip

    def _lease(self, decision: Release | Cancel, *, kind: str) -> JobReleased:
        job = decision.job
        released: dict[str, object] = {}
        if isinstance(decision, Release):
            released = {"job": job, "done": decision.done, "deadline_us": job.budget.deadline_us}
        return JobReleased.model_validate({
            "occurred_us": now_us(), "producer": producer("agents.dispatch"), "organisation_id": job.organisation_id,
            "visibility": job.visibility, "pool": job.pool, "term": self.term, "kind": kind, "run_id": job.run_id, "job_id": job.job_id,
            "attempt": decision.attempt, "agent_id": decision.agent_id, "incarnation": decision.incarnation, **released,
        })  # fmt: skip


def _line(event: Event) -> dict[str, object]:
    names = ("run_id", "job_id", "kind", "attempt", "agent_id", "state", "reason_code", "message", "waits_for")
    return {name: value for name in names if (value := getattr(event, name, None))}


async def _ticks(stopped: asyncio.Event) -> AsyncIterator[None]:
    while not stopped.is_set():
        yield
        try:
            await asyncio.wait_for(stopped.wait(), TICK_S)
        except TimeoutError:
            continue


async def _act(dispatcher: Dispatcher, stopped: asyncio.Event) -> None:
    """Decides while active; stands by while not, until work has long been waiting for a free agent."""
    since = await dispatcher.take()
    following = asyncio.create_task(dispatcher.follow(since))
    reach = Reach(dispatcher.check)
    tasks = [following, asyncio.create_task(reach.watch(dispatcher.restart_clocks)), asyncio.create_task(dispatcher.count())]
    READY.set(1)
    patience_us, idle_since_us = 3 * dispatcher.pool.lease_us, 0
    async for _ in _ticks(stopped):
        if following.done():
            following.result()
        if reach.away_since_us is not None:
            continue
        if dispatcher.active:
            await dispatcher.decide()
            continue
        undone = any(isinstance(decision, Release) for decision in dispatcher.pool.decide(now_us=now_us()))
        idle_since_us = (idle_since_us or now_us()) if undone else 0
        if idle_since_us and now_us() - idle_since_us > patience_us:
            break
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def main(settings: Settings) -> None:
    """Dispatches until SIGTERM."""
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with Log(settings, client_id="agents.dispatch") as log:
        await until_available(lambda: log.create_topics((*TOPICS, jobs_topic(settings.pool))), what="topics")
        while not stopped.is_set():
            await until_available(lambda: _act(Dispatcher(log, settings), stopped), what="kafka")
