"""A run over whose state deciding breaks has failed, with its reason; the others are dispatched."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agents.dispatch import Dispatcher
from agents.ending import CRASHED
from infra.kafka import Ends, Log, Place
from infra.settings import Settings
from infra.stumbles import SURE, Stumbles
from schemas.event import Event
from schemas.jobs import DispatcherTook, JobError, JobReleased
from schemas.requests import Budget
from schemas.runs import RunChanged
from streams.queue import leases
from streams.queue.clocks import Moment
from streams.queue.deciding import at_fault, decide, tidy, waits
from streams.queue.delays import Delay, busy
from streams.queue.dispatch import Pool
from streams.queue.leases import Cancel, Decision, Lease, Release
from tests.in_memory import InMemory
from tests.pool import SECOND, STAMP, Told, beat, job, planned, ran, released
from tests.processes import ended
from tests.runs import run_named

ONE, BROKEN, OTHER = (run_named(number) for number in (1, 2, 3))
LATER = Moment(20 * SECOND, 20 * SECOND)


def unlisted(pool: Pool) -> None:
    """A run at its deadline that counts a job which nobody knows."""
    pool.runs[BROKEN].job_ids.append("unknown")
    pool.runs[BROKEN].budget = Budget(deadline_us=1)


def unfounded(pool: Pool) -> None:
    """A waiting job that needs nobody knows what."""
    entry = pool.entries[f"{BROKEN}/t/0/0"]
    assert entry.job is not None
    entry.job = entry.job.model_copy(update={"need": None})
    pool.settle(entry)


def unpriced(pool: Pool) -> None:
    """A run whose budget is no number."""
    pool.runs[BROKEN].budget = Budget(s=1.0).model_copy(update={"s": "much"})
    pool.runs[BROKEN].started_us = 1


PLANTED: list[Callable[[Pool], None]] = [unlisted, unfounded, unpriced]


def three(*, broken: Callable[[Pool], None]) -> Told:
    """Three runs of a job each, one of which is broken, and two agents that just spoke."""
    told = Told()
    for run in (ONE, BROKEN, OTHER):
        told.tell(planned(job(f"{run}/t/0/0", run=run)))
    told.tell(beat("a"), beat("b"), at_us=LATER.steady_us)
    broken(told.pool)
    return told


@pytest.mark.parametrize("broken", PLANTED)
def test_the_run_that_breaks_deciding_is_found_and_the_others_are_leased(broken: Callable[[Pool], None]) -> None:
    """Whatever it breaks by; and nothing is kept of the search."""
    pool = three(broken=broken).pool
    with pytest.raises((KeyError, AttributeError, ValueError)):
        decide(pool, LATER)
    assert at_fault(pool, lambda: decide(pool, LATER)) == BROKEN
    assert pool.aside == set()
    pool.aside.add(BROKEN)
    released_ = {one.job.run_id for one in decide(pool, LATER) if isinstance(one, Release)}
    assert released_ == {ONE, OTHER}
    tidy(pool, LATER)
    assert BROKEN not in {one.run_id for one in waits(pool, Moment(LATER.steady_us + 9 * SECOND, LATER.utc_us))}


def test_an_agent_that_is_at_a_run_which_is_put_aside_gets_nothing_else_and_lets_go_once_it_has_failed() -> None:
    """As of any run that is over."""
    told = three(broken=unlisted)
    told.tell(released(job(f"{BROKEN}/t/0/0", run=BROKEN), agent="a"), at_us=LATER.steady_us)
    told.pool.aside.add(BROKEN)
    assert {one.agent_id for one in decide(told.pool, LATER) if isinstance(one, Release)} == {"b"}
    told.tell(ran("failed", run=BROKEN), at_us=LATER.steady_us)
    assert told.pool.aside == set()
    assert [one.agent_id for one in decide(told.pool, LATER) if isinstance(one, Cancel)] == ["a"]


class Read:
    """What follows a log in memory: all of it is folded at once."""

    def __init__(self, memory: InMemory, told: Told) -> None:
        self._memory, self._told, self._next = memory, told, dict[tuple[str, int], int]()

    async def until(self, _ends: Ends) -> None:
        """Folds what was written since."""
        for at, records in list(self._memory.records.items()):
            for record in records[self._next.get(at, 0) :]:
                assert record.event is not None
                self._told.tell(record.event, at_us=LATER.steady_us)
            self._next[at] = len(records)


def active(memory: InMemory, told: Told, settings: Settings | None = None) -> Dispatcher:
    """A dispatcher that has the pool."""
    dispatcher = Dispatcher(cast("Log", memory), settings or Settings())
    dispatcher.pool, dispatcher._partitions, dispatcher._acts, dispatcher._term = told.pool, 4, True, 0
    dispatcher._following = cast("Any", Read(memory, told))
    told.pool.succession.fold(DispatcherTook(occurred_us=1, producer=STAMP, pool="default", nonce="n"), offset=0, at_us=1)
    return dispatcher


def test_what_breaks_over_many_runs_at_once_is_no_runs_failure(monkeypatch: Any) -> None:
    """It ends the process, as anything that nobody expected: here it is an agent that is wrong."""
    memory, told = InMemory(), three(broken=lambda _pool: None)
    monkeypatch.setattr("agents.dispatch.moment", lambda: LATER)
    for number in range(4, 8):
        told.tell(planned(job(f"{run_named(number)}/t/0/0", run=run_named(number))))
    pool = told.pool
    assert at_fault(pool, lambda: decide(pool, LATER)) is None
    pool.crew.agents["a"].beat = pool.crew.agents["a"].beat.model_copy(update={"capabilities": None})
    with pytest.raises(TypeError):
        asyncio.run(active(memory, told)._decide(tells=True))
    assert memory.count() == 0


@pytest.mark.parametrize("broken", PLANTED)
def test_a_dispatcher_says_that_the_run_has_failed_and_leases_the_others(broken: Callable[[Pool], None], monkeypatch: Any) -> None:
    """Once, with the reason; when that is folded the run is over like any other."""
    memory, told = InMemory(), three(broken=broken)
    monkeypatch.setattr("agents.dispatch.moment", lambda: LATER)
    dispatcher = active(memory, told)
    for _ in range(3):
        asyncio.run(dispatcher._decide(tells=True))
    said = [record.event for records in memory.records.values() for record in records]
    (failed,) = (one for one in said if isinstance(one, RunChanged) and one.state == "failed")
    assert (failed.run_id, failed.reason_code) == (BROKEN, "cannot-dispatch")
    assert failed.message is not None and failed.message.startswith("its jobs cannot be dispatched: ")
    assert {one.run_id for one in said if isinstance(one, JobReleased)} == {ONE, OTHER}
    assert BROKEN not in told.pool.runs and BROKEN in told.pool.over and told.pool.aside == set()


once = leases.final_error


def hanging(lease: Lease, *, max_attempts: int) -> JobError | None:
    """Never comes to an end over one run."""
    while lease.agent_id == BROKEN:
        pass
    return once(lease, max_attempts=max_attempts)


def later() -> Moment:
    """When it is."""
    return LATER


async def decided(settings: Settings) -> list[Event]:
    """What a dispatcher says that decides once over three runs with a job each."""
    told, memory = three(broken=lambda _pool: None), InMemory()
    for run in (ONE, BROKEN, OTHER):
        told.tell(released(job(f"{run}/t/0/0", run=run), agent=run), at_us=1)
    dispatcher = active(memory, told, settings)
    dispatcher._watched()
    await dispatcher._decide(tells=False)
    return [record.event for records in memory.records.values() for record in records if record.event]


def test_a_run_over_whose_jobs_dispatchers_hang_fails_by_the_third_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stands still as deciding looks at it: which it is the watching thread tells."""
    settings = Settings(home=tmp_path, hang_s=0.5)
    planted = {"streams.queue.deciding.final_error": hanging, "agents.dispatch.moment": later}
    for starts in (1, 2):
        assert ended(decided, settings, planted=planted) == CRASHED
        assert Stumbles(settings, worker="dispatch-default").hangs(f"attended {BROKEN}") == starts * SURE
    monkeypatch.setattr("streams.queue.deciding.final_error", hanging)
    monkeypatch.setattr("agents.dispatch.moment", later)
    # In pytest's own process, which must not end where the machine stands still.
    said = asyncio.run(decided(settings.model_copy(update={"hang_s": 60.0})))
    (failed,) = (one for one in said if isinstance(one, RunChanged) and one.state == "failed")
    assert (failed.run_id, failed.reason_code) == (BROKEN, "cannot-dispatch")
    assert "the processor hung, died or was killed over it again and again" in (failed.message or "")


