"""Derived events recomputed from what was measured, by the folds themselves, and compared with what was said: `assay replay --derive`.

A partition at a time, from zero and without any snapshot: scores, speed and results of every run that is over; then the costs that follow
from the results, and how the boards stand. Each must have been said, under the very id that names its inputs, with the very same
content; and what counts of all that was said, for readers and boards, must be among them: nothing else may stand before it. Snapshots
are audited beside it: what each holds must be what the log gives up to where it was taken (infra/snapshot_audit.py).
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from infra.apart import Apart
from infra.builds import Builds
from infra.kafka import Ends, Log, Place, Record
from infra.partitioning import partition_for
from infra.recomputing import STAMP, Ways, recomputed
from infra.settings import Settings
from infra.snapshot_audit import Audit, folded, place_of, telling
from infra.text_keys import FORGOTTEN
from infra.trust import HOW_TASKS
from schemas.event import Event
from schemas.jobs import EnvironmentSeen
from schemas.results import CostSummarised, Documents, PricePublished, RankingChanged, RunScored
from schemas.settled import LeftOut, RunSettled
from schemas.trust import DeadLettered
from streams.boards.books import Books
from streams.boards.ranking import Board, Entry, chosen, rank
from streams.boards.reckoned import Reckoned
from streams.boards.sound import sound
from streams.errors import Invalid, Permanent
from streams.money.costs import summaries
from streams.money.prices import PriceBook
from streams.settling import results
from streams.settling.attempts import unfolded
from streams.settling.documents import unpacked
from streams.settling.runs import INPUTS
from streams.topics import COSTS, DEAD_LETTERS, ENVIRONMENTS, PERFORMANCE, PRICES, RANKINGS, RESULTS, RETRACTIONS, RUN_SCORES, Topic

SAID = (RUN_SCORES, PERFORMANCE, RESULTS, COSTS)
MOST_TOLD = 20
E = TypeVar("E", bound=Event)
Told = Callable[[str], None]


@dataclass(slots=True)
class Derived:
    """How many events of each kind were recomputed, the runs that were in flight at the cut, those whose texts were forgotten and whose
    figures rest on them, those that trust Python of a task's which may not run here, and what was not said so.

    `differences` are told in the order of the log's partitions, MOST_TOLD of the `differing` ones.
    """

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    in_flight: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    not_trusted: list[str] = field(default_factory=list)
    snapshots: int = 0
    differing: int = 0
    differences: list[str] = field(default_factory=list)
    recomputed: set[str] = field(default_factory=set)
    run_id: str | None = None

    def concerns(self, run_id: str) -> bool:
        """The run is among those that are looked at."""
        return self.run_id in (None, run_id)

    @property
    def left(self) -> set[str]:
        """The runs of which nothing is recomputed: what was said of them stands as it is."""
        return {*self.in_flight, *self.forgotten, *self.not_trusted}

    @property
    def why_left(self) -> str | None:
        """Why nothing of a run was recomputed, where one alone is looked at; None where it was."""
        reasons = {
            "it is in flight": self.in_flight, "its texts were forgotten": self.forgotten,
            f"its tasks bring Python, and {HOW_TASKS}": self.not_trusted,
        }  # fmt: skip
        return next((f"was not recomputed: {why}" for why, runs in reasons.items() if runs), None)

    @property
    def equal(self) -> bool:
        """All that follows was said, with that content."""
        return not self.differing

    @property
    def difference(self) -> str | None:
        """The first that was not said so, and how many more there are."""
        more = f", and {self.differing - 1:,} more" if self.differing > 1 else ""
        return f"{self.differences[0]}{more}" if self.differences else None

    def document(self) -> dict[str, Any]:
        """As the command line prints it."""
        told: dict[str, Any] = {"derived": dict(self.counts), "in_flight": self.in_flight, "forgotten": self.forgotten}
        told |= {"not_trusted": self.not_trusted, "snapshots": self.snapshots}
        return {"equal": self.equal, **told, "difference": self.difference, "differing": self.differing, "differences": self.differences}

    def differs(self, what: str) -> None:
        """Notes a difference."""
        self.differing += 1
        if len(self.differences) < MOST_TOLD:
            self.differences.append(what)

    def hold(self, kind: str, recomputed: Event, said: Mapping[str, Event]) -> None:
        """Counts a recomputed event, and notes where it was not said, or otherwise."""
        self.counts[kind] += 1
        self.recomputed.add(recomputed.event_id)
        found, name = said.get(recomputed.event_id), f"{kind} of {getattr(recomputed, 'run_id', recomputed.event_id)}"
        if found is None:
            self.differs(f"{name}: nothing was said of exactly these inputs ({recomputed.event_id})")
        elif other := _differing(recomputed, found):
            self.differs(f"{name}: {other} was said otherwise ({recomputed.event_id})")


def _differing(one: Event, other: Event) -> str | None:
    """The fields in which two events differ; how far a reader had come, and which program wrote it, is no content."""
    one, other = _unpacked(one), _unpacked(other)
    names = (name for name in type(one).model_fields if name not in ("producer", "through", "planned_at"))
    return ", ".join(name for name in names if _content(getattr(one, name)) != _content(getattr(other, name))) or None


def _unpacked(event: Event) -> Event:
    """An event with its attempts one by one; as it is, where they cannot be read."""
    with suppress(Invalid):
        return unfolded(event) if isinstance(event, RunSettled) else event
    return event


def _content(value: object) -> object:
    """What is compared: of packed documents what is in them, for another zlib packs it otherwise; of what is left out, not the words."""
    if isinstance(value, tuple):
        return tuple((one.task, one.scorer_version) if isinstance(one, LeftOut) else one for one in value)
    if not isinstance(value, Documents):
        return value
    try:
        columns = unpacked(value)
    except Invalid:  # another's: no producer of ours packs such
        return value
    # Of clusters only who shares one is content: packed closer, they have other names.
    numbers = dict[Hashable, int]()
    shared = [numbers.setdefault(name, len(numbers)) for name in columns.clusters] if columns.clusters else None
    return columns.ordinals.tolist(), columns.values.tolist(), shared


async def derive(settings: Settings, *, told: Told, run_id: str | None = None) -> Derived:
    """What comes of it, for all runs and boards, or for one run. Raises: Unavailable."""
    async with Log(settings, client_id="replay", attempts=1) as log:
        return await recompute(log, settings, told=told, run_id=run_id)


async def recompute(log: Log, settings: Settings, *, told: Told, run_id: str | None = None) -> Derived:
    """The same from this log. What breaks over one record, run or board is a difference of that one. Raises: Unavailable."""
    derived = Derived(run_id=run_id)
    book, environments = await _rates(log)
    count = (await log.partitions([RESULTS]))[RESULTS.name]
    with Ways.of(settings) as ways:
        for partition in range(count) if run_id is None else [partition_for(run_id.encode(), count)]:
            told(f"deriving partition {partition} of {count}")
            await _partition(log, settings, partition, derived, book=book, environments=environments, ways=ways)
        if run_id is None:
            await _boards(log, derived, ways.apart)
    if run_id is None:
        derived.snapshots += await Audit(log, settings, derived.differs).of_all()
    return derived


async def _up_to_now(log: Log, topics: Sequence[Topic]) -> AsyncGenerator[Record, None]:
    """All that these topics hold."""
    async with aclosing(log.follow(topics, until=await log.ends(topics))) as records:
        async for record in records:
            yield record


async def _rates(log: Log) -> tuple[PriceBook, dict[str, EnvironmentSeen]]:
    book, environments = PriceBook(), dict[str, EnvironmentSeen]()
    async for record in _up_to_now(log, (PRICES, ENVIRONMENTS)):
        if isinstance(record.event, EnvironmentSeen):
            environments.setdefault(record.event.sha, record.event)
        elif isinstance(record.event, PricePublished):
            try:
                book.fold(record.event)
            except Invalid:
                continue  # a price that cannot be: a dead letter
    return book, environments


async def _said(log: Log, ends: Ends) -> dict[str, Event]:
    """What was said up to these ends, by id; the first of each counts."""
    said = dict[str, Event]()
    async with aclosing(log.follow(SAID, until=ends)) as records:
        async for record in records:
            if record.event:
                said.setdefault(record.event.event_id, record.event)
    return said


async def _partition(
    log: Log, settings: Settings, partition: int, derived: Derived, *, book: PriceBook, environments: Mapping[str, EnvironmentSeen],
    ways: Ways,
) -> None:  # fmt: skip
    ends = {place: end for place, end in (await log.ends((*INPUTS, *SAID))).items() if place[1] == partition and end}
    measured = {topic.name for topic in INPUTS}
    runs = await folded(log, {place: end for place, end in ends.items() if place[0] in measured}, broken=derived.differs)
    said = await _said(log, {place: end for place, end in ends.items() if place[0] not in measured})
    builds = Builds(log)
    broken = {one.run_id for one in said.values() if isinstance(one, RunSettled) and one.left_out}
    for run in [run for run in runs.runs.values() if run.plan and derived.concerns(run.run_id)]:
        if not run.final or (run.state == "completed" and not run.complete):
            derived.in_flight.append(run.run_id)
            continue
        if run.plan and any(planned.trust_code for planned in run.plan.tasks) and not settings.allow_task_code:
            derived.not_trusted.append(run.run_id)
            continue
        with telling(f"what follows from run {run.run_id} cannot be recomputed", derived.differs), _unless_forgotten(run.run_id, derived):
            async for kind, event in recomputed(run, builds, ways, log.vault, doubtful=run.state != "completed" or run.run_id in broken):
                derived.hold(kind, event, said)
    _hold_costs(said, derived, book, environments)
    for kind, counts in _counting(said.values()):
        looked_at = derived.concerns(counts.run_id) and counts.run_id not in derived.left
        if looked_at and counts.event_id not in derived.recomputed:
            derived.differs(f"{kind} of {counts.run_id}: what counts does not follow from what was measured ({counts.event_id})")
    derived.snapshots += await Audit(log, settings, derived.differs).of_partition(partition, concerns=derived.concerns)


@contextmanager
def _unless_forgotten(run_id: str, derived: Derived) -> Iterator[None]:
    """While it lasts, a run whose figures rest on texts that nobody can read any more is noted: they can be checked no more, and stand."""
    try:
        yield
    except Permanent as error:
        if error.code != FORGOTTEN:
            raise
        derived.forgotten.append(run_id)


def _hold_costs(said: Mapping[str, Event], derived: Derived, book: PriceBook, environments: Mapping[str, EnvironmentSeen]) -> None:
    settled = [event for event in said.values() if isinstance(event, RunSettled) and event.final and derived.concerns(event.run_id)]
    for run in {one.run_id: one for one in sorted(settled, key=lambda one: one.knows)}.values():
        with telling(f"results of {run.run_id}", derived.differs):
            for summary in summaries(run, book, environments):
                derived.hold("costs", results.cost(run, summary, stamp=STAMP), said)


def _counting(said: Iterable[Event]) -> Iterator[tuple[str, RunScored | RunSettled | CostSummarised]]:
    """Of all that was said of a run, in the log's order, what boards and readers go by.

    A task's scores by the newest scorer, the newest final result, and of each version of the prices the last cost by the newest formula,
    one of a final result before all others.
    """
    scores, results_, costs = dict[tuple[str, str], RunScored](), dict[str, RunSettled](), dict[tuple[str, str], CostSummarised]()
    for event in said:
        if isinstance(event, RunScored) and event.complete:
            known = scores.get((event.run_id, event.task))
            if known is None or event.scorer_version > known.scorer_version:
                scores[event.run_id, event.task] = event
        elif isinstance(event, RunSettled) and event.final:
            newest = results_.get(event.run_id)
            if newest is None or newest.knows < event.knows:
                results_[event.run_id] = event
        elif isinstance(event, CostSummarised):
            cost = costs.get((event.run_id, event.price_version))
            if cost is None or (cost.formula_version, cost.complete) <= (event.formula_version, event.complete):
                costs[event.run_id, event.price_version] = event
    yield from (("run_scores", one) for one in scores.values())
    yield from (("results", one) for one in results_.values())
    yield from (("costs", one) for one in costs.values())


@dataclass(slots=True)
class _Rankings:
    """What was said of each board last, and every part of it: by the digest of what it rests on."""

    newest: dict[str, tuple[tuple[int, int], RankingChanged]] = field(default_factory=dict)
    parts: dict[tuple[str, str], dict[int, RankingChanged]] = field(default_factory=dict)

    def fold(self, event: RankingChanged, *, offset: int) -> None:
        self.parts.setdefault((event.board, event.inputs_digest), {}).setdefault(event.part, event)
        at = (event.occurred_us, offset)
        if event.board not in self.newest or self.newest[event.board][0] < at:
            self.newest[event.board] = at, event

    def rows(self, event: RankingChanged) -> tuple[object, ...]:
        """The rows of the board that this is the last part of."""
        told = self.parts[event.board, event.inputs_digest] | {event.part: event}
        return tuple(row for _, part in sorted(told.items()) for row in part.rows)


async def _boards(log: Log, derived: Derived, apart: Apart) -> None:
    """The boards that follow from all results must be the newest that were said, with these rows."""
    (books, lost), said = await _books(log, derived), _Rankings()
    async for record in _up_to_now(log, (RANKINGS,)):
        if isinstance(record.event, RankingChanged):
            said.fold(record.event, offset=record.place.offset)
    newest = {name: event for name, (_, event) in said.newest.items()}
    derived.counts["rankings"] += len(books.boards)
    for name in sorted(newest.keys() - books.boards.keys()):
        derived.differs(f"rankings of {name}: it was said, and no run stands on it ({newest[name].event_id})")
    for name in sorted(books.boards):
        entries = books.entries(name)
        with telling(f"rankings of {name} cannot be recomputed", derived.differs):
            work = partial(_ranked, name, apart if any(entry.run.run_id in lost for entry in entries) else None)
            if board := sound(entries, work).made:
                _hold_board(board, newest.get(name), said, derived)


async def _books(log: Log, derived: Derived) -> tuple[Books, set[str]]:
    """All results, and the runs that their ranker gave up: ranking those may never come to an end."""
    books, given_up, lost = Books(whole=True), await _given_up(log), set[str]()
    async for record in _up_to_now(log, (ENVIRONMENTS, RUN_SCORES, RESULTS, RETRACTIONS)):
        if record.event:
            with telling(f"{place_of(record)}: no board can use it", derived.differs):
                books.fold(record.event)
        if isinstance(record.event, RunSettled) and record.place in given_up:
            lost.add(record.event.run_id)
    return books, lost


async def _given_up(log: Log) -> set[Place]:
    """Where the results lie that are dead letters."""

    def wanted(key: bytes | None, _place: Place) -> bool:
        return (key or b"").startswith(RESULTS.name.encode())

    letters = log.follow([DEAD_LETTERS], until=await log.ends([DEAD_LETTERS]), wanted=wanted)
    async with aclosing(letters) as records:
        found = [record.event async for record in records]
    return {Place(one.topic, one.partition, one.offset) for one in found if isinstance(one, DeadLettered)}


def _ranked(name: str, apart: Apart | None, entries: Sequence[Entry]) -> Board:
    """The board of these; where one of them was given up, in a process that ends where it gets nowhere."""
    return apart.of(partial(_ranked_by, name, entries)) if apart else _ranked_by(name, entries, lambda: None)


def _ranked_by(name: str, entries: Sequence[Entry], moved: Callable[[], None]) -> Board:
    return rank(chosen(name, entries), Reckoned(moved=moved))


def _hold_board(board: Board, event: RankingChanged | None, said: _Rankings, derived: Derived) -> None:
    if event is None or event.inputs_digest != board.digest:
        derived.differs(f"rankings of {board.name}: what was said last does not rest on the newest results")
    elif said.rows(event) != board.rows:
        derived.differs(f"rankings of {board.name}: its rows do not follow from the results that it names ({event.event_id})")
