"""A run that is scored anew: what it comes to stands in place of what it was, or, where that breaks, what it was stands, and says why."""

import asyncio
from collections.abc import Sequence
from itertools import groupby, permutations
from pathlib import Path
from typing import cast

import pytest

from agents.aggregating import Aggregating
from agents.asking_again import Waiting, ask_again, is_due
from agents.care import Care
from agents.settle import Here, Settling
from infra.kafka import Ends, Log, Record
from infra.partitioning import partition_for
from infra.recomputing import Ways
from infra.recomputing import recomputed as recomputed_of
from infra.settings import Settings
from schemas.event import Event
from schemas.measurements import SampleAnswered
from schemas.results import RunScored, SampleScored
from schemas.runs import ExpectedMetric, RunChanged
from schemas.settled import RunSettled
from schemas.trust import DeadLettered
from streams.boards.books import Books
from streams.boards.ranking import chosen, rank
from streams.settling import results
from streams.settling.mixing import lacking
from streams.settling.runs import OpenRuns
from streams.topics import RESULTS, RUNS, SCORES
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.unit.test_results import HEADER, planned, scored

R = run_named("r")
HOME = partition_for(R.encode(), 4)
NAMES = ("acc", *(f"{number:0400000}" for number in range(6)))  # of metrics; no record holds figures of all


class World:
    """A log, a worker that settles what comes on it, and the boards that follow."""

    def __init__(self, home: Path, *, hang_s: float = 300.0) -> None:
        self.log, self.settings = InMemory(), Settings(home=home, hang_s=hang_s)
        self.care = Care("settle", cast("Log", self.log), self.settings)
        self.settling, self.state = Settling(cast("Log", self.log), Aggregating(limit_s=1.0), self.care), Here(OpenRuns())
        self.read: Ends = {}
        self.settling.next_of = lambda _partition: self.read

    def say(self, *events: Event) -> None:
        """Writes events, lets the run be settled, and gives back to the worker what was said of it."""
        asyncio.run(self._say([self.log.write(event) for event in events]))

    async def _say(self, records: Sequence[Record]) -> None:
        for _ in range(5):
            for record in records:
                await self.settling.fold(self.state, record)
                self.read[record.place.topic, record.place.partition] = record.place.offset + 1
            await self.settling.say(self.state, HOME)
            await asyncio.gather(*self.state.busy.values())
            records = [*self.log.records[RUNS.name, HOME], *self.log.records[RESULTS.name, HOME]]

    @property
    def results(self) -> list[RunSettled]:
        """Every result that was said."""
        return [record.event for record in self.log.records[RESULTS.name, HOME] if isinstance(record.event, RunSettled)]

    def books(self, *, backwards: bool = False) -> Books:
        """The boards of all that was said, in either order."""
        said = [record.event for records in self.log.records.values() for record in records]
        books = Books()
        for event in reversed(said) if backwards else said:
            if isinstance(event, (RunScored, RunSettled)):
                books.fold(event)
        return books


def newer(value: float, *, metrics: int = 1, version: str = "2") -> list[SampleScored]:
    """The run's one sample by another scorer."""
    return [
        SampleScored.model_validate(
            scored(R, 0, value, metric=name, metrics=metrics).model_dump(exclude={"event_id"}) | {"scorer_version": version}
        )
        for name in NAMES[:metrics]
    ]


def plan() -> RunChanged:
    """One task of these metrics, of which the first scorer knows one."""
    change = planned(R, samples=1)
    assert change.plan is not None
    expected = tuple(ExpectedMetric(filter="none", metric=name) for name in NAMES)
    task = change.plan.tasks[0].model_copy(update={"expected": expected})
    return change.model_copy(update={"plan": change.plan.model_copy(update={"tasks": (task,)})})


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One run of one sample, settled by the scorer "1"."""
    world = World(tmp_path)
    world.say(plan(), scored(R, 0, 1.0))
    assert [one.left_out for one in world.results] == [()]
    assert world.state.runs.runs == {}
    return world


def test_what_scoring_anew_comes_to_stands_in_place_of_what_was(world: World) -> None:
    """On boards too, in whatever order they hear of it."""
    before = world.books().entries("task:t")[0].digest
    world.say(*newer(0.0))
    assert world.state.runs.runs == {}
    first, second = world.results
    assert ([task.scorer_version for task in second.tasks], second.left_out, second.attempts) == (["2"], (), first.attempts)
    for backwards in (False, True):
        (board,) = world.books(backwards=backwards).changed(["task:t"])
        assert [row.score for row in rank(board).rows] == [0.0]
        assert board.entries[0].digest != before


def test_where_scoring_anew_breaks_what_was_stands_and_the_run_is_closed_again(world: World) -> None:
    """Its result says why, by which scorer; nobody tries that scorer's scores again, nor an older one's, and another's are."""
    world.say(*newer(0.0, metrics=7))
    assert world.state.runs.runs == {} and world.state.said == {}
    first, second = world.results
    assert (second.tasks, second.final, second.state, second.changed_us) == (first.tasks, True, "completed", first.changed_us)
    ((task, version, why),) = ((one.task, one.scorer_version, one.why) for one in second.left_out)
    assert (task, version) == ("t", "2") and why.startswith("Invalid: its RunScored has 2,40")
    (board,) = world.books().changed(["task:t"])
    assert [row.score for row in rank(board).rows] == [1.0]
    fresh = OpenRuns()
    for result in world.results:
        fresh.fold(result)
    for runs in (fresh, world.state.runs):
        assert [runs.reopens(newer(0.0, version=version)[0]) for version in ("0", "1", "2", "3")] == [None, None, None, 0]
    world.say(*newer(0.5, version="3"))
    assert [task.scorer_version for task in world.results[-1].tasks] == ["3"]
    assert (len(world.results), world.results[-1].left_out, world.state.runs.runs) == (3, (), {})


