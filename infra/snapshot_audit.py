"""Snapshots held to the log: what each holds must be what its own fold gives from zero, up to where the snapshot was taken.

Compared is what follows from the log alone, part by part; not what a process's clocks, its turn in a sweep or the expiry of what passes
make of it.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from infra import seal_keys
from infra.kafka import Ends, Log, Place, Record
from infra.sealed_events import seals
from infra.settings import Settings
from infra.snapshots import Snapshot, Snapshots
from streams.boards import keeping as boards
from streams.boards.books import Books
from streams.boards.ranking import Entry
from streams.errors import Temporary
from streams.money import rates
from streams.queue import keeping as queue
from streams.queue import requests
from streams.queue.dispatch import Pool
from streams.queue.requests import Asked, Requests
from streams.settling import dumping as settling
from streams.settling.runs import INPUTS, OpenRuns
from streams.topics import (
    CANCELLATIONS,
    DISPATCHERS,
    ENVIRONMENTS,
    JOB_STATUS,
    JOBS_PLANNED,
    PRICES,
    RUNS,
    STOPS,
    Topic,
    jobs_topic,
)
from streams.trust import ledger as sealing
from streams.trust.chains import Chains
from streams.trust.ledger import Ledger
from streams.trust.stretches import SEALED_TOPICS, run_of_key

Told = Callable[[str], None]
Parts = Mapping[str, str]  # what is held, by name, each as a text that is the same for equal ones


@contextmanager
def telling(what: str, broken: Told) -> Iterator[None]:
    """While it lasts, whatever breaks is told as that, and ends nothing; but for a store that is away."""
    try:
        yield
    except Temporary:
        raise
    except Exception as error:  # noqa: BLE001  # one record's, run's or board's: others are compared
        broken(f"{what}: {type(error).__name__}: {error}")


def _untold(_text: str) -> None:
    """What cannot be folded is told as its partition is derived."""


def place_of(record: Record) -> str:
    """Where a record lies, in words."""
    return f"{record.place.topic}/{record.place.partition}, offset {record.place.offset}"


async def folded(log: Log, ends: Ends, *, broken: Told) -> OpenRuns:
    """All runs of a partition up to these ends, none of them closed. `broken` is told of a record over which the fold breaks."""
    runs = OpenRuns()
    async with aclosing(log.follow(INPUTS, until=ends)) as records:
        async for record in records:
            if record.event:
                with telling(f"{place_of(record)}: it cannot be folded", broken):
                    runs.fold(record.event, offset=record.place.offset)
    return runs


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit of a log's snapshots. `differs` is told of each part that a snapshot holds otherwise than the log gives."""

    log: Log
    settings: Settings
    differs: Told

    async def of_partition(self, partition: int, *, concerns: Callable[[str], bool]) -> int:
        """Audits a partition's snapshots, of the runs that are looked at; how many there were. Raises: Unavailable."""
        shard = str(partition)
        return (
            await self._held("settle", settling.VERSION, shard, self._settle, concerns)
            + await self._held("plan", requests.VERSION, shard, self._plan, concerns)
            + await self._held("cost", rates.RECKONED_VERSION, shard, self._reckoned, concerns)
        )

    async def of_all(self) -> int:
        """Audits those that no partition has to itself. Raises: Unavailable."""
        return (
            await self._held("dispatch", queue.VERSION, self.settings.pool, self._dispatch)
            + await self._held("rank", boards.VERSION, "everywhere", self._rank)
            + await self._held("cost", rates.VERSION, "everywhere", self._rates)
            + await self._held("seal", sealing.VERSION, "all", self._seal)
        )

    async def _held(
        self, processor: str, version: str, shard: str, parts: Any, concerns: Callable[[str], bool] = lambda _name: True
    ) -> int:
        """Compares one snapshot, where there is one; a part that only one of the two has differs."""
        found = await Snapshots(self.log, self.settings, processor=processor, version=version).load(shard)
        if found is None:
            return 0
        with telling(f"the snapshot of {processor}/{shard} cannot be read", self.differs):
            kept, given = await parts(found)
            for name in sorted(kept.keys() | given.keys()):
                if concerns(name) and kept.get(name) != given.get(name):
                    self.differs(f"the snapshot of {processor}/{shard} holds {name} otherwise than the log")
        return 1

    async def _records(self, topics: Sequence[Topic], ends: Ends | None) -> AsyncGenerator[Record, None]:
        """What lies in these topics up to these ends: of all of their partitions up to now, where none are given."""
        names = {topic.name for topic in topics}
        until = {
            place: end for place, end in (ends if ends is not None else await self.log.ends(topics)).items() if place[0] in names and end
        }
        async with aclosing(self.log.follow(topics, until=until)) as records:
            async for record in records:
                yield record

    async def _settle(self, found: Snapshot) -> tuple[Parts, Parts]:
        kept, names = settling.loaded(found.state), {topic.name for topic in INPUTS}
        runs = await folded(self.log, {at: end for at, end in found.offsets.items() if at[0] in names and end}, broken=_untold)
        for run_id in [one for one in runs.runs if one in kept.closed]:
            del runs.runs[run_id]
        return settling.canonical(kept), settling.canonical(runs)

    async def _plan(self, found: Snapshot) -> tuple[Parts, Parts]:
        """A planner knows what it has said before it reads it: more than at the offsets, and no more than by now."""
        kept, then, now = requests.loaded(found.state), Requests(), Requests()
        partitions = {partition for _, partition in found.offsets}
        for topics in requests.INPUTS:
            async for record in self._records(topics, None):
                at = (record.place.topic, record.place.partition)
                if record.event and at[1] in partitions:
                    for state in (now, then) if record.place.offset < found.offsets.get(at, 0) else (now,):
                        with telling("", _untold):
                            state.fold(record.event, offset=record.place.offset)
        names = {*kept.first, *then.first}
        differing = {name for name in names if kept.first.get(name) != then.first.get(name) or not _follows(name, kept, then, now)}
        return dict.fromkeys(differing, "so"), {}

    async def _reckoned(self, found: Snapshot) -> tuple[Parts, Parts]:
        """The prices that a partition's results are reckoned with: each was published."""
        (reckoned, _), published = rates.reckoned_of(found.state), set[str]()
        async for record in self._records((PRICES,), None):
            published |= {record.event.event_id} if record.event else set()
        return {f"price {one}": "" for one in reckoned}, {f"price {one}": "" for one in reckoned & published}

    async def _dispatch(self, found: Snapshot) -> tuple[Parts, Parts]:
        """Runs, jobs and their leases; agents, delays and beats expire, and leases end by clocks too."""
        fresh = (
            Pool(self.settings.pool, lease_us=round(self.settings.lease_s * 1e6), max_attempts=self.settings.max_attempts) for _ in "ab"
        )
        kept, given = queue.loaded(found.state, next(fresh)), next(fresh)
        topics = (RUNS, STOPS, CANCELLATIONS, DISPATCHERS, jobs_topic(self.settings.pool), JOBS_PLANNED, JOB_STATUS, ENVIRONMENTS, PRICES)
        for topic in topics:
            async for record in self._records((topic,), found.offsets):
                if record.event:
                    at = (record.place.topic, record.place.partition)
                    with telling("", _untold):
                        given.fold(record.event, at=at, offset=record.place.offset, written_us=record.written_us, at_us=0)
        return _parts_of(kept), _parts_of(given)

    async def _fold(self, fold: Callable[[Any], None], topics: Sequence[Topic], offsets: Ends) -> None:
        """Folds what lies in these topics before those offsets."""
        async for record in self._records(topics, offsets):
            if record.event:
                with telling("", _untold):
                    fold(record.event)

    async def _rank(self, found: Snapshot) -> tuple[Parts, Parts]:
        """Who stands on each board with what; what is joined of a judged run is read back when it is needed, and not compared."""
        kept, given = boards.loaded(found.state, self.log.codec), Books()
        await self._fold(given.fold, boards.INPUTS, found.offsets)
        return _boards_of(kept), _boards_of(given)

    async def _rates(self, found: Snapshot) -> tuple[Parts, Parts]:
        kept, given = rates.loaded(found.state, self.log.codec), rates.Rates()
        await self._fold(given.fold, rates.INPUTS, found.offsets)
        return _events_of(kept), _events_of(given)

    async def _seal(self, found: Snapshot) -> tuple[Parts, Parts]:
        """The open runs that have a plan and are not sealed since; nothing where the keys of whoever seals are not here."""
        known = frozenset(key.public for key in seal_keys.keys_of(self.settings))
        if not known:
            return {}, {}
        given, kept = Ledger(Chains(known)), Ledger(Chains())
        async for _, seal in seals(self.log):
            given.seal(seal)
        sealing.loaded(json.loads(found.state) | {"sealed": 0}, kept)
        await self._swept(given, found.offsets)
        return _unsealed(kept, given), _unsealed(given, given)

    async def _swept(self, given: Ledger, ends: Ends) -> None:
        def wanted(key: bytes | None, place: Place) -> bool:
            run_id = run_of_key(key)
            return key is None if run_id is None else given.meets(run_id, (place.topic, place.partition), place.offset)

        async with aclosing(self.log.follow(SEALED_TOPICS, until={at: end for at, end in ends.items() if end}, wanted=wanted)) as records:
            async for record in records:
                at, event = (record.place.topic, record.place.partition), record.event
                run_id = run_of_key(record.key) or (run_of_key(event.partition_key()) if event else None)
                if event and run_id:
                    with telling("", _untold):
                        if record.key is None:
                            given.meets(run_id, at, record.place.offset)
                        given.fold(event, run_id, at, record.place.offset)


