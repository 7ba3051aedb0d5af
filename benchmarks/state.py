"""What a processor's start costs and holds, with a long history behind it and with a tenth of it; `make bench-state`.

The history is that of finished runs, each with its scores, readings, timings, job reports and result, and a few open ones; MILLIONS=10
writes ten million scores and readings, two million timings, a million reports and 5,000 runs, and less in proportion. Each processor is
started alone, first without a snapshot, then with the one that it left: the seconds until it says that it is ready, of wall and of
processor time (others share the machine), and its memory then.
The floor of the same run is a reader that takes the same records from the log and decodes none.

Then `settle`, without a snapshot, as 1, 2 and 4 workers that share the partitions: the processor time of all of them, beside what so many
take to start. And two dispatchers, of which the active one is killed: the seconds until the other has taken the pool. Writes
results/state.json.
"""

import argparse
import asyncio
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
from benchmarks.making import FROM, run_id
from infra.embedded.processes import free_address
from infra.kafka import Log
from infra.settings import Settings
from schemas.event import Event
from schemas.jobs import EngineUsed, EnvironmentSeen, Job, JobChanged, JobPlanned
from schemas.measurements import Clock, LoadClient, RequestTimed, ResourceRead
from schemas.requests import Chat, EngineChoice, EvaluationRequested, ModelRef, TaskChoice
from schemas.results import SampleScored
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, RunChanged
from streams.queue.bits import pack
from streams.settling import results
from streams.settling.runs import INPUTS, OpenRuns
from streams.topics import DISPATCHERS, RESULTS, RUN_SCORES

PROCESSORS = ("plan", "dispatch", "settle", "rank", "cost")
COMPANY = (1, 2, 4)
OPEN = 5
SCORES, READINGS, TIMINGS, REPORTS = 2000, 2000, 400, 200  # of a run
PATIENCE_S = 3600.0
USED = EngineUsed(name="echo", version="1", dtype="float32")
US = 1_000_000


def planned(model: str) -> Plan:
    """The plan of a run of one task."""
    task = PlannedTask(
        task="benchmark", task_version="1", build_id="benchmark", samples=SCORES, repeats=1,
        expected=(ExpectedMetric(filter="none", metric="acc"),), main_metric="acc", main_filter="none",
    )  # fmt: skip
    return Plan(
        submitter="s", model=ModelRef(uri=model), model_sha=model, tokenizer_sha="", chat_template_sha="", chat=Chat(),
        engine=EngineChoice(name="echo"), suite=None, tasks=(task,), licences=(), skipped=(), estimate=Estimate(), jobs=1,
    )  # fmt: skip


