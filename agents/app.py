"""The shell that every stream processor runs in: Faust gives batches, the handler makes their effect durable, then they are committed.

What cannot be decoded, and what a handler refuses for good, goes to the dead letters with its origin and reason. What may work
later is tried again. Anything else ends the process: its supervisor starts it at the last commit, and nothing is lost. (An
exception that leaves a Faust agent's body would lose the batch and let the worker idle: that is why none ever does.)
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

import faust
import structlog

from infra.kafka import Log, Record
from infra.retrying import until_available
from infra.settings import Settings
from streams.errors import Permanent
from streams.topics import TOPICS, Topic

CRASHED = 70  # EX_SOFTWARE of sysexits.h
Handler = Callable[[Sequence[Record]], Awaitable[None]]


class _Stream(Protocol):
    def take_events(self, max_: int, within: float) -> AsyncIterator[Sequence[Any]]: ...


def worker_app(worker: str, settings: Settings) -> faust.App:
    """A Faust app whose consumer group is `assay-<worker>`; it reads raw bytes and keeps no tables."""
    return faust.App(
        f"assay-{worker}",
        broker=[f"aiokafka://{server}" for server in settings.kafka.split(",")],
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=0.5,
        broker_session_timeout=10,
        broker_heartbeat_interval=1,
        broker_request_timeout=30,
        stream_wait_empty=False,
        consumer_max_fetch_size=16 * 1024 * 1024,
        value_serializer="raw",
        key_serializer="raw",
    )


async def consume(worker: str, topics: Sequence[Topic], handle: Handler, *, log: Log, settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT: each batch of the topics' records is handled, and committed only then.

    `handle` gets decoded records only. It must be idempotent: after a crash it is given again what was not committed.
    """
    await until_available(lambda: log.create_topics(TOPICS), what="topics")
    app = worker_app(worker, settings)
    channel = app.topic(*[topic.name for topic in topics], value_serializer="raw", key_serializer="raw")

    async def agent(stream: _Stream) -> None:
        async for batch in stream.take_events(settings.batch_events, within=settings.batch_s):
            await _supervised(batch, handle=handle, log=log)

    app.agent(channel, name=f"assay.{worker}")(agent)

    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    app.finalize()
    await app.start()
    structlog.get_logger().info("consuming", topics=[topic.name for topic in topics])
    watch = asyncio.create_task(_until_it_ends(app))
    await asyncio.wait([watch, asyncio.create_task(stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not stopped.is_set():
        structlog.get_logger().error("the consumer ended by itself", crash=repr(app.crash_reason))
        os._exit(CRASHED)
    watch.cancel()
    await app.stop()


async def _until_it_ends(app: Any) -> None:
    while not (app.crashed or app.should_stop):  # noqa: ASYNC110  # Faust offers no event that stands for both
        await asyncio.sleep(0.5)


async def _supervised(batch: Sequence[Any], *, handle: Handler, log: Log) -> None:
    started = time.perf_counter()
    try:
        records = [await log.record(_Message(event.message)) for event in batch]
        await _handle(records, handle=handle, log=log)
    except asyncio.CancelledError:
        raise
    except Exception:  # noqa: BLE001  # the process's one supervised loop
        structlog.get_logger().exception("not handled, ending at the last commit", events=len(batch), first=str(batch[0].message))
        os._exit(CRASHED)
    took_s = round(time.perf_counter() - started, 3)
    structlog.get_logger().debug("handled", events=len(batch), took_s=took_s)


async def _handle(records: Sequence[Record], *, handle: Handler, log: Log) -> None:
    faults = [record for record in records if record.fault is not None]
    await log.publish_all(log.dead_letter(r, code=r.fault.code, message=str(r.fault)) for r in faults if r.fault is not None)
    await _in_parts([record for record in records if record.fault is None], handle=handle, log=log)


async def _in_parts(records: Sequence[Record], *, handle: Handler, log: Log) -> None:
    """Handles a batch; where it is refused, halves it until the one record at fault is found and dead-lettered."""
    if not records:
        return
    try:
        await until_available(lambda: handle(records), what=f"effect of {len(records)} events")
    except Permanent as error:
        if len(records) == 1:
            await log.publish(log.dead_letter(records[0], code=error.code, message=str(error)))
            structlog.get_logger().warning("dead letter", place=records[0].place, code=error.code, message=str(error))
            return
        middle = len(records) // 2
        await _in_parts(records[:middle], handle=handle, log=log)
        await _in_parts(records[middle:], handle=handle, log=log)


class _Message:
    """A Faust message in the shape of aiokafka's: its time in milliseconds."""

    __slots__ = ("key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, message: Any) -> None:
        self.topic, self.partition, self.offset = message.topic, message.partition, message.offset
        self.key, self.value = message.key, message.value
        self.timestamp = round(message.timestamp * 1000)
