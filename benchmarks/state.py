"""What a processor's start costs and holds, with a long history behind it and with a tenth of it; `make bench-state`.

The history is that of finished runs, each with its scores, readings, timings, job reports and result, and a few open ones; MILLIONS=10
writes ten million scores and readings, two million timings, a million reports and 5,000 runs, and less in proportion. Each processor is
started alone, first without a snapshot, then with the one that it left: the seconds until it says that it is ready, of wall and of
processor time (others share the machine), and its memory then.
The floor of the same run is a reader that takes the same records from the log and decodes none.

Then `settle`, without a snapshot and over two million events where there are so many, as 1, 2 and 4 workers that share the partitions: the
processor time of all of them, beside what so many take to start. And two dispatchers, of which the active one is killed while a job waits:
the seconds until the other has taken the pool, and until it has leased the job. Writes results/state.json.
"""

import argparse
import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.harness import show, write
from benchmarks.history import SCORES, load, of_run
from benchmarks.making import FROM
from infra.embedded.processes import free_address
from infra.kafka import Log
from infra.settings import Settings
from schemas.jobs import AgentBeat, DispatcherTook, JobPlanned, JobReleased
from schemas.runs import RunChanged
from streams.settling.runs import INPUTS
from streams.topics import DISPATCHERS, RESULTS, RUN_SCORES, jobs_topic

PROCESSORS = ("plan", "dispatch", "settle", "rank", "cost")
COMPANY = (1, 2, 4)
ENOUGH = 2_000_000  # events, beside which a start is small
PATIENCE_S = 3600.0
WAITING = 9_999_999  # the number of the run whose job waits for a dispatcher


@contextmanager
def stores(home: Path) -> Iterator[Settings]:
    """Settings of a broker and a registry of its own."""
    settings = Settings(home=home, kafka=free_address(), registry=f"http://{free_address()}", snapshot_s=1.0)
    quiet = subprocess.DEVNULL
    children = [
        subprocess.Popen([sys.executable, "-m", f"infra.embedded.{name}"], env=environment_of(settings), stdout=quiet, stderr=quiet)
        for name in ("broker", "registry")
    ]
    try:
        yield settings
    finally:
        for child in children:
            child.terminate()
            child.wait(60)


def forget(settings: Settings) -> None:
    """Throws all snapshots away."""
    shutil.rmtree(settings.home / "snapshots", ignore_errors=True)


@contextmanager
def running(name: str, settings: Settings, *, count: int = 1) -> Iterator[list[psutil.Process]]:
    """So many workers of a processor, once all of them are ready; afterwards they are ended gently."""
    told = [settings.model_copy(update={"metrics": free_address()}) for _ in range(count)]
    began = time.perf_counter()
    children = [subprocess.Popen([sys.executable, "-m", "agents", name], env=environment_of(one)) for one in told]
    try:
        while not all(map(_ready, told)):
            assert all(child.poll() is None for child in children), f"agents.{name} has ended"
            assert time.perf_counter() - began < PATIENCE_S
            time.sleep(0.05)
        yield [psutil.Process(child.pid) for child in children]
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
        for child in children:
            child.wait(120)


def started(name: str, settings: Settings) -> dict[str, float]:
    """A processor's start: seconds of wall and of processor time until it is ready, and its MiB then."""
    began = time.perf_counter()
    with running(name, settings) as (process,):
        took_s, memory = time.perf_counter() - began, process.memory_info().rss
        return {"s": round(took_s, 3), "cpu_s": _cpu_s(process), "mib": round(memory / 2**20, 1)}


def in_company(settings: Settings, *, start_s: float) -> list[dict[str, float]]:
    """`settle` without a snapshot, as several workers: the processor time of all until all are ready, and beyond that of starting each."""
    rows = []
    for count in COMPANY:
        forget(settings)
        with running("settle", settings, count=count) as workers:
            whole_s = sum(map(_cpu_s, workers))
            rows.append({"workers": count, "cpu_s": round(whole_s, 2), "beyond_starting_cpu_s": round(whole_s - count * start_s, 2)})
    return rows


def taken_over(settings: Settings) -> dict[str, float]:
    """Seconds from a kill of the active dispatcher until its standby has taken the pool, and has leased a job that waited meanwhile."""
    with running("dispatch", settings) as (active,), running("dispatch", settings):
        return asyncio.run(_taken_over(settings, active))


