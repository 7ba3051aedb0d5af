"""A log whose disk is full: nothing that was acknowledged is lost, whoever writes is told what to do, and it goes on when there is room."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.identity import producer
from infra.kafka import Log, Place
from infra.retrying import until_available
from schemas.requests import CancellationRequested
from streams.errors import Unavailable
from streams.topics import CANCELLATIONS
from tests.faults import Stack, faulty
from tests.runs import run_named

pytestmark = [pytest.mark.integration, pytest.mark.faults]
LARGE_BYTES = 400_000


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A broker whose log lies on a disk of 48 MiB, and the registry."""
    disk = tmp_path / "kafka" / "data"
    disk.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("no small disk without the right to mount one")
    try:
        with faulty(tmp_path) as made:
            made.start("registry", "broker")
            yield made
    finally:
        subprocess.run(["umount", disk], check=True)


def make_room(stack: Stack) -> None:
    """A larger disk."""
    subprocess.run(["mount", "-o", "remount,size=128m", stack.settings.home / "kafka" / "data"], check=True)


def event(number: int) -> CancellationRequested:
    """One that does not compress."""
    large = os.urandom(LARGE_BYTES).hex()
    return CancellationRequested(occurred_us=number, producer=producer("test"), run_id=run_named(number), by="me", trace_parent=large)


def test_a_full_disk_loses_nothing_acknowledged_and_is_gone_on_from(stack: Stack) -> None:
    """The broker ends, says why, and starts when there is room; the same connection then delivers what waited."""

    async def act() -> None:
        acknowledged: dict[Place, str] = {}
        async with Log(stack.settings, client_id="test", patience_s=5) as log:
            await until_available(log.create_topics, what="topics")
            with pytest.raises(Unavailable, match=r"nothing acknowledged for 5.* a full disk"):
                for number in range(1000):
                    acknowledged[await log.publish(event(number))] = run_named(number)
            assert len(acknowledged) > 20
            assert stack.code("broker") == 1
            stack.start("broker")
            assert stack.code("broker") == 1
            assert "MiB free; free at least 16 MiB, and the broker starts again" in stack.log_of("broker")
            await asyncio.to_thread(make_room, stack)
            stack.start("broker")
            await until_available(log.check, what="kafka")
            await until_available(lambda: log.publish(event(2000)), what="kafka")
            found = {record.place: getattr(record.event, "run_id", "") async for record in log.read([CANCELLATIONS])}
        assert {place: found.get(place) for place in acknowledged} == acknowledged
        assert {run_named(len(acknowledged)), run_named(2000)} <= set(found.values())

    asyncio.run(act())
