"""A dispatcher's start on the real log: what was folded once need not be folded again, whoever folded it."""

import asyncio
import time
import uuid

import pytest

from agents.dispatch import Dispatcher
from infra.kafka import Log
from infra.settings import Settings
from infra.snapshots import Snapshots
from schemas.jobs import JobPlanned
from streams.queue.keeping import VERSION
from streams.topics import TOPICS, jobs_topic
from tests.flow import PATIENCE_S
from tests.pool import STAMP, job
from tests.runs import run_named

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("ends", ["once it has written", "once it is ready"])
def test_one_that_stands_by_keeps_what_it_has_folded(stack: Settings, ends: str) -> None:
    """Its snapshot is there before it ever has the pool, also where it ends within writing it; the next start begins where it ends."""
    settings = stack.model_copy(update={"pool": f"p-{uuid.uuid4().hex[:8]}", "snapshot_s": 10_000.0})
    run = run_named(settings.pool)
    planned = job(f"{run}/t/0/0", run=run).model_copy(update={"pool": settings.pool})

    async def act() -> None:
        async with Log(settings, client_id="test") as log:
            await log.create_topics((*TOPICS, jobs_topic(settings.pool)))
            await log.publish(JobPlanned(occurred_us=1, producer=STAMP, run_id=run, pool=settings.pool, job_id=planned.job_id, job=planned))
            snapshots, stopped = Snapshots(log, settings, processor="dispatch", version=VERSION), asyncio.Event()
            first, give_up = Dispatcher(log, settings), time.monotonic() + PATIENCE_S
            standing_by = asyncio.create_task(first.run(stopped))
            while not (first._caught_up if ends == "once it is ready" else await snapshots.load(settings.pool)):
                assert time.monotonic() < give_up and not standing_by.done()
                await asyncio.sleep(0)
            stopped.set()
            await standing_by
            found = await snapshots.load(settings.pool)
            assert found is not None and sum(found.offsets.values()) > 0
            second, stopped = Dispatcher(log, settings), asyncio.Event()
            await second._start()
            assert list(second.pool.entries) == [planned.job_id]
            await second._following.close()

    asyncio.run(act())


def test_one_whose_work_stands_still_beats_no_more_and_ends(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would take the pool from it."""
    settings = stack.model_copy(update={"pool": f"p-{uuid.uuid4().hex[:8]}"})

    async def act() -> None:
        async with Log(settings, client_id="test") as log:
            await log.create_topics((*TOPICS, jobs_topic(settings.pool)))
            stuck, give_up = Dispatcher(log, settings), time.monotonic() + PATIENCE_S
            running = asyncio.create_task(stuck.run(asyncio.Event()))
            while not stuck.active:
                assert time.monotonic() < give_up and not running.done()
                await asyncio.sleep(0.05)
            monkeypatch.setattr("agents.dispatch.STUCK_S", 2.0)  # before it is active, a slow machine may stand still for longer
            monkeypatch.setattr(stuck, "_decide", lambda *, tells: asyncio.Event().wait())
            with pytest.raises(RuntimeError, match="nothing was decided for 2 s while the log answered"):
                await asyncio.wait_for(running, PATIENCE_S)

    asyncio.run(act())
