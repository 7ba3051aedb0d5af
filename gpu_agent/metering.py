"""Reads every meter twice a second while a job runs, and publishes what it reads."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gpu_agent.meters.clock import boot_id
from gpu_agent.meters.meters import find_meters, read_all
from gpu_agent.meters.rapl import Read
from gpu_agent.runner import Engines
from infra.identity import now_us, producer
from infra.kafka import Log
from schemas.jobs import Job
from schemas.measurements import ResourceRead

EVERY_S = 0.5


@asynccontextmanager
async def metering(log: Log, engines: Engines, *, job: Job, attempt: int, agent_id: str) -> AsyncIterator[list[str]]:
    """While it lasts, readings are published; gives the list of their ids, which grows."""
    meters, _ = find_meters(lambda: engines.pid)
    published: list[str] = []
    reading = asyncio.create_task(_read(log, meters, job=job, attempt=attempt, agent_id=agent_id, published=published))
    try:
        yield published
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await _publish(log, meters, job=job, attempt=attempt, agent_id=agent_id, published=published)


async def _read(log: Log, meters: list[Read], *, job: Job, attempt: int, agent_id: str, published: list[str]) -> None:
    while True:
        await _publish(log, meters, job=job, attempt=attempt, agent_id=agent_id, published=published)
        await asyncio.sleep(EVERY_S)


async def _publish(log: Log, meters: list[Read], *, job: Job, attempt: int, agent_id: str, published: list[str]) -> None:
    readings = await asyncio.to_thread(read_all, meters)
    events = [
        ResourceRead.model_validate({
            "occurred_us": now_us(), "producer": producer("gpu_agent"), "organisation_id": job.organisation_id, "agent_id": agent_id,
            "host": socket.gethostname(), "boot_id": boot_id(), "device_uuid": None, "jobs_active": (job.job_id,), "attempts": (attempt,),
        } | reading)
        for reading in readings
    ]  # fmt: skip
    await log.publish_all(events)
    published += [event.event_id for event in events]