def of_run(number: int, *, finished: bool) -> Iterator[Event]:
    """All that the log says of a run, in the order in which it happens; of one that is open, the first half."""
    run, model, at = run_id(number), f"model-{number % 500}", (1 + number) * 3600 * US
    head: dict[str, Any] = {"occurred_us": at, "producer": FROM, "run_id": run}
    job_id = f"{run}/benchmark/0/0"
    choice = TaskChoice(name="benchmark")
    yield EvaluationRequested(**head, model=ModelRef(uri=model), engine=EngineChoice(name="echo"), tasks=(choice,))
    yield RunChanged(**head, state="planned", plan=planned(model))
    job = Job(
        run_id=run, job_id=job_id, kind="answer", pool="default", submitter="s", organisation_id="local", priority=0,
        model=ModelRef(uri=model), engine=EngineChoice(name="echo"), chat=Chat(), count=SCORES,
    )  # fmt: skip
    yield JobPlanned(**head, pool="default", job_id=job_id, job=job)
    yield RunChanged(**head, state="running")
    part = 1 if finished else 2
    for n in range(SCORES // part):
        yield SampleScored(
            **head, task="benchmark", ordinal=n, doc_id=n, repeat=0, scorer_version="1", filter="none", metric="acc",
            value=float((n * 7 + number) % 3 == 0), parts_json="1.0",
        )  # fmt: skip
    for n in range(READINGS // part):
        yield ResourceRead(
            **{name: head[name] for name in ("occurred_us", "producer")}, agent_id="a", host="h", boot_id="b", mono_ns=n * 10**8,
            device_uuid="d", scope="device", jobs_active=(job_id,), energy_uj=n * 100, method="counter", sensor="nvml-total-energy",
            own_cost_ns=1, attempts=(1,),
        )  # fmt: skip
    for n in range(TIMINGS // part):
        yield RequestTimed(
            **head, job_id=f"{run}/perf", attempt=1, request_index=n, phase="steady",
            clock=Clock(host="h", boot_id="b", mono_epoch_ns=0, utc_us=0, uncertainty_us=1), scheduled_ns=n, queued_ns=None, sent_ns=n,
            first_byte_ns=n + 1, ended_ns=n + 2, status="ok", prompt_tokens=1, output_tokens=1,
            client=LoadClient(lag_ns=0, pacing_error_ns=0, in_flight=1),
        )  # fmt: skip
    for n in range(REPORTS // part):
        last = finished and n == REPORTS - 1
        yield JobChanged(
            **head, pool="default", job_id=job_id, attempt=1, agent_id="a", incarnation=1, state="finished" if last else "running",
            sequence=n, done=pack(range(SCORES)) if last else b"", engine=USED, environment_sha="env",
        )  # fmt: skip
    if finished:
        yield RunChanged(**head, state="completed")


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


def ended(number: int, events: list[Event], *, through: dict[str, int]) -> list[Event]:
    """What was said of a finished run."""
    runs = OpenRuns()
    for event in events:
        runs.fold(event, offset=0)
    run = runs.run(run_id(number))
    said = results.scored(run, "benchmark", aggregate=lambda _key, parts: (sum(map(float, parts)) / len(parts), None), stamp=FROM)
    assert said is not None
    return [said, results.settled(run, {"benchmark": said}, None, through=through, stamp=FROM)]


async def load(settings: Settings, *, runs: int, first: int = 0) -> int:
    """Writes the history of so many finished runs, and the open ones; returns how many events that were."""
    count = 0
    async with Log(settings, client_id="benchmark") as log:
        await log.create_topics()
        seen = EnvironmentSeen(
            occurred_us=1, producer=FROM, sha="env", packages={}, driver=None, cpu="c", cpu_flags=(), cores=4, memory_bytes=1, devices=(),
            container_digest=None, os="o",
        )  # fmt: skip
        await log.publish(seen)
        for number in range(first, first + runs):
            events = list(of_run(number, finished=True))
            places = await log.publish_all(events)
            through = {place.topic: place.offset + 1 for place in places}
            told = ended(number, events, through=through)
            await log.publish_all(told)
            count += len(events) + len(told)
        for number in range(10**6, 10**6 + OPEN) if first == 0 else ():
            events = list(of_run(number, finished=False))
            await log.publish_all(events)
            count += len(events)
    return count


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


def taken_over(settings: Settings) -> float:
    """Seconds from a kill of the active dispatcher until its standby has taken the pool."""
    with running("dispatch", settings) as (active,), running("dispatch", settings):
        ends = asyncio.run(_terms(settings))
        active.kill()
        killed = time.perf_counter()
        while asyncio.run(_terms(settings)) <= ends:
            assert time.perf_counter() - killed < PATIENCE_S
            time.sleep(0.05)
        return round(time.perf_counter() - killed, 2)


async def _terms(settings: Settings) -> int:
    async with Log(settings, client_id="benchmark") as log:
        return sum((await log.ends([DISPATCHERS])).values())


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
    parser.add_argument("--millions", type=float, default=1.0, help="millions of scores (10 is production's; 1 takes minutes)")
    runs = max(10, round(parser.parse_args().millions * 1e6 / SCORES))
    with tempfile.TemporaryDirectory() as folder, stores(Path(folder)) as settings:
        tenth = asyncio.run(load(settings, runs=runs // 10))
        small = measured(settings, of=f"{tenth:,} events")
        whole_events = tenth + asyncio.run(load(settings, runs=runs - runs // 10, first=runs // 10))
        forget(settings)
        whole = measured(settings, of=f"{whole_events:,} events")
        company = in_company(settings, start_s=whole["settle"]["with_snapshot"]["cpu_s"])
        takeover_s = taken_over(settings)
    show("settle without a snapshot, in company", company)
    show("dispatchers", [{"the active one killed, taken over in, s": takeover_s}])
    ratios = {
        name: {unit: round(whole[name]["with_snapshot"][unit] / small[name]["with_snapshot"][unit], 2) for unit in ("s", "cpu_s", "mib")}
        for name in PROCESSORS
    }
    write("state", {"runs": runs, "events": whole_events, "whole": whole, "tenth": small, "whole_to_tenth": ratios,
                    "company": company, "takeover_s": takeover_s})  # fmt: skip


if __name__ == "__main__":
    main()
