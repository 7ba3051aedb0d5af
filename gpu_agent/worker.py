"""The agent: it says that it lives, takes what its pool's dispatcher leases to it, and gives back what it could not end.

It reads its own partition of the pool's job topic by assignment: no consumer group, hence no rebalance when others come and go.
Its position is fixed before its first heartbeat, so that nothing can be leased to it that it would not read.
"""

import asyncio
import signal
import time
from importlib.util import find_spec
from typing import Any

import psutil
import structlog

from gpu_agent.devices import device_of
from gpu_agent.environment import environment, own_name
from gpu_agent.metering import Metering
from gpu_agent.outbox import Outbox
from gpu_agent.runner import Engines
from gpu_agent.work import Attempt
from infra.engine_environments import installed, offered
from infra.hub.sharing import sharing
from infra.identity import now_us, producer
from infra.kafka import Ends, Log
from infra.metrics import ATTEMPTS, READY
from infra.retrying import until_available
from infra.settings import Settings
from schemas.jobs import AgentBeat, DispatcherTook, EnvironmentSeen, JobError, JobReleased, Running
from streams.engines import READERS
from streams.queue.lines import model_key
from streams.queue.succession import Succession
from streams.topics import DISPATCHERS, TOPICS, jobs_topic, partition_of

log_line = structlog.get_logger()
PATIENCE_MS = 2000  # its jobs lie in one partition: what comes there is handed on at once


