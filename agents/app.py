"""The shell that every stream processor runs in: Faust gives batches, the handler makes their effect durable, then they are committed.

What cannot be decoded, and what a handler refuses for good, goes to the dead letters with its origin and reason. What may work
later is tried again. Anything else ends the process: its supervisor starts it at the last commit, and nothing is lost. (An
exception that leaves a Faust agent's body would lose the batch and let the worker idle: that is why none ever does.)
"""

import asyncio
import gc
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from agents.batches import App, batches
from agents.credentials import credentials
from infra.kafka import Log, Place, Record
from infra.lag import measure_lag
from infra.metrics import BATCH, DEAD_LETTERS, EVENTS, READY
from infra.retrying import until_available
from infra.settings import Settings
from schemas.trust import DeadLettered
from streams.errors import Permanent
from streams.topics import TOPICS, Topic
from streams.trust.privacy import told

CRASHED = 70  # EX_SOFTWARE of sysexits.h
ENDING_S = 8.0
LONGEST_BATCH_S = 4 * 3600.0  # programs of models may take seconds each, and who scores them is alive all the while
Handler = Callable[[Sequence[Record]], Awaitable[None]]


def worker_app(worker: str, settings: Settings) -> App:
    """A Faust app whose consumer group is `assay-<worker>`; it reads raw bytes and keeps no tables."""
    return App(
        f"assay-{worker}",
        broker=[f"aiokafka://{server}" for server in settings.kafka.split(",")],
        broker_credentials=credentials(settings),
        store="memory://",
        datadir=settings.home / "faust",  # else it makes a folder where the process happens to be
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=0.5,
        broker_session_timeout=10,
        broker_heartbeat_interval=1,
        broker_request_timeout=30,
        broker_max_poll_interval=LONGEST_BATCH_S,
        stream_wait_empty=False,
        broker_max_poll_records=settings.batch_events,
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

    stopped, ended = asyncio.Event(), asyncio.Event()

    async def agent(_stream: object) -> None:
        taken = batches(app, most=settings.batch_events, within_s=settings.batch_s, until=stopped)
        try:
            await _supervised(taken, handle=handle, log=log)
        finally:
            if not stopped.is_set():
                os._exit(CRASHED)  # Faust would begin the agent again, without what it had fetched
            ended.set()

    app.agent(channel, name=f"assay.{worker}")(agent)
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    app.finalize()
    await app.start()
    _collect_seldom()
    READY.set(1)
    lagging = asyncio.create_task(measure_lag(log, group=f"assay-{worker}", topics=topics))
    structlog.get_logger().info("consuming", topics=[topic.name for topic in topics])
    watch = asyncio.create_task(_until_it_ends(app))
    await asyncio.wait([watch, asyncio.create_task(stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not stopped.is_set():
        structlog.get_logger().error("the consumer ended by itself", crash=repr(app.crash_reason))
        os._exit(CRASHED)
    watch.cancel()
    lagging.cancel()
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), ENDING_S)  # the batch in hand
    await app.stop()


def _collect_seldom() -> None:
    """Events are trees, freed by their counts: looking for cycles among them costs a third of decoding, and finds none."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


async def _until_it_ends(app: Any) -> None:
    while not (app.crashed or app.should_stop):  # noqa: ASYNC110  # Faust offers no event that stands for both
        await asyncio.sleep(0.5)


async def _supervised(taken: AsyncIterator[Sequence[Any]], *, handle: Handler, log: Log) -> None:
    """Handles batch after batch. Ends the process where one cannot be had or handled: its supervisor starts it at the last commit."""
    first = "none"
    try:
        async for batch in taken:
            started, first = time.perf_counter(), f"{batch[0].topic}/{batch[0].partition} at {batch[0].offset}"
            records = [await log.record(message) for message in batch]
            await _handle(records, handle=handle, log=log)
            took_s = time.perf_counter() - started
            _count(records, took_s=took_s)
            structlog.get_logger().debug("handled", events=len(batch), first=first, took_s=round(took_s, 3))
    except Exception:  # noqa: BLE001  # the process's one supervised loop
        structlog.get_logger().exception("not handled, ending at the last commit", first=first)
        os._exit(CRASHED)


def _count(records: Sequence[Record], *, took_s: float) -> None:
    BATCH.observe(took_s)
    for topic, events in Counter(record.place.topic for record in records).items():
        EVENTS.labels(topic).inc(events)


async def _handle(records: Sequence[Record], *, handle: Handler, log: Log) -> None:
    await give_up([(record, record.fault.code, str(record.fault)) for record in records if record.fault is not None], log=log)
    await _in_parts([record for record in records if record.fault is None], handle=handle, log=log)


async def _in_parts(records: Sequence[Record], *, handle: Handler, log: Log) -> None:
    """Handles a batch; where it is refused, halves it until the one record at fault is found and dead-lettered."""
    if not records:
        return
    try:
        await until_available(lambda: handle(records), what="effect of a batch")
    except Permanent as error:
        if len(records) == 1:
            await give_up([(records[0], error.code, str(error))], log=log)
            return
        middle = len(records) // 2
        await _in_parts(records[:middle], handle=handle, log=log)
        await _in_parts(records[middle:], handle=handle, log=log)


async def give_up(refused: Sequence[tuple[Record, str, str]], *, log: Log) -> list[DeadLettered]:
    """The dead letters of records, each with its code and message, once they are written."""
    letters = [log.dead_letter(record, code=code, message=message) for record, code, message in refused]
    await until_available(lambda: log.publish_all(letters), what="kafka")
    for letter in map(told, letters):
        DEAD_LETTERS.labels(letter.topic, letter.reason_code).inc()
        place = Place(letter.topic, letter.partition, letter.offset)
        structlog.get_logger().warning("dead letter", place=place, code=letter.reason_code, message=letter.message)
    return letters
