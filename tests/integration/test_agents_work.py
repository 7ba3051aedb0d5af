"""Jobs through a real dispatcher and real agents, with the echo engine: all answered, nothing lost, nothing counted twice."""

import asyncio
import os
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from uuid6 import uuid7

from infra.identity import now_us, producer
from infra.kafka import Log
from infra.partitioning import partition_for
from infra.settings import Settings
from schemas.builds import BuiltRequest, SampleBuilt
from schemas.event import Event, Text
from schemas.jobs import AgentBeat, BuildPlace, DispatcherBeat, DispatcherTook, Job, JobChanged, JobPlanned, JobReleased
from schemas.measurements import SampleAnswered
from schemas.requests import CancellationRequested, Chat, EngineChoice, ModelRef
from schemas.runs import RunChanged
from streams.topics import ANSWERS, DISPATCHER_BEATS, DISPATCHERS, HEARTBEATS, JOB_PARTITIONS, JOB_STATUS, RUNS, Topic, jobs_topic
from tests.conftest import end, free_ports, spawn
from tests.flow import PATIENCE_S

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PATIENT_US = 60_000_000  # how soon it is where nothing else runs is a benchmark's matter


@contextmanager
def children(stack: Settings, *, agents: int = 1) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A dispatcher and agents, as users run them, of a pool of their own."""
    names = [f"agent-{number}" for number in range(agents)]
    running = {"dispatch": spawn("agents", "dispatch", settings=stack)}
    running |= {name: spawn("gpu_agent", settings=stack.model_copy(update={"agent_id": name})) for name in names}
    try:
        yield running
    finally:
        for child in running.values():
            end(child)


@pytest.fixture
def pool(stack: Settings) -> Settings:
    """The stack with a fresh pool."""
    return stack.model_copy(update={"pool": f"pool-{uuid.uuid4().hex[:8]}"})


def planned(pool: Settings, *, run_id: str, place: BuildPlace, first: int, count: int, options: dict[str, str]) -> JobPlanned:
    """The plan of a job on a stretch of the build."""
    job = Job(
        run_id=run_id, job_id=f"{run_id}/t/0/{first}", kind="answer", pool=pool.pool, submitter="test", organisation_id="local", priority=0,
        model=ModelRef(uri="echo"), engine=EngineChoice(name="echo", options=options), chat=Chat(), build=place,
        first_ordinal=first, count=count,
    )  # fmt: skip
    return JobPlanned(occurred_us=now_us(), producer=producer("test"), pool=pool.pool, job_id=job.job_id, run_id=run_id, job=job)


async def plan(log: Log, pool: Settings, *, samples: int, jobs: int, options: dict[str, str] | None = None) -> str:
    """Publishes a build and a run of it; returns the run's id."""
    build_id, run_id = uuid.uuid4().hex, str(uuid7())
    built = [
        SampleBuilt(
            occurred_us=now_us(), producer=producer("test"), build_id=build_id, ordinal=n, doc_id=n, document=Text.plain("{}"),
            requests=(BuiltRequest(request_type="loglikelihood", context=Text.plain(f"q{n}"), continuation=Text.plain(" a")),),
            arguments_sha=f"{n}",
        )
        for n in range(samples)
    ]  # fmt: skip
    places = await log.publish_all(built)
    place = BuildPlace(
        build_id=build_id, task="t", partition=places[0].partition, first_offset=places[0].offset, last_offset=places[-1].offset
    )
    size = samples // jobs
    await log.publish(RunChanged(occurred_us=now_us(), producer=producer("test"), run_id=run_id, state="planned"))
    await log.publish_all(
        planned(pool, run_id=run_id, place=place, first=number * size, count=size, options=options or {}) for number in range(jobs)
    )
    return run_id


async def seen(log: Log, topic: Topic, run_id: str) -> list[Event]:
    """A run's events on a topic so far."""
    return [record.event async for record in log.read([topic]) if record.event and getattr(record.event, "run_id", "") == run_id]