class Worker:
    """One incarnation of one agent."""

    def __init__(self, log: Log, outbox: Outbox, settings: Settings, *, agent_id: str) -> None:
        self._log = log
        self._outbox = outbox
        self._settings = settings
        self._agent_id = agent_id
        self._incarnation = time.time_ns()
        self._topic = jobs_topic(settings.pool)
        self._partition = 0
        self._engines = Engines(
            settings.device,
            preload=settings.engine,
            home=settings.home,
            model_hang_s=settings.model_hang_s,
            load_hang_s=settings.load_hang_s,
        )
        self._metering = Metering(outbox, self._engines, agent_id=agent_id, hz=settings.meter_hz, rated_w=settings.rated_w)
        self._installed = installed(settings.home)
        self._environment = self._machine()
        device = device_of(settings.device, self._environment.devices)
        self._beside = (f"device:{device}", *(f"package:{name}" for name in READERS if find_spec(name) is not None))
        self._succession = Succession()
        self._heard: Ends = {}
        self._term = -1
        self._attempt: Attempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._draining = False

    async def run(self, stopped: asyncio.Event) -> None:
        """Works until told to stop, then gives back what it holds."""
        since = await self._log.ends([self._topic])
        self._partition = partition_of(self._agent_id, partitions=len(since))
        await self._hear()
        self._term = self._succession.term  # marks that lie before this agent's beginning it will never read
        await self._log.publish(self._environment)
        beating = asyncio.create_task(self._beats())
        following = asyncio.create_task(self._follow(since))
        metering = asyncio.create_task(self._metering.idle())
        stopping = asyncio.create_task(stopped.wait())
        await self._engines.start()
        READY.set(1)
        log_line.info("ready", agent_id=self._agent_id, pool=self._settings.pool, partition=self._partition)
        all_of_it: list[asyncio.Future[Any]] = [beating, following, metering, stopping, self._broken]
        done, _ = await asyncio.wait(all_of_it, return_when=asyncio.FIRST_COMPLETED)
        following.cancel()
        self._draining = True
        await self._drop("the agent was stopped", state="failed")
        for going in (beating, metering, stopping):
            going.cancel()
        await asyncio.gather(beating, following, metering, stopping, return_exceptions=True)
        await self._engines.close()
        for task in done - {stopping}:
            task.result()

    async def _hear(self) -> None:
        """Reads who has taken the pool, where anybody has taken one since."""
        if self._heard == (now := await self._log.ends([DISPATCHERS])):
            return
        async for record in self._log.of_key(DISPATCHERS, self._settings.pool.encode()):
            if isinstance(record.event, DispatcherTook) and record.event.pool == self._settings.pool:
                self._succession.fold(record.event, offset=record.place.offset, at_us=0)
        self._heard = now

    async def _beats(self) -> None:
        sequence = 0
        while True:
            sequence += 1
            await self._log.publish(self._beat(sequence))
            await asyncio.sleep(self._settings.beat_s)

    def _beat(self, sequence: int) -> AgentBeat:
        memory, attempt, held = psutil.virtual_memory(), self._attempt, self._engines.held
        return AgentBeat(
            occurred_us=now_us(), producer=producer("gpu_agent"), organisation_id=self._settings.organisation,
            pool=self._settings.pool, agent_id=self._agent_id, incarnation=self._incarnation, sequence=sequence,
            capabilities=(*(f"engine:{name}" for name in offered(self._settings.home)), *self._beside), free_bytes=memory.available,
            total_bytes=memory.total,
            devices=self._environment.devices, models_held=(model_key(held),) if held else (), draining=self._draining,
            running=(Running(job_id=attempt.job.job_id, attempt=attempt.lease.attempt),) if attempt else (),
        )  # fmt: skip

    async def _follow(self, since: dict[tuple[str, int], int]) -> None:
        async for record in self._log.follow([self._topic], since=since, partitions=[self._partition], patience_ms=PATIENCE_MS):
            event = record.event
            if not isinstance(event, JobReleased) or event.pool != self._settings.pool or event.term < self._term:
                continue
            if event.term > self._succession.term:
                await self._hear()
            # A term that no dispatcher took would void all that the real one leases from now on.
            if not self._succession.holds(event.term, partition=record.place.partition, offset=record.place.offset):
                log_line.warning("a release of a term that nobody took", place=str(record.place), term=event.term)
                continue
            self._term = event.term
            if (event.agent_id, event.incarnation) == (self._agent_id, self._incarnation):
                await self._obey(event)

    async def _obey(self, lease: JobReleased) -> None:
        """The newest release wins; a cancellation ends the attempt that it names."""
        holds = self._attempt and (self._attempt.job.job_id, self._attempt.lease.attempt) == (lease.job_id, lease.attempt)
        if lease.kind == "cancel":
            if holds:
                await self._drop("cancelled", state="cancelled")
            return
        if holds or lease.job is None:
            return
        await self._drop("another job was leased to this agent", state="failed")
        await self._see()
        self._attempt = Attempt(
            lease, agent_id=self._agent_id, log=self._log, outbox=self._outbox, engines=self._engines, metering=self._metering,
            environment_sha=self._environment.sha,
        )  # fmt: skip
        self._task = asyncio.create_task(self._work(self._attempt))
        self._task.add_done_callback(self._worked)

    async def _see(self) -> None:
        """Says where it runs, where that has changed: an engine may have been installed meanwhile."""
        if self._installed != (now := installed(self._settings.home)):
            self._installed, self._environment = now, self._machine()
            await self._log.publish(self._environment)

    def _machine(self) -> EnvironmentSeen:
        told = self._settings
        return environment(told.organisation, region=told.region, engines=self._installed, image=told.container_digest)

    async def _work(self, attempt: Attempt) -> None:
        started = time.perf_counter()
        await attempt.run()
        self._attempt = None
        took_s = round(time.perf_counter() - started, 3)
        log_line.info("attempt ended", job_id=attempt.job.job_id, attempt=attempt.lease.attempt, took_s=took_s)

    def _worked(self, task: "asyncio.Task[None]") -> None:
        """An attempt that could not even report ends the process: else it would be beaten for, and never end."""
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def _drop(self, reason: str, *, state: str) -> None:
        """Ends the running attempt, with the engine's process, and says so."""
        attempt, task, self._attempt, self._task = self._attempt, self._task, None, None
        if attempt is None or task is None or task.done():
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._engines.close()
        error = None if state == "cancelled" else JobError(code="agent-stopped", message=reason, permanent=False)
        ATTEMPTS.labels(state).inc()
        await attempt.report(state, error=error)


async def main(settings: Settings) -> None:
    """Works until SIGTERM. An error that is not expected ends the process; its supervisor starts another incarnation."""
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    agent_id, lock = (settings.agent_id, None) if settings.agent_id else own_name(settings.home)
    try:
        with sharing(settings):
            async with Log(settings, client_id=f"gpu_agent.{agent_id}") as log:
                await until_available(lambda: log.create_topics((*TOPICS, jobs_topic(settings.pool))), what="topics")
                async with Outbox(log, settings.home / "unsent") as outbox:
                    await Worker(log, outbox, settings, agent_id=agent_id).run(stopped)
    finally:
        if lock:
            lock.close()
