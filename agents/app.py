"""The shell that every stream processor runs in: Faust gives batches, the handler makes their effect durable, then they are committed.

What cannot be decoded, and what a handler refuses for good, goes to the dead letters with its origin and reason. What may work
later is tried again. Anything else ends the process: its supervisor starts it at the last commit, and nothing is lost. (An
exception that leaves a Faust agent's body would lose the batch and let the worker idle: that is why none ever does.)
"""

import asyncio
import gc
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog

from agents.batches import App, batches
from agents.care import Care, Tells, waits_for_nothing
from agents.credentials import credentials
from agents.ending import IN_HAND, crash, end_where_hung, leave
from agents.shards import Shards
from agents.watching import FOLLOWS, until_it_must_end
from infra.in_hand import leave_nothing
from infra.kafka import Log, Record
from infra.lag import measure_lag
from infra.metrics import BATCH, EVENTS, READY
from infra.pulse import PULSE
from infra.retrying import until_available
from infra.settings import Settings
from streams.topics import TOPICS, Topic

ENDING_S = 8.0
# Kafka's own limit is for one that hangs for hours; who does nothing for minutes (infra/pulse.py) ends long before.
LONGEST_BATCH_S = 4 * 3600.0
Handler = Callable[[Sequence[Record]], Awaitable[None]]


def worker_app(worker: str, settings: Settings) -> App:
    """A Faust app whose consumer group is `assay-<worker>`; it reads raw bytes and keeps no tables."""
    return App(
        f"assay-{worker}",
        broker=[f"aiokafka://{server}" for server in settings.kafka.split(",")],
        broker_credentials=credentials(settings),
        broker_client_id=f"assay-{worker}-{uuid4().hex}",  # its group knows it by that
        store="memory://",
        datadir=settings.home / "faust",  # else it makes a folder where the process happens to be
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=1.0,
        broker_session_timeout=10,
        broker_heartbeat_interval=1,
        broker_request_timeout=30,
        broker_max_poll_interval=LONGEST_BATCH_S,
        stream_wait_empty=False,
        broker_max_poll_records=settings.batch_events,
        # Of a partition at once: what lies behind a committed offset is fetched before the state says from where to read. A record that is
        # larger comes all the same (KIP-74).
        consumer_max_fetch_size=1024 * 1024,
        value_serializer="raw",
        key_serializer="raw",
    )


async def _until_it_may(group: str, topics: Sequence[Topic], *, log: Log, settings: Settings) -> None:
    """Returns once it may join its group and read its topics, and says who may not: Faust's own consumer would wait without a word."""

    async def check() -> None:
        await log.members(group)
        await log.check_reads(topics)

    if settings.kafka_security != "PLAINTEXT":
        await until_available(check, what="rights")


async def _nothing() -> None:
    """What a processor without a state does about it."""


@dataclass(frozen=True, slots=True)
class Assignable:
    """A state that follows the group's assignment. `places`: from where its partitions are read, instead of the committed offsets."""

    assigned: Callable[[frozenset[int]], Awaitable[None]]
    revoked: Callable[[], Awaitable[None]] = _nothing
    close: Callable[[], Awaitable[None]] = _nothing
    places: Callable[[], Mapping[tuple[str, int], int]] = dict


def of_shards(shards: Shards[Any]) -> Assignable:
    """How shards follow."""
    return Assignable(shards.assigned, shards.revoked, shards.close, shards.places)


async def consume_sharded(worker: str, shards: Shards[Any], *, log: Log, settings: Settings) -> None:
    """Like `consume`, for a processor with a state by partition."""
    await consume(worker, shards.topics, shards.handle, log=log, settings=settings, state=of_shards(shards), tells=shards.tells)


