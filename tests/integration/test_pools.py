"""A pool's processes end with the process that they work for, and take no more memory or time than they may."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from agents.building import Building
from infra.kafka import Log
from infra.pools import alone, pool
from infra.settings import Settings
from streams.errors import Invalid
from tests.flow import PATIENCE_S, until

pytestmark = pytest.mark.integration
PARENT = """
import os, time
from infra.pools import pool
if __name__ == "__main__":
    workers = pool(2)
    print(*{workers.submit(os.getpid).result() for _ in range(8)}, flush=True)
    time.sleep(60)
"""


def test_a_killed_parent_leaves_no_worker_behind(tmp_path: object) -> None:
    """SIGKILL gives it no chance to end them itself."""
    program = os.path.join(str(tmp_path), "parent.py")
    with open(program, "w") as file:
        file.write(PARENT)
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()}
    ) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert workers
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    give_up = time.monotonic() + PATIENCE_S
    while any(psutil.pid_exists(pid) for pid in workers):
        assert time.monotonic() < give_up, "a worker outlives its parent"
        time.sleep(0.05)


def text_of(length: int) -> int:
    """As a template may make one."""
    return len("a" * length)


def asleep(seconds: float) -> None:
    """As a template that loops."""
    time.sleep(seconds)


def test_a_process_that_wants_too_much_memory_is_refused_it_and_goes_on() -> None:
    """The machine has more."""
    with pool(1) as workers:
        with pytest.raises(MemoryError):
            workers.submit(text_of, 10**10).result()
        assert workers.submit(text_of, 10**6).result() == 10**6


def begun(file: Path) -> None:
    """Says that it is at work, and is for long."""
    file.touch()
    time.sleep(600)


def test_what_is_built_when_a_planner_stops_holds_it_up_no_longer(tmp_path: Path) -> None:
    """Nor what is done anew by itself."""

    async def act() -> None:
        building = Building(Log(Settings(home=tmp_path), client_id="test"), processes=1, limit_s=600.0)
        files = [tmp_path / "building", tmp_path / "alone"]
        works = [asyncio.create_task(building.run(begun, files[0])), asyncio.create_task(alone(functools.partial(begun, files[1])))]
        await asyncio.to_thread(until, lambda: all(file.exists() for file in files))
        building.close()
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    began = time.monotonic()
    asyncio.run(act())
    assert time.monotonic() - began < 60


def test_who_builds_too_long_too_large_or_to_death_is_told_so_and_others_beside_are_built(tmp_path: Path) -> None:
    """One that ends the builders' process takes the others' work with it, which is done anew."""

    async def act() -> None:
        building = Building(Log(Settings(home=tmp_path), client_id="test"), processes=1, limit_s=5.0)
        try:
            others = [asyncio.create_task(building.run(text_of, n)) for n in (10, 20)]
            for work, told in ((building.run(text_of, 10**10), "ASSAY_PROCESS_MEMORY_MB"), (building.run(asleep, 60.0), "longer than 5 s"),
                               (building.run(os._exit, 3), "ended the builder's process")):  # fmt: skip
                beside = asyncio.create_task(building.run(text_of, 30))
                with pytest.raises(Invalid, match=told):
                    await work
                assert await beside == 30
            assert await asyncio.gather(*others) == [10, 20]
        finally:
            building.close()

    asyncio.run(act())


def test_one_submitters_slow_builds_keep_no_others_waiting(tmp_path: Path) -> None:
    """Of two processes one stays with others, whatever is asked for before them."""

    async def act() -> None:
        building = Building(Log(Settings(home=tmp_path), client_id="test"), processes=2, limit_s=600.0)
        greedy, other = building.asked_by("greedy"), building.asked_by("other")
        try:
            slow = [asyncio.create_task(greedy.run(asleep, 600.0)) for _ in range(5)]
            for number in (10, 20, 30):
                assert await asyncio.wait_for(other.run(text_of, number), 120) == number
            assert not any(work.done() for work in slow)
            for work in slow:
                work.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        finally:
            building.close()

    asyncio.run(act())
