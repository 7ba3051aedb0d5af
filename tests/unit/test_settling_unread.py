"""What lies in the log and the settler has not read yet: it is part of what a run comes to, as it is for whoever reads all."""

import asyncio
from pathlib import Path

import pytest

from agents.settle import Said
from schemas.event import Event
from schemas.runs import RunChanged
from schemas.settled import RunProgressed
from streams.quality import stopping
from streams.runs import state_of
from streams.settling import results
from streams.topics import JOB_STATUS, PROGRESS, RUNS, STOPS
from tests.runs import run_named
from tests.unit.test_costs import metered
from tests.unit.test_results import HEADER, planned, scored
from tests.unit.test_scored_anew import HOME, R, World
from tests.unit.test_settling import ANSWER, report
from tests.unit.test_stopping import SAMPLES, may_stop, right, stopped

OTHER = run_named("another")


def test_a_run_over_waits_for_the_reports_that_the_log_has_of_it(tmp_path: Path) -> None:
    """Scores may be read first: its attempts, energy and environment are in its one result; also of attempts after one that failed."""
    world = World(tmp_path)
    first, *rest = [world.log.write(one) for one in (
        report("failed", 5), report("loading", 10, attempt=2), report("finished", 20, attempt=2, done=2),
    )]  # fmt: skip
    meters = (metered(1, 50, ANSWER, attempt=2), metered(2, 950, ANSWER, attempt=2))
    world.say(planned(R, samples=2), *meters, scored(R, 0, 1.0), scored(R, 1, 0.0))
    for records in ([first], rest[:1]):
        assert (world.results, [*world.state.runs.runs]) == ([], [R])
        asyncio.run(world._say(records))
    (running,) = world.results
    assert not running.final
    asyncio.run(world._say(rest[1:]))
    result = world.results[-1]
    told = [(one.attempt, one.last_us - one.first_us, one.energy_uj) for one in result.attempts]
    assert (len(world.results), result.final, told, result.environment_sha) == (2, True, [(1, 0, None), (2, 10, 900)], "env-echo")
    assert world.state.runs.runs == {}


def test_a_run_over_waits_for_the_readings_that_the_log_has_of_an_attempt_that_was_cut_off(tmp_path: Path) -> None:
    """It said never how many there are: what it took belongs to the run's energy, and its cost, all the same."""
    world = World(tmp_path)
    meters = [world.log.write(metered(at, shown, ANSWER)) for at, shown in ((1, 50), (2, 950))]
    world.say(
        planned(R, samples=1), report("loading", 5), report("loading", 10, attempt=2), report("finished", 20, attempt=2, done=1),
        scored(R, 0, 1.0),
    )  # fmt: skip
    assert (world.results, [*world.state.runs.runs]) == ([], [R])
    asyncio.run(world._say(meters))
    assert [(one.final, [used.energy_uj for used in one.attempts]) for one in world.results] == [(True, [900, None])]


def test_a_run_is_final_though_others_report_behind_what_was_read(tmp_path: Path) -> None:
    """Nothing of its own lies there."""
    world = World(tmp_path)
    own, _other = (
        world.log.write(one, partition=HOME)
        for one in (report("finished", 20, done=1), report("running", 5).model_copy(update={"run_id": OTHER}))
    )
    asyncio.run(world._say([own, *map(world.log.write, (planned(R, samples=1), scored(R, 0, 1.0)))]))
    assert world.read[JOB_STATUS.name, HOME] == 1
    assert [one.final for one in world.results] == [True]


def test_a_cancelled_run_waits_for_its_reports_too(tmp_path: Path) -> None:
    """What it used counts whatever became of it."""
    world = World(tmp_path)
    reports = [world.log.write(one) for one in (report("loading", 10), report("cancelled", 30))]
    world.say(planned(R, samples=2), RunChanged(**HEADER, run_id=R, state="cancelled"))
    assert world.results == []
    asyncio.run(world._say(reports))
    assert [(one.final, [used.last_us for used in one.attempts]) for one in world.results] == [(True, [30])]


