"""State by partition: a processor holds what its partitions have come to, and the group's assignment is an event that the state follows.

A *shard* is the state of one partition number of all inputs: all that the log says of a run lies in one, so that its worker has all of it.

- Assigned: the shard's snapshot is loaded, and the log behind it is folded up to its end; then what follows from it is said; only then
  are records fetched, from where the shard stands. Committed offsets mean nothing to a state in memory: they only show the lag.
- Revoked: the batch in hand ends, the shard is written down, unless something that follows from it is not said. It stays in memory until
  another assignment comes without it.
- A record that is not where its key belongs (its writer hashes otherwise, or the key was another one once) is put where it belongs.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog

from agents.care import Care, Tells, waits_for_nothing
from infra.kafka import Ends, Log, Place, Record
from infra.partitioning import partition_for
from infra.settings import Settings
from infra.snapshots import Snapshots
from streams.topics import Topic

S = TypeVar("S")
SHARE = 20
log_line = structlog.get_logger()


class Fold(Protocol[S]):
    """What a processor does with the records of a partition. `version` names the code of its fold, for snapshots.

    `inputs` are read in groups, one after the other where a state is made from the log: what lets later ones be passed over comes first.
    """

    version: str
    inputs: Sequence[Sequence[Topic]]

    def empty(self) -> S:
        """A state that has folded nothing."""
        ...

    def dumping(self, state: S) -> Callable[[], bytes]:
        """What writes the state as bytes, as it is now: it is called in a thread, while the state goes on."""
        ...

    def loaded(self, told: bytes) -> S:
        """The state in such bytes. Raises: anything, where they are none."""
        ...

    def wanted(self, state: S, key: bytes | None, place: Place) -> bool:
        """Whether a record of the past is worth decoding."""
        ...

    async def fold(self, state: S, record: Record) -> None:
        """Takes a record in."""
        ...

    async def say(self, state: S, partition: int) -> None:
        """Says what follows from what was folded since it was asked last; after a start, from all of it."""
        ...

    def gone(self, state: S, partition: int) -> None:
        """Another worker has the partition."""
        ...


@dataclass(slots=True)
class Shard(Generic[S]):
    """A partition's state, and the next offset of each of its inputs. `saved_s`: when it was written down last, which took `took_s`.

    `changed`: since it was written down; `due`: something may follow from it that is not said."""

    partition: int
    state: S
    next: Ends = field(default_factory=dict)
    changed: bool = False
    due: bool = False
    saved_s: float = field(default_factory=time.monotonic)
    took_s: float = 0.0


class Shards(Generic[S]):
    """The shards of a worker. `tells`: as Care's."""

    def __init__(
        self, log: Log, settings: Settings, *, worker: str, fold: Fold[S], tells: Tells = waits_for_nothing
    ) -> None:  # fmt: skip
        self._log = log
        self._fold = fold
        self.tells = tells
        self._care = Care(worker, log, settings, tells=tells)
        self.at = self._care.at
        self._every_s = settings.snapshot_s
        self._snapshots = Snapshots(log, settings, processor=worker, version=fold.version)
        self._shards: dict[int, Shard[S]] = {}
        self._lock = asyncio.Lock()
        self._writing: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._partitions: Mapping[str, int] = {}

    @property
    def topics(self) -> list[Topic]:
        """Every input."""
        return [topic for group in self._fold.inputs for topic in group]

    def states_now(self) -> list[S]:
        """The states that are held."""
        return [shard.state for shard in self._shards.values()]

    def next_of(self, partition: int) -> Ends:
        """The next offsets of a partition's shard."""
        return dict(self._shards[partition].next) if partition in self._shards else {}

    def places(self) -> Mapping[tuple[str, int], int]:
        """From where the shards go on."""
        return {place: offset for shard in self._shards.values() for place, offset in shard.next.items()}

    async def handle(self, records: Sequence[Record]) -> None:
        """Folds a batch, and says what follows from it. Records of another worker's partitions are not its business."""
        async with self._lock:
            await self._put_right([record for record in records if not self._at_home(record)])
            for record in records:
                if shard := self._shards.get(record.place.partition):
                    await self._take(shard, record)
            await self._say()
        self._save(self._shards.values(), every_s=self._every_s)

    async def _say(self) -> None:
        """Says what follows from what was folded; of a batch that was refused half way too, when its parts are handled."""
        for shard in self._shards.values():
            if shard.due:
                await self._fold.say(shard.state, shard.partition)
                shard.due = False  # not before: whoever is tried again has folded its records already

    async def _take(self, shard: Shard[S], record: Record) -> None:
        """Folds a record that comes next; one that was folded before changes nothing."""
        at = (record.place.topic, record.place.partition)
        if record.place.offset < shard.next.get(at, 0):
            return
        if self._at_home(record):
            await self._fold.fold(shard.state, record)
        shard.next[at] = record.place.offset + 1
        shard.changed = shard.due = True

    async def _take_of_past(self, shard: Shard[S], record: Record) -> None:
        """Folds a record as a batch of one would be handled: what is wrong with it stops no start."""
        await self._care.undecodable([record])
        if record.event:
            await self._care.taken(record, lambda: self._take(shard, record))

    def _at_home(self, record: Record) -> bool:
        if record.event is None:
            return True
        count = self._partitions.get(record.place.topic, 0)
        return not count or partition_for(record.event.partition_key(), count) == record.place.partition

    async def _put_right(self, records: Sequence[Record]) -> None:
        if events := [record.event for record in records if record.event]:
            log_line.warning("put where their keys belong", events=len(events), first=records[0].place)
            await self._log.publish_all(events)

    async def ask(self) -> None:
        """Says what follows from something else than its records: another state has changed."""
        async with self._lock:
            for shard in self._shards.values():
                shard.changed = shard.due = True
            await self._say()

    async def assigned(self, partitions: Iterable[int]) -> None:
        """Holds exactly these partitions: those that are new are restored, the others go on."""
        wanted = sorted(set(partitions))
        async with self._lock:
            for partition in self._shards.keys() - set(wanted):
                self._fold.gone(self._shards.pop(partition).state, partition)
            self._partitions = await self._log.partitions(self.topics)
            for shard in await self._restored([partition for partition in wanted if partition not in self._shards]):
                self._shards[shard.partition] = shard
                shard.due = True
            await self._say()
        log_line.info("assigned", partitions=wanted)

    async def revoked(self) -> None:
        """Lets the batch in hand end, and writes the shards down for whoever has them next."""
        async with self._lock:
            self._save(self._shards.values(), every_s=0.0)
            await asyncio.gather(*self._writing)

    async def close(self) -> None:
        """Writes the shards down."""
        await self.revoked()

    def _save(self, shards: Iterable[Shard[S]], *, every_s: float) -> None:
        """Begins to write shards down that have changed: a picture of each is taken now, its bytes are made and written beside the work.

        Not one of which something is not said yet: a snapshot lies behind its records, and would not know it.
        """
        for shard in list(shards):
            # Each takes a twentieth of the time at most.
            rests_s = max(every_s, SHARE * shard.took_s) if every_s else 0.0
            if shard.changed and not shard.due and time.monotonic() - shard.saved_s >= rests_s:
                shard.changed, shard.saved_s, began_s = False, time.monotonic(), time.monotonic()
                written = self._written(shard, dict(shard.next), self._fold.dumping(shard.state), began_s=began_s)
                task = asyncio.create_task(written)
                self._writing.add(task)
                task.add_done_callback(self._writing.discard)

    async def _written(self, shard: Shard[S], offsets: Ends, write: Callable[[], bytes], *, began_s: float) -> None:
        """Writes a shard, after those before it: of two of one shard the later stays."""
        async with self._turn:
            await self._snapshots.keep(str(shard.partition), offsets, lambda: write)
        shard.saved_s = time.monotonic()
        shard.took_s = shard.saved_s - began_s

    async def _restored(self, partitions: Sequence[int]) -> list[Shard[S]]:
        started, events = time.perf_counter(), 0
        shards = {partition: await self._loaded(partition) for partition in partitions}
        for group in self._fold.inputs if shards else ():
            events += await self._catch_up(shards, group)
        for shard in shards.values():
            shard.saved_s = 0.0 if shard.changed else time.monotonic()
        log_line.info("restored", partitions=list(partitions), events=events, took_s=round(time.perf_counter() - started, 3))
        return list(shards.values())

    async def _loaded(self, partition: int) -> Shard[S]:
        found = await self._snapshots.load(str(partition))
        state = self._care.restored(found, self._fold.loaded, shard=str(partition))
        return Shard(partition, state, found.offsets) if found and state is not None else Shard(partition, self._fold.empty())

    async def _catch_up(self, shards: Mapping[int, Shard[S]], topics: Sequence[Topic]) -> int:
        """Folds the log from where the shards stand to its end; how many records lay between."""
        since = {place: offset for shard in shards.values() for place, offset in shard.next.items()}
        ends = {place: end for place, end in (await self._log.ends(topics)).items() if place[1] in shards}
        behind = {place: end for place, end in ends.items() if since.get(place, 0) < end}
        misplaced = list[Record]()

        def wanted(key: bytes | None, place: Place) -> bool:
            return self._fold.wanted(shards[place.partition].state, key, place)

        if behind:
            async with aclosing(self._log.follow(topics, since=since, until=behind, wanted=wanted, told="restoring")) as records:
                async for record in records:
                    if not self._at_home(record):
                        misplaced.append(record)
                    await self._take_of_past(shards[record.place.partition], record)
        for place, end in ends.items():
            shards[place[1]].changed |= since.get(place, 0) < end  # what was passed over need not be looked at again
            shards[place[1]].next[place] = end
        await self._put_right(misplaced)
        return sum(end - since.get(place, 0) for place, end in behind.items())