async def until(log: Log, topic: Topic, run_id: str, *, holds: Callable[[list[Event]], bool]) -> list[Event]:
    """The run's events on a topic once they are as wanted."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        events = await seen(log, topic, run_id)
        if holds(events):
            return events
        await asyncio.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE_S} s: {len(events)} events on {topic.name}, the last {events[-1:]}")


async def until_heard(log: Log, pool: Settings, *agents: str) -> None:
    """Waits until these agents of the pool have said that they are there."""
    missing = set(agents)
    async with asyncio.timeout(PATIENCE_S):
        async for record in log.follow([HEARTBEATS]):
            if isinstance(record.event, AgentBeat) and record.event.pool == pool.pool:
                missing.discard(record.event.agent_id)
            if not missing:
                return


def finished(jobs: int) -> Callable[[list[Event]], bool]:
    """That many jobs have finished."""
    return lambda events: len({event.job_id for event in events if isinstance(event, JobChanged) and event.state == "finished"}) == jobs


def answered(events: list[Event]) -> Counter[int]:
    """How often each ordinal was answered."""
    return Counter(event.ordinal for event in events if isinstance(event, SampleAnswered))


def test_two_agents_share_a_run_and_answer_each_sample_once(pool: Settings) -> None:
    """Every sample is answered, once; both agents had a part; the run was said to run."""

    async def act() -> None:
        with children(pool, agents=2):
            async with Log(pool, client_id="test") as log:
                await until_heard(log, pool, "agent-0", "agent-1")  # else one of them might have done all of it
                run_id = await plan(log, pool, samples=80, jobs=8, options={"delay_ms": "10"})
                status = await until(log, JOB_STATUS, run_id, holds=finished(8))
                assert answered(await seen(log, ANSWERS, run_id)) == Counter(range(80))
                assert {event.agent_id for event in status if isinstance(event, JobChanged)} == {"agent-0", "agent-1"}
                steps = await until(log, RUNS, run_id, holds=lambda events: len(events) > 1)
                assert [event.state for event in steps if isinstance(event, RunChanged)] == ["planned", "running"]

    asyncio.run(act())


def test_an_agent_that_is_killed_loses_nothing(pool: Settings) -> None:
    """The other takes over; ids are counted once, and only a few samples are answered again."""

    async def act() -> None:
        with children(pool, agents=2) as running:
            async with Log(pool, client_id="test") as log:
                run_id = await plan(log, pool, samples=400, jobs=4, options={"delay_ms": "10"})
                await until(log, ANSWERS, run_id, holds=lambda events: len(events) > 60)
                os.kill(running["agent-0"].pid, signal.SIGKILL)
                await until(log, JOB_STATUS, run_id, holds=finished(4))
                events = await seen(log, ANSWERS, run_id)
                assert set(answered(events)) == set(range(400))
                assert len({event.event_id for event in events}) == 400
                assert len(events) - 400 <= 150

    asyncio.run(act())


def test_a_standby_takes_over_from_one_that_died_or_left_and_from_nobody_else(pool: Settings) -> None:
    """It follows and waits; once the active one is killed leases go on, and so they do when it leaves. Nothing is lost."""
    pool = pool.model_copy(update={"lease_s": 60.0})  # no agent is lost here, however slow it is

    async def act() -> None:
        with children(pool) as running:
            async with Log(pool, client_id="test") as log:
                run_id = await plan(log, pool, samples=240, jobs=120, options={"delay_ms": "150"})
                await until(log, ANSWERS, run_id, holds=lambda events: len(events) > 4)
                running["standby"] = await standby(pool)
                await until_beats(log, pool, more=6)
                assert len(await terms(log, pool)) == 1

                running["dispatch"].kill()
                killed_us = now_us()
                assert await leased_again_us(log, pool, term=1) - killed_us < PATIENT_US
                running["third"] = await standby(pool)
                await until_beats(log, pool, more=3)
                assert len(await terms(log, pool)) == 2

                running["standby"].terminate()
                told_us = now_us()
                assert await leased_again_us(log, pool, term=2) - told_us < PATIENT_US
                await until(log, JOB_STATUS, run_id, holds=finished(120))
                assert set(answered(await seen(log, ANSWERS, run_id))) == set(range(240))
                attempts = [event.attempt for event in await seen(log, JOB_STATUS, run_id) if isinstance(event, JobChanged)]
                assert set(attempts) == {1}

    asyncio.run(act())


def test_a_dispatcher_that_did_not_run_takes_nobody_for_silent(pool: Settings) -> None:
    """It was stopped for longer than a lease, while its agent worked on: the only attempt that the job has goes on."""
    pool = pool.model_copy(update={"max_attempts": 1})

    async def act() -> None:
        with children(pool) as running:
            async with Log(pool, client_id="test") as log:
                run_id = await plan(log, pool, samples=200, jobs=1, options={"delay_ms": "100"})
                await until(log, ANSWERS, run_id, holds=lambda events: len(events) > 4)
                running["dispatch"].send_signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(pool.lease_s + 3)  # the stop itself: nothing to wait for
                finally:
                    running["dispatch"].send_signal(signal.SIGCONT)
                status = await until(log, JOB_STATUS, run_id, holds=lambda events: any(_ended(event) for event in events))
                assert [(event.state, event.attempt) for event in status if isinstance(event, JobChanged) and _ended(event)] == [
                    ("finished", 1)
                ]

    asyncio.run(act())


def test_terms_that_nobody_took_void_nothing_and_take_nothing(pool: Settings) -> None:
    """They are sent while a run is at work, to every partition; its dispatcher keeps the pool, and its agent goes on taking leases.

    A `DispatcherTook` where the pool's key does not lie is no term of the pool's.
    """
    pool = pool.model_copy(update={"lease_s": 60.0})  # no agent is lost here, however slow it is
    huge = 2**63 - 1

    async def act() -> None:
        with children(pool):
            async with Log(pool, client_id="test") as log:
                run_id = await plan(log, pool, samples=60, jobs=30, options={"delay_ms": "100"})
                await until(log, ANSWERS, run_id, holds=lambda events: len(events) > 4)
                took = DispatcherTook(occurred_us=now_us(), producer=producer("test"), pool=pool.pool, nonce="forged")
                count = (await log.partitions([DISPATCHERS]))[DISPATCHERS.name]
                home = partition_for(pool.pool.encode(), count)
                await asyncio.gather(*(log.publish_to(took, partition=other) for other in range(count) if other != home))
                beat = DispatcherBeat(
                    occurred_us=now_us(), producer=producer("test"), pool=pool.pool, term=huge, sequence=huge, leaving=True
                )
                mark = JobReleased(occurred_us=now_us(), producer=producer("test"), pool=pool.pool, term=huge, kind="mark")
                await log.publish(beat)
                await asyncio.gather(*(log.publish_to(mark, partition=one) for one in range(JOB_PARTITIONS)))
                status = await until(log, JOB_STATUS, run_id, holds=finished(30))
                assert {event.attempt for event in status if isinstance(event, JobChanged)} == {1}
                assert len(await terms(log, pool)) == count

    asyncio.run(act())


def _ended(event: Event) -> bool:
    return isinstance(event, JobChanged) and event.state in ("finished", "failed")


async def standby(pool: Settings) -> subprocess.Popen[bytes]:
    """Another dispatcher of the pool, once it follows the log."""
    own = pool.model_copy(update={"metrics": f"127.0.0.1:{free_ports(1)[0]}"})
    child = spawn("agents", "dispatch", settings=own)
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=f"http://{own.metrics}", timeout=60) as process:
        while True:
            with suppress(httpx.HTTPError):
                if (await process.get("/readyz")).is_success:
                    return child
            await asyncio.sleep(0.1)


async def terms(log: Log, pool: Settings) -> list[int]:
    """The terms of the pool, in their order."""
    records = [record async for record in log.read([DISPATCHERS])]
    return [record.place.offset for record in records if isinstance(record.event, DispatcherTook) and record.event.pool == pool.pool]


async def until_beats(log: Log, pool: Settings, *, more: int) -> None:
    """Waits until the pool's dispatchers have said so often again that they live: for as many seconds."""
    async with asyncio.timeout(PATIENCE_S):
        async for record in log.follow([DISPATCHER_BEATS], since=await log.ends([DISPATCHER_BEATS])):
            more -= isinstance(record.event, DispatcherBeat) and record.event.pool == pool.pool
            if not more:
                return