def test_a_step_of_the_settlers_own_counts_where_it_lies_in_the_log(tmp_path: Path) -> None:
    """A cancellation lies before it, which was not read yet: the run is cancelled, as all who read the log have it, and on no board."""
    world = World(tmp_path)
    world.say(planned(R, samples=2), report("finished", 20, done=2), scored(R, 0, 1.0))
    world.log.write(RunChanged(**HEADER, run_id=R, state="cancelled", reason_code="cancelled"))
    world.say(scored(R, 1, 0.0))
    steps = [record.event for record in world.log.records[RUNS.name, HOME] if isinstance(record.event, RunChanged)]
    assert [one.state for one in steps] == ["planned", "cancelled", "completed"]
    assert [(one.state, one.final) for one in world.results] == [(state_of(steps), True)] == [("cancelled", True)]
    assert (world.state.runs.runs, dict(world.books().boards)) == ({}, {})


def test_a_step_that_has_not_come_back_is_said_once(tmp_path: Path) -> None:
    """However often the run is looked at meanwhile."""
    world = World(tmp_path)

    async def act() -> None:
        for event in (planned(R, samples=1), scored(R, 0, 1.0), scored(R, 0, 1.0), report("finished", 20, done=1)):
            await world.settling.fold(world.state, world.log.write(event))
            await world.settling.say(world.state, HOME)
            await asyncio.gather(*world.state.busy.values())

    asyncio.run(act())
    steps = [record.event for record in world.log.records[RUNS.name, HOME] if isinstance(record.event, RunChanged)]
    assert ([one.state for one in steps], world.results) == (["planned", "completed"], [])


def test_a_failure_that_is_read_before_it_is_acknowledged_has_its_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Producer and reader have connections of their own: which hears first is chance. Nothing else may come of the run."""
    world = World(tmp_path)

    def broken(*_: object, **__: object) -> None:
        raise TypeError("planted")

    async def publish(event: Event) -> object:
        record = world.log.write(event)
        if isinstance(event, RunChanged):
            await world.settling.fold(world.state, record)
            await world.settling.say(world.state, HOME)
        return record.place

    async def act() -> None:
        for event in (planned(R, samples=1), scored(R, 0, 1.0)):
            await world.settling.fold(world.state, world.log.write(event))
        await world.settling.say(world.state, HOME)
        await asyncio.gather(*world.state.busy.values())

    monkeypatch.setattr(results, "scored", broken)
    monkeypatch.setattr(world.log, "publish", publish)
    asyncio.run(act())
    assert [(one.state, one.final) for one in world.results] == [("failed", True)]
    assert (world.state.runs.runs, world.state.touched) == ({}, set())


def test_of_two_workers_stops_the_first_in_the_log_holds(tmp_path: Path) -> None:
    """The other was said by a worker that lost the partition, and has not been read: another scorer's scores may have come since."""
    world = World(tmp_path)
    world.log.write(stopped(100))
    order = stopping.order("build-t", SAMPLES)
    asyncio.run(world._say([world.log.write(event) for event in (may_stop(), *(scored(R, n, right(n)) for n in order))]))
    said = [record.event for record in world.log.records[STOPS.name, HOME]]
    assert len(said) == 2 and said[0] != said[1]
    (result,) = world.results
    assert [task.documents for task in result.tasks] == [100]


def test_where_a_task_stands_is_said_again_when_more_of_it_is_scored(tmp_path: Path) -> None:
    """Not because another task of the run moved: of a thousand tasks each second nearly all stand as they did."""
    world = World(tmp_path)
    said = list[list[Event | None]]()
    for event in (planned(R, samples=3, tasks=("t", "u")), scored(R, 0, 1.0), scored(R, 0, 1.0, task="u"), scored(R, 1, 1.0, task="u")):
        world.say(event)
        run = world.state.runs.run(R)
        world.state.said.setdefault(R, Said()).next_s.clear()
        asyncio.run(world.settling._progress(world.state, run))
        said.append([record.event for record in world.log.records[PROGRESS.name, HOME]][sum(map(len, said)) :])
    assert [[(one.task, one.scored) for one in each if isinstance(one, RunProgressed)] for each in said] == [
        [], [("t", 1)], [("u", 1)], [("u", 2)]
    ]  # fmt: skip