async def _taken_over(settings: Settings, active: psutil.Process) -> dict[str, float]:
    """An agent is heard from the kill on: so the active one leases the job to nobody."""
    async with Log(settings, client_id="benchmark") as log:
        await log.publish_all([event for event in of_run(WAITING, finished=False) if isinstance(event, RunChanged | JobPlanned)])
        topics, took_s = (DISPATCHERS, jobs_topic(settings.pool)), None
        since = await log.ends(topics)
        active.kill()
        killed = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            beating = asyncio.create_task(_beating(log, settings))
            async for record in log.follow(topics, since=since, patience_ms=20):
                if isinstance(record.event, DispatcherTook):
                    took_s = time.perf_counter() - killed
                elif isinstance(record.event, JobReleased) and record.event.kind == "release":
                    break
        beating.cancel()
        assert took_s is not None, "it was leased by the one that was killed"
        return {"taken_s": round(took_s, 2), "leased_s": round(time.perf_counter() - killed, 2)}


async def _beating(log: Log, settings: Settings) -> None:
    """An agent that has nothing to do, for ever."""
    for sequence in itertools.count():
        beat = AgentBeat(
            occurred_us=0, producer=FROM, pool=settings.pool, agent_id="waits", incarnation=1, sequence=sequence, total_bytes=2**36,
            free_bytes=2**36,
        )  # fmt: skip
        await log.publish(beat)
        await asyncio.sleep(0.5)


def _cpu_s(process: psutil.Process) -> float:
    cpu = process.cpu_times()
    return round(cpu.user + cpu.system, 3)


def environment_of(settings: Settings) -> dict[str, str]:
    """A child's environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    return kept | {f"ASSAY_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}


def _ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"http://{settings.metrics}/readyz", timeout=2).is_success
    except httpx.HTTPError:
        return False


async def floor(settings: Settings) -> dict[str, float]:
    """Seconds in which a reader takes all records that `settle` reads, and decodes none."""
    began, count = time.perf_counter(), 0

    def passed(_key: bytes | None, _place: object) -> bool:
        nonlocal count
        count += 1
        return False

    async with Log(settings, client_id="benchmark") as log:
        topics = (*INPUTS, RESULTS, RUN_SCORES)
        async with aclosing(log.follow(topics, until=await log.ends(topics), wanted=passed)) as records:
            async for _ in records:
                pass
    took_s = time.perf_counter() - began
    return {"s": round(took_s, 3), "records": count, "records_per_s": round(count / took_s)}


def measured(settings: Settings, *, of: str) -> dict[str, Any]:
    """Each processor without and with a snapshot, and the floor."""
    told: dict[str, Any] = {"floor": asyncio.run(floor(settings))}
    for name in PROCESSORS:
        told[name] = {"without_snapshot": started(name, settings), "with_snapshot": started(name, settings)}
    rows = [
        {"processor": name, **{f"{when}, {unit}": told[name][when][unit] for when in told[name] for unit in ("s", "cpu_s", "mib")}}
        for name in PROCESSORS
    ]
    show(f"{of}; the floor reads it in {told['floor']['s']} s", rows)
    return told


def main() -> None:
    """Measures a tenth of the history, then all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--millions", type=float, default=1.0, help="millions of scores (10 is production's, and takes half an hour; 1 takes minutes)"
    )
    runs = max(10, round(parser.parse_args().millions * 1e6 / SCORES))
    with tempfile.TemporaryDirectory() as folder, stores(Path(folder)) as settings:
        tenth = asyncio.run(load(settings, runs=runs // 10))
        small = measured(settings, of=f"{tenth:,} events")
        company = in_company(settings, start_s=small["settle"]["with_snapshot"]["cpu_s"]) if tenth >= ENOUGH else []
        whole_events = tenth + asyncio.run(load(settings, runs=runs - runs // 10, first=runs // 10))
        forget(settings)
        whole = measured(settings, of=f"{whole_events:,} events")
        company = company or in_company(settings, start_s=whole["settle"]["with_snapshot"]["cpu_s"])
        takeover = taken_over(settings)
    show("settle without a snapshot, in company", company)
    show(
        "dispatchers, the active one killed",
        [{"taken over in, s": takeover["taken_s"], "a waiting job leased in, s": takeover["leased_s"]}],
    )
    ratios = {
        name: {unit: round(whole[name]["with_snapshot"][unit] / small[name]["with_snapshot"][unit], 2) for unit in ("s", "cpu_s", "mib")}
        for name in PROCESSORS
    }
    write("state", {"runs": runs, "events": whole_events, "whole": whole, "tenth": small, "whole_to_tenth": ratios,
                    "company": company, "takeover": takeover})  # fmt: skip


if __name__ == "__main__":
    main()