async def consume(
    worker: str, topics: Sequence[Topic], handle: Handler, *, log: Log, settings: Settings, state: Assignable | None = None,
    tells: Tells = waits_for_nothing,
) -> None:  # fmt: skip
    """Runs until SIGTERM or SIGINT: each batch of the topics' records is handled, and committed only then.

    `handle` gets decoded records only. It must be idempotent: after a crash it is given again what was not committed. `tells`: as Care's.
    """
    await until_available(lambda: log.create_topics(TOPICS), what="topics")
    await _until_it_may(f"assay-{worker}", topics, log=log, settings=settings)
    app = worker_app(worker, settings)
    if state:
        _follow_assignment(app, state)
    stopped, ended, care = asyncio.Event(), asyncio.Event(), Care(worker, log, settings, tells=tells)
    _give_batches(app, topics, handle, care=care, log=log, settings=settings, stopped=stopped, ended=ended)
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, _stop, stopped)
    app.finalize()
    end_where_hung(care, settings)
    watch = asyncio.create_task(until_it_must_end(app, log=log, topics=topics, longest_s=settings.hang_s))
    stopping = asyncio.create_task(stopped.wait())
    if started := await _started(app, watch=watch, stopping=stopping):
        gc.freeze()  # what is held from the start on is not looked through for cycles
        if state is None:
            READY.set(1)
        structlog.get_logger().info("consuming", topics=[topic.name for topic in topics])
    lagging = asyncio.create_task(measure_lag(log, group=f"assay-{worker}", topics=topics))
    await asyncio.wait([watch, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not stopped.is_set():
        crash(watch.result())
    for task in (watch, lagging):
        task.cancel()
    if not started:
        structlog.get_logger().info("ended before it had started")
        leave(0)  # the consumer's own thread would go on
    await _in_order(ended, state)
    await app.stop()


def _stop(stopped: asyncio.Event) -> None:
    leave_nothing()  # who kills it later does not do so for what it has in hand
    stopped.set()


async def _started(app: App, *, watch: "asyncio.Task[str]", stopping: "asyncio.Task[Any]") -> bool:
    """Starts the app. False where it must end first: a consumer was seen whose start never came to an end, its broker being busy."""
    starting = asyncio.create_task(app.start())
    await asyncio.wait([starting, watch, stopping], return_when=asyncio.FIRST_COMPLETED)
    if stopping.done():
        await asyncio.wait([starting], timeout=ENDING_S)
    if starting.done():
        starting.result()
    return starting.done()


def _give_batches(
    app: App, topics: Sequence[Topic], handle: Handler, *, care: Care, log: Log, settings: Settings, stopped: asyncio.Event,
    ended: asyncio.Event,
) -> None:  # fmt: skip
    """Lets the app's one agent handle its batches until it is stopped."""
    channel = app.topic(*[topic.name for topic in topics], value_serializer="raw", key_serializer="raw")

    async def agent(_stream: object) -> None:
        taken = batches(app, most=settings.batch_events, within_s=settings.batch_s, until=stopped)
        try:
            await _supervised(taken, handle, log=log, care=care)
        finally:
            if not stopped.is_set():
                leave()  # Faust would begin the agent again, without what it had fetched
            ended.set()

    app.agent(channel, name=app.conf.id)(agent)


async def _in_order(ended: asyncio.Event, state: Assignable | None) -> None:
    """Lets the batch in hand end, then the state be written down; neither is waited for long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), ENDING_S)
        if state:
            await asyncio.wait_for(state.close(), ENDING_S)


def _follow_assignment(app: App, state: Assignable) -> None:
    """The state follows the group's assignment, by Faust's own signals: the second is sent before anything is sought or fetched."""
    app.places = state.places

    async def revoked(_app: object, revoked: object, **_: object) -> None:
        await _followed(state.revoked)

    async def assigned(_app: object, **_: object) -> None:
        partitions = frozenset(tp.partition for tp in app.consumer.assignment())
        await _followed(lambda: state.assigned(partitions))
        READY.set(1)

    app.on_partitions_revoked.connect(revoked)
    app.on_rebalance_complete.connect(assigned)


async def _followed(follow: Callable[[], Awaitable[None]]) -> None:
    FOLLOWS.set()
    await or_end(until_available(follow, what="state of partitions"), what="state of partitions")
    PULSE.touch()
    FOLLOWS.clear()


async def or_end(working: Awaitable[None], *, what: str) -> None:
    """What runs beside the consumer; an error in it ends the process as one in a batch does: its supervisor starts it anew."""
    try:
        await working
    except Exception:  # noqa: BLE001  # nobody else would see it
        structlog.get_logger().exception("failed, ending", what=what)
        leave()


async def _supervised(taken: AsyncIterator[Sequence[Any]], handle: Handler, *, log: Log, care: Care) -> None:
    """Handles batch after batch. Ends the process where one cannot be had or handled: its supervisor starts it at the last commit."""
    first = "none"
    try:
        async for batch in taken:
            started, first = time.perf_counter(), f"{batch[0].topic}/{batch[0].partition} at {batch[0].offset}"
            PULSE.touch()
            IN_HAND.set()
            records = [record async for record in log.records(batch)]
            await care.undecodable(records)
            await care.in_parts([record for record in records if record.fault is None], handle)
            IN_HAND.clear()
            took_s = time.perf_counter() - started
            _count(records, took_s=took_s)
            structlog.get_logger().debug("handled", events=len(batch), first=first, took_s=round(took_s, 3))
    except Exception:  # noqa: BLE001  # the process's one supervised loop
        structlog.get_logger().exception("not handled, ending at the last commit", first=first)
        leave()


def _count(records: Sequence[Record], *, took_s: float) -> None:
    BATCH.observe(took_s)
    for topic, events in Counter(record.place.topic for record in records).items():
        EVENTS.labels(topic).inc(events)
