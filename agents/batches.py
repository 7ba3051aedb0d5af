"""Batches straight from the fetch: Faust keeps the group, the partitions and the commits, and a record is no stream event of its own.

Faust's own way to a batch (`Stream.take_events`) takes every record by itself through four futures, a lock, two queues and a list of
acks: more time than decoding, checking and inserting it. Here the agent asks for a batch, and Faust's consumer fetches it whole.
What holds:

- A batch is done when the agent asks for the next one: then its effects are durable, and only then may its offsets be committed. An
  agent that is cancelled within a batch has not done it. (`take_events` takes such a batch for done.)
- Whatever was fetched is handed on, in order. So all before what is done is done, without a list of acks. An agent that ends early must
  end its process: it may hold a fetch that nobody gets again.
- After a rebalance every partition is sought anew: to its committed offset, or to where its state stands (`App.places`). What had been
  fetched before and not yet been handed on is dropped, for it comes again; so a rebalance costs repeats at most, and never a gap.

Written against Faust's internals, hence bound to one version. Source: faust/transport/consumer.py at 0.15.3, Consumer._drain_messages.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

WRITTEN_FOR = "0.15.3"

IDLE_S = 1.0  # how long one question for records waits; what comes is handed on at once, and an end is noticed so much later

if faust.__version__ != WRITTEN_FOR:
    raise ImportError(f"agents/batches.py is written for Faust {WRITTEN_FOR}, not {faust.__version__}: hold it against its Consumer anew")


class _Consumer(driver.Consumer):  # type: ignore[misc]  # Faust ships no types
    """Faust's consumer without its loop over messages. It overrides all that knows of single messages."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._opened = asyncio.Event()

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust starts this when partitions are assigned and sought; from now on the agent may fetch."""
        self._opened.set()
        await fetcher.wait_until_stopped()

    async def perform_seek(self) -> None:
        """Seeks what is assigned to its committed offsets; what has a state here, to where the state stands."""
        await super().perform_seek()
        assigned = self.assignment()
        for (topic, partition), offset in self.app.places().items():
            if TP(topic, partition) in assigned:
                await self.seek(TP(topic, partition), offset)

    async def fetch(self, timeout_s: float) -> tuple[list[Any], int]:
        """The next records, at most `broker_max_poll_records` (none, where none comes in time), and the generation that they are of."""
        if not self._opened.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._opened.wait(), timeout_s)
            return [], self.app.consumer_generation_id
        generation = self.app.consumer_generation_id
        fetched, _ = await self._wait_next_records(timeout_s)
        if generation != self.app.consumer_generation_id:
            await self._let_come_again(fetched or {})
            return [], self.app.consumer_generation_id
        now = time.monotonic()
        for tp in fetched or ():
            self.app.monitor.stream_inbound_time[tp] = now  # Faust's own watch would else say that nothing is processed
        return [record for records in (fetched or {}).values() for record in records], generation

    async def _let_come_again(self, fetched: Mapping[TP, Sequence[Any]]) -> None:
        """What was fetched over a rebalance is not handed on. What came before the partitions were sought comes again by that.

        A question that was asked before may be answered after it, too: then the consumer's place is behind its records already.
        """
        for tp in fetched.keys() & self.assignment():
            with suppress(driver.IllegalStateError, TimeoutError):  # it was taken away again
                place = await asyncio.wait_for(self.position(tp), IDLE_S)
                if fetched[tp] and place is not None and place > fetched[tp][0].offset:
                    await self.seek(tp, fetched[tp][0].offset)

    def done(self, records: Sequence[Any]) -> None:
        """From now on the records' offsets may be committed."""
        assigned = self.assignment()
        for tp, offset in {TP(record.topic, record.partition): record.offset for record in records}.items():
            if tp in assigned:
                self._acked[tp] = [offset]

    def _new_offset(self, tp: TP) -> int | None:
        """The offset to commit: behind the last one done. Faust commits it where that is further than before."""
        return self._acked[tp][-1] + 1 if self._acked[tp] else None


class _Transport(driver.Transport):  # type: ignore[misc]  # Faust ships no types
    Consumer = _Consumer


class App(faust.App):  # type: ignore[misc]  # Faust ships no types
    """A Faust app whose agents take `batches`. `places` tells from where partitions with a state are read; by itself none has one."""

    places: Callable[[], Mapping[tuple[str, int], int]] = staticmethod(dict)

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)


async def batches(app: App, *, most: int, within_s: float, until: asyncio.Event) -> AsyncIterator[Sequence[Any]]:
    """Batches of the app's records (aiokafka's) until the event is set: `most`, or what came since `within_s` after the last began.

    So a record that comes alone is handed on at once, and many come together. `most` is the app's `broker_max_poll_records` too.
    """
    consumer, left, due, generation = app.consumer, list[Any](), 0.0, -1
    while not until.is_set():
        batch, left = left[:most], left[most:]
        while not until.is_set() and len(batch) < most and not (batch and time.monotonic() >= due):
            more, now = await consumer.fetch(max(0.0, due - time.monotonic()) if batch else IDLE_S)
            batch, generation = ([*batch, *more] if now == generation else more), now
        if generation != app.consumer_generation_id:
            left = []  # it is of an assignment that is over, as the batch is: both come again
            continue
        batch, left = batch[:most], batch[most:] + left
        if batch:
            due = time.monotonic() + within_s
            yield batch
            consumer.done(batch)
