"""A log of records in memory, for those who only read one."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path
from tempfile import gettempdir
from types import SimpleNamespace
from typing import Any, Final

from infra.kafka import Ends, Outgoing, Place, Record
from infra.kafka.decoding import Guard
from infra.kafka.letters import letter_for
from infra.kafka.reading import Wanted
from infra.partitioning import partition_for
from infra.settings import Settings
from infra.vault import Vault
from schemas.event import Event
from schemas.released import released_codec
from schemas.trust import DeadLettered, Stretch
from streams.topics import BY_NAME, Topic, topic_of

CODEC: Final = released_codec()


class InMemory:
    """As much of a log as is followed: `ends_read` has the ends of what somebody read up to.

    `passed` counts the records that were read, `given` those of them that were wanted.
    """

    codec = CODEC
    vault = Vault(
        Settings(home=Path(gettempdir()) / "assay-in-memory")
    )  # it opens what a test has sealed; nothing is sealed as it is written

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.more = asyncio.Event()
        self.ends_read: list[Ends] = []
        self.passed = 0
        self.given = 0

    def write(self, event: Event, *, written_us: int | None = None, partition: int | None = None) -> Record:
        """Puts an event at the end of its key's partition, a second after the one before unless it is said when."""
        name = topic_of(event).name
        partition = partition_for(event.partition_key(), 4) if partition is None else partition
        place = Place(name, partition, len(self.records[name, partition]))
        record = Record(place, event.partition_key(), b"", self.count() * 1_000_000 if written_us is None else written_us, event)
        self.records[name, partition].append(record)
        self.more.set()
        return record

    async def publish(self, event: Event) -> Place:
        """Writes an event."""
        return self.write(event).place

    async def publish_to(self, event: Event, *, partition: int) -> Place:
        """Writes an event to a partition of the caller's choice."""
        return self.write(event, partition=partition).place

    async def publish_all(self, events: Sequence[Event]) -> list[Place]:
        """Writes events in their order."""
        return [self.write(event).place for event in events]

    def outgoing(self, event: Event) -> Outgoing:
        """The event as it is written."""
        return Outgoing(topic_of(event).name, CODEC.encode(event), event.partition_key())

    async def send(self, records: Sequence[Outgoing]) -> list[Place]:
        """Writes what was made so, in its order."""
        return [self.write(CODEC.decode(one.payload, BY_NAME[one.topic].event)).place for one in records]

    def count(self) -> int:
        """How many records it has."""
        return sum(map(len, self.records.values()))

    async def check(self) -> None:
        """It answers."""

    async def ends(self, topics: Sequence[Topic]) -> Ends:
        """The next offsets."""
        return {(topic.name, n): len(self.records[topic.name, n]) for topic in topics for n in range(4)}

    async def offsets_at(self, topics: Sequence[Topic], *, written_us: int) -> Ends:
        """The first offsets of that time or later."""
        return {(topic.name, n): sum(r.written_us < written_us for r in self.records[topic.name, n]) for topic in topics for n in range(4)}

    async def partitions(self, topics: Sequence[Topic]) -> dict[str, int]:
        """Four each."""
        return {topic.name: 4 for topic in topics}

    async def cluster(self) -> str:
        """Its id."""
        return "in memory"

    async def of_key(self, topic: Topic, key: bytes) -> AsyncGenerator[Record, None]:
        """Every record of a key."""
        for record in list(self.records[topic.name, partition_for(key, 4)]):
            if record.key == key:
                yield record

    async def read(self, topics: Sequence[Topic], *, until: Ends | None = None, since: Ends | None = None) -> AsyncGenerator[Record, None]:
        """Every record up to there, or to now."""
        async for record in self.follow(topics, since=since, until=until if until is not None else await self.ends(topics)):
            yield record

    async def read_span(self, topic: Topic, *, partition: int, first: int, last: int) -> AsyncGenerator[Record, None]:
        """The records of one partition between two offsets, both included."""
        for record in self.records[topic.name, partition][first : last + 1]:
            yield record

    async def messages(self, stretches: Iterable[Stretch]) -> AsyncGenerator[SimpleNamespace, None]:
        """Messages as a consumer has them."""
        for one in stretches:
            for record in self.records[one.topic, one.partition][one.first : one.end]:
                assert record.event is not None
                yield SimpleNamespace(topic=one.topic, key=record.key, value=CODEC.encode(record.event))

    async def canonical(self, topic: str, payload: bytes) -> tuple[bytes, dict[str, Any]]:
        """The canonical bytes, and their schema."""
        return CODEC.canonical(payload, BY_NAME[topic].event), CODEC.writer(payload).schema

    async def decode(self, topic: str, payload: bytes) -> Event:
        """The event."""
        return CODEC.decode(payload, BY_NAME[topic].event)

    def decodes_by(self, guard: Guard) -> None:
        """Nothing is decoded here."""

    def dead_letter(self, record: Record, *, code: str, message: str) -> DeadLettered:
        """As the log's own."""
        return letter_for(record, code=code, message=message, service="in memory")

    async def follow(
        self, topics: Sequence[Topic], *, since: Ends | None = None, until: Ends | None = None, wanted: Wanted | None = None,
        patience_ms: int = 0, told: str | None = None,
    ) -> AsyncGenerator[Record, None]:  # fmt: skip
        """As the log does; a record that is not wanted is not given."""
        position = {place: (since or {}).get(place, 0) for place in until or since or {}}
        if until:
            self.ends_read.append(until)
        while until is None or any(position[place] < until[place] for place in until):
            self.more.clear()
            for place, records in list(self.records.items()):
                while place in position and position[place] < (until[place] if until else len(records)):
                    position[place] += 1
                    self.passed += 1
                    record = records[position[place] - 1]
                    if wanted is None or wanted(record.key, record.place):
                        self.given += 1
                        yield record
            if not until:
                await self.more.wait()
