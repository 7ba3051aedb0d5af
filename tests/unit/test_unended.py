"""Whose agent is gone from a run that is over: it is said for it, by whoever has the pool by then, so that the run's result is final."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from agents.decided import event_of
from agents.dispatch import Dispatcher
from infra.kafka import Log
from infra.settings import Settings
from schemas.event import Event
from schemas.jobs import JobChanged, Running
from schemas.runs import RunState
from streams.queue.clocks import Moment
from streams.queue.deciding import decide
from streams.queue.dispatch import Pool
from streams.queue.keeping import dumped, loaded, picture
from streams.queue.leases import Vanish
from streams.settling.runs import OpenRuns
from streams.topics import DISPATCHERS, RUNS
from tests.in_memory import InMemory
from tests.pool import RUN, SECOND, Told, beat, changed, job, planned, ran, released, took

WORK = job(f"{RUN}/t/0/0")
GONE = Vanish(RUN, WORK.job_id, 1, ("a",), "local", "organisation")
AT_IT = beat("a", sequence=1, running=(Running(job_id=WORK.job_id, attempt=1),))
PAST: tuple[Event, ...] = (ran("planned"), planned(WORK), released(WORK), ran("running"), changed(WORK, "loading"))


def vanished(pool: Pool, at_us: int) -> list[Vanish]:
    """Whom the pool gives up when both clocks say so."""
    return [one for one in decide(pool, Moment(at_us, at_us)) if isinstance(one, Vanish)]


def said(decision: Vanish) -> JobChanged:
    """The event that says so."""
    event = event_of(decision, pool="default", term=0)
    assert isinstance(event, JobChanged)
    return event


@pytest.mark.parametrize("end", ["cancelled", "completed", "failed"])
def test_an_agent_that_fell_silent_at_a_run_that_is_over_is_given_up_and_the_run_is_final(end: RunState) -> None:
    """While its run goes on its lease is lost and another attempt follows; once it is over nothing follows, and the settler would wait."""
    told, runs = Told().takes(0).tell(*PAST, ran(end), AT_IT, at_us=SECOND), OpenRuns()
    for offset, event in enumerate((*PAST, ran(end))):
        runs.fold(event, offset=offset)
    assert not vanished(told.pool, 9 * SECOND) and not runs.run(RUN).final
    assert vanished(told.pool, 9 * SECOND + 1) == [GONE]
    told.tell(said(GONE))
    runs.fold(said(GONE))
    assert not vanished(told.pool, 20 * SECOND) and runs.run(RUN).final
    assert (said(GONE).state, said(GONE).agent_id) == ("cancelled", "")


def test_who_says_how_it_ended_or_is_at_it_still_is_not_given_up() -> None:
    """Nor is one whose job another attempt has taken over, nor anybody of a run that goes on."""
    assert not vanished(Told().tell(*PAST).pool, 60 * SECOND)
    assert not vanished(Told().tell(*PAST, changed(WORK, "cancelled"), ran("cancelled")).pool, 60 * SECOND)
    assert not vanished(Told().tell(*PAST, ran("cancelled")).tell(AT_IT, at_us=55 * SECOND).pool, 60 * SECOND)
    later = (changed(WORK, "loading", attempt=2), changed(WORK, "running"), changed(WORK, "finished", attempt=2))
    assert not vanished(Told().tell(*PAST, *later, ran("completed")).pool, 60 * SECOND)


def test_of_two_agents_at_one_attempt_both_must_be_gone() -> None:
    """A dispatcher that was deposed had leased it to one of them."""
    other = changed(WORK, "loading").model_copy(update={"agent_id": "b"})
    told = Told().tell(*PAST, other, ran("cancelled")).tell(AT_IT, at_us=55 * SECOND)
    assert not vanished(told.pool, 60 * SECOND)
    assert [one.agents for one in vanished(told.pool, 70 * SECOND)] == [("a", "b")]


def test_whoever_takes_the_pool_later_says_it_too() -> None:
    """From a snapshot, where the run's end was read before all else, and after it listened for as long as a lease lasts."""
    kept = loaded(dumped(picture(Told().tell(*PAST, ran("cancelled")).pool)), Pool("default"))
    for pool in (kept, Told(said={RUN}).tell(ran("planned"), ran("cancelled"), *PAST).pool):
        pool.listens(now_us=100 * SECOND)
        assert not vanished(pool, 108 * SECOND)
        assert vanished(pool, 108 * SECOND + 1) == [GONE]


def test_a_dispatcher_that_begins_after_all_of_it_reads_what_a_run_that_is_over_reported(tmp_path: Path) -> None:
    """It passes over what else lies of that run, for that is much."""
    log, first = InMemory(), (RUNS.name, DISPATCHERS.name)
    for event in (took(begins=(0,) * 4), *PAST, ran("cancelled")):
        log.write(event)
    dispatcher = Dispatcher(cast(Log, cast(Any, log)), Settings(home=tmp_path))
    every = sorted((record for records in log.records.values() for record in records), key=lambda one: one.place.topic not in first)
    dispatcher._past = {(one.place.topic, one.place.partition): one.place.offset + 1 for one in every}

    async def act() -> list[str]:
        folded: list[str] = []
        for record in every:
            if not dispatcher._passes(record.key, record.place, record.written_us):
                await dispatcher._fold(record)
                folded.append(type(record.event).__name__)
        return folded

    assert {"JobPlanned", "JobChanged"} & set(asyncio.run(act())) == {"JobChanged"}
    dispatcher.pool.listens(now_us=SECOND)
    assert vanished(dispatcher.pool, 60 * SECOND) == [GONE]