async def leased_again_us(log: Log, pool: Settings, *, term: int) -> int:
    """When the first lease was written by the dispatcher of the pool's term of that number, from 0."""
    async with asyncio.timeout(PATIENCE_S):
        async for record in log.follow([jobs_topic(pool.pool)]):
            event = record.event
            if isinstance(event, JobReleased) and event.kind == "release" and [event.term] == (await terms(log, pool))[term : term + 1]:
                return record.written_us
    raise AssertionError


@pytest.mark.parametrize(
    ("fail", "attempts", "code"), [("load", 1, "asked-to-fail"), ("oom", 2, "out-of-memory"), ("crash", 2, "engine-died")]
)
def test_what_fails_fails_its_run_with_the_reason(pool: Settings, fail: str, attempts: int, code: str) -> None:
    """A permanent failure at once, a temporary one after the last attempt; a crash of the engine is a failed attempt."""

    async def act() -> None:
        with children(pool.model_copy(update={"max_attempts": 2})):
            async with Log(pool, client_id="test") as log:
                run_id = await plan(log, pool, samples=4, jobs=1, options={"fail": fail})
                steps = await until(log, RUNS, run_id, holds=lambda events: len(events) == 3)
                assert [step.state for step in steps if isinstance(step, RunChanged)] == ["planned", "running", "failed"]
                assert getattr(steps[-1], "reason_code", "") == code
                status = [event for event in await seen(log, JOB_STATUS, run_id) if isinstance(event, JobChanged)]
                assert (status[-1].final, max(event.attempt for event in status)) == (True, attempts)

    asyncio.run(act())


def test_a_cancelled_run_stops_and_keeps_what_it_has(pool: Settings) -> None:
    """The agent drops the job and says so; its answers stay; it is free for the next."""

    async def act() -> None:
        with children(pool):
            async with Log(pool, client_id="test") as log:
                run_id = await plan(log, pool, samples=1000, jobs=1, options={"delay_ms": "100"})
                await until(log, ANSWERS, run_id, holds=lambda events: len(events) > 10)
                await log.publish(CancellationRequested(occurred_us=now_us(), producer=producer("test"), run_id=run_id, by="me"))
                await until(log, JOB_STATUS, run_id, holds=lambda events: any(getattr(e, "state", "") == "cancelled" for e in events))
                assert 10 < len(await seen(log, ANSWERS, run_id)) < 1000
                following = await plan(log, pool, samples=4, jobs=1)
                await until(log, JOB_STATUS, following, holds=finished(1))

    asyncio.run(act())