def answered(*ordinals: int) -> list[SampleAnswered]:
    """The run's answers."""
    return [
        SampleAnswered(
            **HEADER, run_id=R, job_id=f"{R}/t/0/0", attempt=1, task="t", build_id="build-t", ordinal=ordinal, repeat=0, seed=0,
            arguments_sha="", answers=(),
        )
        for ordinal in ordinals
    ]  # fmt: skip


def by(version: str, *ordinals: int) -> list[Event]:
    """Scores of these samples."""
    found = [scored(R, ordinal, 1.0) for ordinal in ordinals]
    return [SampleScored.model_validate(one.model_dump(exclude={"event_id"}) | {"scorer_version": version}) for one in found]


def asked(world: World) -> list[int]:
    """The samples whose answers are written again for the one open run."""
    before = {place: len(records) for place, records in world.log.records.items()}
    count = asyncio.run(ask_again(cast("Log", world.log), world.state.runs.run(R), partition=HOME))
    new = [one.event for place, records in world.log.records.items() for one in records[before.get(place, 0) :]]
    assert len(new) == count
    return [one.ordinal for one in new if isinstance(one, SampleAnswered)]


def test_a_run_in_whose_midst_a_newer_scorer_came_is_scored_by_it_whole(tmp_path: Path) -> None:
    """Else it would stay open for ever, at 100 %. While samples are to be scored by anybody, nobody is asked again."""
    world = World(tmp_path)
    world.say(planned(R, samples=3), *answered(0, 1, 2), *by("1", 0, 1))
    assert asked(world) == []
    world.say(*by("2", 1))
    assert asked(world) == []
    world.say(*by("2", 2))
    assert world.results == [] and asked(world) == [0]
    world.say(*by("2", 0))
    assert [[task.scorer_version for task in one.tasks] for one in world.results] == [["2"]]
    assert world.state.runs.runs == {}


def test_a_run_that_a_newer_scorer_has_begun_to_score_anew_is_scored_by_it_whole(tmp_path: Path) -> None:
    """As one of whose last answers came to it once more, and no others."""
    world = World(tmp_path)
    world.say(
        planned(R, samples=2, tasks=("t", "u")), *answered(0, 1), *by("1", 0, 1), scored(R, 0, 1.0, task="u"), scored(R, 1, 1.0, task="u")
    )
    world.say(*by("2", 1))
    run = world.state.runs.run(R)
    assert [(task, scores.settled_samples) for task, scores in lacking(run)] == [("t", 1), ("u", 0)]
    assert asked(world) == [0]


def test_a_run_is_asked_again_where_it_is_quiet_and_ever_less_often(tmp_path: Path) -> None:
    """Of one scorer alone nothing is lacking."""
    world, waiting = World(tmp_path), Waiting()
    world.say(planned(R, samples=4), *by("1", 0, 1))
    run = world.state.runs.run(R)
    assert not is_due(run, waiting, now_s=1e6)
    world.say(*by("2", 2))
    due = [second for second in range(1000) if is_due(run, waiting, now_s=float(second))]
    assert due == [30, 90, 210, 450, 930]
    world.say(*by("2", 3))
    assert [second for second in range(1000, 1031) if is_due(run, waiting, now_s=float(second))] == [1030]