def _follows(run_id: str, kept: Requests, then: Requests, now: Requests) -> bool:
    """Whether what is held of a request follows from the log; one that is held no more needs nothing by now."""
    held, least, most = (state.open.get(run_id) for state in (kept, then, now))
    if least is None or most is None:
        return False
    if held is None:
        return most.done
    said = held.jobs in (least.jobs, most.jobs) and held.state in (least.state, most.state, "planned", "rejected")
    return said and _fixed(held) == _fixed(least) and least.planned <= held.planned <= most.planned


def _fixed(asked: Asked) -> tuple[object, ...]:
    return asked.offset, asked.judged, asked.submitter


def _parts_of(pool: Pool) -> Parts:
    jobs = {
        f"job {entry.job_id}": json.dumps([
            entry.run_id, entry.job.model_dump(mode="json") if entry.job else None, list(entry.age), entry.done.hex(), entry.over,
            entry.why.model_dump(mode="json") if entry.why else None,
            [[attempt, one.term, one.agent_id, one.incarnation] for attempt, one in sorted(entry.leases.items())],
        ]) for entry in pool.entries.values()
    }  # fmt: skip
    runs = {
        f"run {run.run_id}": json.dumps([run.state, run.organisation_id, run.visibility, run.budget.model_dump(mode="json"), run.asked])
        for run in pool.runs.values()
    }
    begun = {f"agents at {one.job_id}": json.dumps([one.attempt, sorted(one.agents.items())]) for one in pool.unended.jobs.values()}
    return jobs | runs | begun | {"runs that are over": pool.over.packed().hex()}


