"""Reads topics by place, for ever, and says how far it has come. No consumer group: the reader knows its own places.

What need not be decoded is passed over by its key, so that a past of things that are over is read as fast as the broker gives it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from infra.kafka import Ends, Log, Place, Record
from infra.kafka.connection import DENIED
from infra.kafka.decoding import Message, place_of
from infra.kafka.reading import stop
from infra.kafka.telling import Telling
from infra.retrying import until_available
from streams.errors import Unavailable
from streams.topics import Topic

MOST = 2000
PATIENCE_MS = 250  # of many partitions: with less the broker does little else but answer that there is nothing
Passes = Callable[[bytes | None, Place, int], bool]


class Following:
    """One reader. `fold` takes each record in, but those of which `passes` says, by key, place and time of writing, that it need not."""

    def __init__(self, log: Log, *, fold: Callable[[Record], Awaitable[None]], passes: Passes) -> None:
        self._log = log
        self._fold = fold
        self._passes = passes
        self._consumer: AIOKafkaConsumer
        self._reached: Ends = {}
        self._round = asyncio.Event()
        self._hand: dict[TopicPartition, Sequence[Message]] = {}
        self._is_ahead = False

    async def start(self, places: Ends, *, since: Mapping[tuple[str, int], int]) -> None:
        """Returns once it is to read these partitions, from `since` on (elsewhere from the beginning). Raises: Unavailable."""
        self._consumer = await self._log.reader(max_wait_ms=PATIENCE_MS)
        self._reached = {place: since.get(place, 0) for place in places}
        self._consumer.assign([TopicPartition(*place) for place in places])
        for place, offset in self._reached.items():
            self._consumer.seek(TopicPartition(*place), offset)

    async def close(self) -> None:
        """Reads no more."""
        await stop(self._consumer)

    def only(self, topics: Sequence[Topic]) -> None:
        """Reads just these topics until `everything`."""
        names = {topic.name for topic in topics}
        self._consumer.pause(*(tp for tp in self._consumer.assignment() if tp.topic not in names))

    def everything(self) -> None:
        """Reads all that it was started with."""
        self._consumer.resume(*self._consumer.paused())

    async def ends(self, topics: Sequence[Topic]) -> Ends:
        """The next offset of every partition of these topics, as of now. Raises: Unavailable."""
        names = {topic.name for topic in topics}
        try:
            found = await self._consumer.end_offsets([TopicPartition(*place) for place in self._reached if place[0] in names])
        except KafkaError as error:
            raise Unavailable(f"the Kafka broker does not say where its topics end ({error}); is it up? `assay status`") from error
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def run(self) -> None:
        """Reads and folds, for ever."""
        while True:
            try:
                self._hand, self._is_ahead = await self._consumer.getmany(timeout_ms=200, max_records=MOST), False
            except DENIED as error:
                raise self._log.away(error) from error
            while self._hand:
                await self._take(self._hand.pop(next(iter(self._hand))))
            # The consumer's own places: a partition whose first records have expired begins later than it was asked for.
            self._reached = {place: await self._consumer.position(TopicPartition(*place)) for place in self._reached}
            self._round.set()
            self._round = asyncio.Event()
            await asyncio.sleep(0)

    async def _take(self, messages: Sequence[Message]) -> None:
        async for record in self._log.records(messages, wanted=self._is_wanted):
            await self._fold(record)

    async def ahead(self, topic: Topic) -> None:
        """Folds a topic to where it ends now, before the rest of what was fetched; called as a record of another topic is folded.

        Done once for all that was fetched together, which is older: so no flood of records that ask for it holds the others up.
        """
        if self._is_ahead:
            return
        self._is_ahead = True
        for place in [place for place in self._hand if place.topic == topic.name]:
            await self._take(self._hand.pop(place))
        ends = await until_available(lambda: self.ends([topic]), what="kafka")
        places = [TopicPartition(*place) for place in ends]
        while any([await self._consumer.position(place) < ends[place.topic, place.partition] for place in places]):
            for messages in (await self._consumer.getmany(*places, timeout_ms=200, max_records=MOST)).values():
                await self._take(messages)

    def _is_wanted(self, message: Message) -> bool:
        return not self._passes(message.key, place_of(message), message.timestamp * 1000)

    async def until(self, ends: Ends, *, told: str | None = None) -> None:
        """Returns once all that lies before these offsets is folded; a log line named `told` says every few seconds what is left."""
        telling = Telling(told)
        while left := sum(max(0, end - self._reached.get(place, 0)) for place, end in ends.items()):
            telling.left(left)
            await self._round.wait()