def test_a_run_whose_newer_scorer_nobody_is_closes_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that somebody named in one score would have its answers written again each hour, for ever; another score opens it again."""
    world, (forged,) = World(tmp_path), by("zzz", 1)
    world.say(planned(R, samples=2), *answered(0, 1), *by("1", 0, 1))
    for _ in range(2):
        world.say(forged)
        run, times = world.state.runs.run(R), list[int]()
        assert run.before is not None
        for second in range(0, 6 * 3600, 10):
            monkeypatch.setattr("agents.settle.time.monotonic", lambda second=second: float(second))
            if asyncio.run(ask(world)):
                times.append(second)
        assert times == [600, 1800, 4200, 7800, 11400, 15000]
        assert world.state.runs.runs == {} and len(world.results) == 1
        assert world.state.runs.reopens(forged) == 0 and world.state.runs.reopens(by("1", 0)[0]) is None


async def ask(world: World) -> bool:
    """Whether the open run's scorer is asked again at this moment."""
    if R not in world.state.runs.runs:
        return False
    world.settling._ask_again(world.state, world.state.runs.run(R))
    asking = list(world.settling._asking.values())
    await asyncio.gather(*asking)
    return bool(asking)


def test_a_run_of_which_a_newer_scorer_has_a_part_stands_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On all boards, also while it is scored anew, and for who recomputes it; once the newer one has all, by that one."""
    world = World(tmp_path)
    world.say(planned(R, samples=1, tasks=("t", "u")), *(scored(R, 0, 1.0, task=task) for task in "tu"))

    def stands() -> dict[str, list[float | None]]:
        books = world.books()
        return {name: [row.score for row in rank(chosen(name, books.entries(name))).rows] for name in books.boards}

    world.say(*newer(0.0))
    assert stands() == {"t+u": [1.0], "task:t": [1.0], "task:u": [1.0]}
    for second in range(0, 6 * 3600, 10):
        monkeypatch.setattr("agents.settle.time.monotonic", lambda second=second: float(second))
        asyncio.run(ask(world))
    assert (world.state.runs.runs, len(world.results)) == ({}, 1)
    assert stands() == {"t+u": [1.0], "task:t": [1.0], "task:u": [1.0]}
    assert recomputed(world)[-1].event_id == world.results[-1].event_id
    other = SampleScored.model_validate(scored(R, 0, 0.5, task="u").model_dump(exclude={"event_id"}) | {"scorer_version": "2"})
    world.say(other, *newer(0.0))
    assert stands() == {"t+u": [0.25], "task:t": [0.0], "task:u": [0.5]}
    assert (world.state.runs.runs, [one.scorer_version for one in world.results[-1].tasks]) == ({}, ["2", "2"])
    assert recomputed(world)[-1].event_id == world.results[-1].event_id


def recomputed(world: World) -> list[Event]:
    """What follows from all that was measured of the run."""
    runs = OpenRuns()
    for topic in (RUNS, SCORES):
        for record in world.log.records[topic.name, HOME]:
            assert record.event is not None
            runs.fold(record.event, offset=record.place.offset)

    async def act() -> list[Event]:
        with Ways.of(world.settings) as ways:
            builds = world.settling._builds
            return [event async for _, event in recomputed_of(runs.run(R), builds, ways, world.log.vault, doubtful=False)]

    return asyncio.run(act())


def test_what_is_left_out_is_recomputed_from_the_log(world: World) -> None:
    """A replay says the same result, under the same id."""
    world.say(*newer(0.0, metrics=7))
    assert recomputed(world)[-1].event_id == world.results[-1].event_id


def test_a_completed_run_whose_result_cannot_be_said_is_a_dead_letter_and_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not stay open; requeued, its plan changes nothing."""

    def broken(*_: object, **__: object) -> RunSettled:
        raise TypeError("planted")

    monkeypatch.setattr(results, "settled", broken)
    world.say(*newer(0.0))
    assert world.state.runs.runs == {} and len(world.results) == 1
    told = [record.event for records in world.log.records.values() for record in records if isinstance(record.event, DeadLettered)]
    assert [(one.topic, one.reason_code, one.message) for one in told] == [
        (RUNS.name, "cannot-settle", "its results cannot be worked out: TypeError: planted")
    ]


def test_boards_go_by_the_scorer_that_a_runs_result_names(tmp_path: Path) -> None:
    """Its tasks' scores come one by one, and its result after them: no board has one task by either scorer, in whatever order it hears."""
    world = World(tmp_path)
    world.say(planned(R, samples=1, tasks=("t", "u")), *(scored(R, 0, 1.0, task=task) for task in "tu"))
    other = SampleScored.model_validate(scored(R, 0, 0.5, task="u").model_dump(exclude={"event_id"}) | {"scorer_version": "2"})
    world.say(*newer(0.0), other)
    said = [one.event for records in world.log.records.values() for one in records if isinstance(one.event, (RunScored, RunSettled))]
    assert len(said) == 6
    for order in permutations(said):
        books, stood = Books(), list[float | None]()
        for event in order:
            books.fold(event)
            stood += [row.score for row in rank(chosen("t+u", books.entries("t+u"))).rows] if "t+u" in books.boards else []
        assert [score for score, _ in groupby(stood)] in ([1.0, 0.25], [0.25])
        assert books.scores[R].keys() == {("t", "2"), ("u", "2")}
