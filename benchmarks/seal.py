"""What sealing, exporting and verifying a run cost, and what they hold, at a tenth of its size and at all of it; `make bench-seal`.

One run of so many scores is written to a broker of its own. Each step is a process by itself: the sealer's sweep and its seal, the export,
the verifier. Floors of the same run: SHA-256 over the same canonical bytes, and a reader that takes the same records and decodes none.
Writes results/seal.json.
"""

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import assay_verify

from agents.seal import Sealer
from benchmarks.harness import show, write
from benchmarks.history import planned
from benchmarks.making import FROM, run_id
from benchmarks.state import environment_of, stores
from infra.exporting import export, found
from infra.kafka import Log
from infra.sealed_events import leaves
from infra.settings import Settings, of_process
from schemas.event import Event
from schemas.results import SampleScored
from schemas.runs import RunChanged
from schemas.settled import RunSettled, TaskSettled

AT_ONCE = 20_000
FLOOR = 100_000  # leaves that the floor of hashing is taken over
STEPS = ("read", "seal", "export", "verify")


def of_run(run: str, scores: int) -> Iterator[Event]:
    """What the log says of a run of so many scores."""
    head: dict[str, Any] = {"occurred_us": 1, "producer": FROM, "run_id": run}
    plan = planned("m")
    yield RunChanged(**head, state="planned", plan=plan)
    for n in range(scores):
        yield SampleScored(
            **head, task="benchmark", ordinal=n, doc_id=n, repeat=0, scorer_version="1", filter="none", metric="acc", value=1.0,
            parts_json="1.0",
        )  # fmt: skip
    yield RunChanged(**head, state="completed")
    task = TaskSettled(task="benchmark", scorer_version="1", documents=scores, figure=None)
    yield RunSettled(**head, state="completed", final=True, inputs_digest="1", changed_us=1, plan=plan, tasks=(task,))


async def load(settings: Settings, run: str, scores: int) -> None:
    """Writes the run."""
    async with Log(settings, client_id="benchmark") as log:
        await log.create_topics()
        waiting: list[Event] = []
        for event in of_run(run, scores):
            waiting.append(event)
            if len(waiting) == AT_ONCE or isinstance(event, RunSettled):
                await log.publish_all(waiting)
                waiting = []


async def sealed(settings: Settings, _run: str, _path: Path) -> dict[str, float]:
    """A sealer's first turn, which sweeps, and its second, which seals."""
    async with Log(settings, client_id="benchmark") as log:
        sealer = Sealer(log, settings)
        await sealer.start()
        began = time.perf_counter()
        await sealer.turn()
        swept = time.perf_counter()
        await sealer.turn()
        ended = time.perf_counter()
        await sealer.save()
    return {"sweep_s": swept - began, "s": ended - swept}


async def read(settings: Settings, run: str, _path: Path) -> dict[str, float]:
    """The floors: the run's records taken and not decoded, and SHA-256 over canonical bytes."""
    async with Log(settings, client_id="benchmark") as log:
        seal = (await found(log, settings, of=run)).seal
        assert seal is not None
        began, count = time.perf_counter(), 0
        async with aclosing(log.messages(seal.stretches)) as messages:
            async for _ in messages:
                count += 1
        took_s = time.perf_counter() - began
        assert count == seal.events
        some = []
        async with aclosing(leaves(log, run, seal.stretches)) as told:
            async for leaf, _ in told:
                some.append(leaf)
                if len(some) == FLOOR:
                    break
    began = time.perf_counter()
    for leaf in some:
        hashlib.sha256(leaf).digest()
    return {"s": took_s, "sha256_per_s": len(some) / (time.perf_counter() - began), "leaf_bytes": sum(map(len, some)) / len(some)}


async def exported(settings: Settings, run: str, path: Path) -> dict[str, float]:
    """The run as a file."""
    async with Log(settings, client_id="benchmark") as log:
        began = time.perf_counter()
        await export(log, settings, run, path, private=False)
        return {"s": time.perf_counter() - began}


async def verified(_settings: Settings, _run: str, path: Path) -> dict[str, float]:
    """The file, checked."""
    began = time.perf_counter()
    verdict = assay_verify.verify(path)
    assert verdict.valid, verdict.reasons
    return {"s": time.perf_counter() - began}


def step(name: str, settings: Settings, run: str, path: Path) -> dict[str, float]:
    """A step in a process of its own: its figures, with the most memory that it held, in MiB."""
    command = [sys.executable, "-m", "benchmarks.seal", "--step", name, "--run", run, "--file", str(path)]
    told = subprocess.run(command, env=environment_of(settings), stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(told.stdout.splitlines()[-1]))


def measured(settings: Settings, run: str, scores: int, path: Path) -> dict[str, dict[str, float]]:
    """All steps over a run of so many scores."""
    asyncio.run(load(settings, run, scores))
    told = {name: step(name, settings, run, path) for name in ("seal", "read", "export", "verify")}
    for one in told.values():
        one["events_per_s"] = round(scores / one["s"])
    told["export"]["bytes"] = path.stat().st_size
    path.unlink()
    floor = round(told["read"]["sha256_per_s"])
    rows = [{"step": name, "s": told[name]["s"], "events/s": told[name]["events_per_s"], "MiB": told[name]["mib"]} for name in STEPS]
    show(f"{scores:,} events; SHA-256 alone hashes {floor:,} such events/s; the sweep before took {told['seal']['sweep_s']:.1f} s", rows)
    return told


def _most_mib() -> float:
    """The most memory that this process ever held. (What getrusage tells is its parent's, where that held more.)"""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return round(int(line.split()[1]) / 1024, 1)


def main() -> None:
    """Measures a tenth, then all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=1.0, help="millions of events of the run")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        act = {"read": read, "seal": sealed, "export": exported, "verify": verified}[asked.step]
        told = asyncio.run(act(of_process(), asked.run, asked.file))
        print(json.dumps({**told, "mib": _most_mib()}))
        return
    whole = round(asked.millions * 1e6)
    with tempfile.TemporaryDirectory() as folder, stores(Path(folder)) as settings:
        file = Path(folder) / "run.zip"
        tenth = measured(settings, run_id(1), whole // 10, file)
        all_of_it = measured(settings, run_id(2), whole, file)
    ratios = {name: round(all_of_it[name]["mib"] / tenth[name]["mib"], 2) for name in STEPS}
    write("seal", {"events": whole, "tenth": tenth, "whole": all_of_it, "memory_whole_to_tenth": ratios})


if __name__ == "__main__":
    main()