def _boards_of(books: Books) -> Parts:
    told = dict[str, str]()
    for name in books.boards:
        entries = books.entries(name)
        runs = [(replace(entry.run, documents={}, by_task={}), entry.tasks, entry.runs, entry.retracted) for entry in entries]
        told[f"board {name}"] = repr(runs)
        told |= {f"scores of {entry.run.run_id}": _scores_of(entry) for entry in entries}
    return told


def _scores_of(entry: Entry) -> str:
    """Which scorer said the scores of a run, and the values of its documents."""
    versions = {task: one.scorer_version for task, one in entry.run.tasks.items()}
    columns = {task: (one.ordinals.tolist(), one.values.tolist(), one.clusters) for task, one in entry.run.documents.items()}
    return repr((sorted(versions.items()), sorted(columns.items())))


def _events_of(held: rates.Rates) -> Parts:
    return {f"{type(one).__name__} {event_id}": one.model_dump_json() for event_id, one in held.folded.items()}


def _unsealed(ledger: Ledger, given: Ledger) -> Parts:
    """Each run that has a plan and no seal; in which sweep its result was met, and whether it is put off, is the process's own."""
    told = sealing.dumped(ledger)["open"]
    return {
        f"run {run_id}": json.dumps([run["visibility"], sorted(run["stretches"]), run["shut"], run["result"] and run["result"][:-1]])
        for run_id, run in told.items()
        if run["planned"] and run_id not in given.sealed
    }
