"""Reads every meter, ten times a second while a job runs, and publishes what it reads; once a second while none does, which it keeps.

Readings go to the broker in bundles, a second of them at a time: what publishing takes is no part of the time between two readings.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from gpu_agent.meters.clock import boot_id
from gpu_agent.meters.idle import Idle, Name
from gpu_agent.meters.meters import find_meters, read_all
from gpu_agent.meters.readings import Read, Reading
from gpu_agent.outbox import Outbox
from gpu_agent.runner import Engines
from infra.identity import now_us, producer
from schemas.jobs import Job
from schemas.measurements import ResourceRead

IDLE_EVERY_S: Final = 1.0
PUBLISH_EVERY_S: Final = 1.0


class Metering:
    """An agent's meters. `hz`: how often they are read while a job runs; `rated_w`: the rated power of the processors, if it is known."""

    def __init__(self, outbox: Outbox, engines: Engines, *, agent_id: str, hz: float, rated_w: float | None) -> None:
        self._outbox, self._agent_id, self._every_s = outbox, agent_id, 1 / hz
        self._meters, self.missing = find_meters(lambda: engines.pid, rated_w=rated_w)
        self._idle, self._jobs = Idle(), 0

    async def idle(self) -> None:
        """Reads what the devices draw while there is no job, for ever."""
        while True:
            if not self._jobs:
                self._idle.take(await asyncio.to_thread(read_all, self._meters))
            await asyncio.sleep(IDLE_EVERY_S)

    @asynccontextmanager
    async def of(self, job: Job, *, attempt: int) -> AsyncIterator[list[str]]:
        """While it lasts, readings are published as that attempt's; gives the list of their ids, which grows."""
        self._jobs += 1
        readings = _Readings(self._outbox, self._meters, job=job, attempt=attempt, agent_id=self._agent_id, idle_w=self._idle.watts())
        going = asyncio.create_task(readings.go_on(self._every_s))
        try:
            yield readings.published
        finally:
            # However it ends, what it took is known to its end.
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
            self._jobs -= 1
            await readings.take()
            await readings.publish()


class _Readings:
    """The readings of one attempt. `idle_w`: what each device drew before it."""

    def __init__(self, outbox: Outbox, meters: list[Read], *, job: Job, attempt: int, agent_id: str, idle_w: Mapping[Name, float]) -> None:
        self._outbox, self._meters, self._idle_w = outbox, meters, idle_w
        self._about = {
            "producer": producer("gpu_agent"), "organisation_id": job.organisation_id, "visibility": job.visibility,
            "agent_id": agent_id, "host": socket.gethostname(),
            "boot_id": boot_id(), "jobs_active": (job.job_id,), "attempts": (attempt,),
        }  # fmt: skip
        self._taken: list[ResourceRead] = []
        self.published: list[str] = []

    async def go_on(self, every_s: float) -> None:
        """Reads for ever, at that pace, and publishes a second of it at a time."""
        due_s = published_s = time.monotonic()
        while True:
            await self.take()
            if time.monotonic() - published_s >= PUBLISH_EVERY_S:
                await self.publish()
                published_s = time.monotonic()
            due_s = max(due_s + every_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())

    async def take(self) -> None:
        """Reads every meter once."""
        for reading in await asyncio.to_thread(read_all, self._meters):
            self._taken.append(self._event(reading))

    def _event(self, reading: Reading) -> ResourceRead:
        idle_w = self._idle_w.get((reading["sensor"], reading["device_uuid"]))
        return ResourceRead.model_validate(self._about | {"occurred_us": now_us(), "idle_w": idle_w} | reading)

    async def publish(self) -> None:
        """Hands over what was read, to be published; what was handed over already, and is again, is the same events."""
        taken = list(self._taken)
        await self._outbox.put(taken)
        del self._taken[: len(taken)]
        self.published += [event.event_id for event in taken]