def test_what_took_long_to_decide_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tens of thousands of lines, on a slow machine: it was decided anew, as long each time, and never leased."""
    memory, told, now_s = InMemory(), three(broken=lambda _pool: None), [0.0]

    def slowly(pool: Pool, now: Moment) -> list[Decision]:
        now_s[0] += 3.0
        return decide(pool, now)

    monkeypatch.setattr("agents.dispatch.moment", lambda: LATER)
    monkeypatch.setattr("agents.dispatch.decide", slowly)
    monkeypatch.setattr("agents.dispatch.time", SimpleNamespace(monotonic=lambda: now_s[0], monotonic_ns=time.monotonic_ns))
    asyncio.run(active(memory, told)._decide(tells=False))
    leased = [one.event.job_id for records in memory.records.values() for one in records if isinstance(one.event, JobReleased)]
    assert len(leased) == 2


def test_what_thousands_of_runs_wait_for_is_told_between_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written for a second at most, and the rest next time: a dispatcher that decides nothing for a minute ends."""
    memory, told, now_s = InMemory(), three(broken=lambda _pool: None), [0.0]
    once = memory.publish

    async def slowly(event: Event) -> Place:
        now_s[0] += 0.6
        return await once(event)

    monkeypatch.setattr(memory, "publish", slowly)
    monkeypatch.setattr("agents.dispatch.decide", lambda _pool, _now: [])
    monkeypatch.setattr("agents.dispatch.waits", lambda _pool, _now: [Delay(run, busy(1)) for run in (ONE, BROKEN, OTHER)])
    monkeypatch.setattr("agents.dispatch.time", SimpleNamespace(monotonic=lambda: now_s[0], monotonic_ns=time.monotonic_ns))
    asyncio.run(active(memory, told)._decide(tells=True))
    assert [type(one.event).__name__ for records in memory.records.values() for one in records] == ["RunDelayed"] * 2
