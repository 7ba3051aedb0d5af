"""A recommendation over 1,000 candidates as a client sees it: over HTTP, from a stack that runs, with the record of it written to the log.

    python -m benchmarks.recommending [--requests N]

125 models are scored on two tasks of 200 documents and run under a load on each of eight devices; their facts go in by the projector's own
insert. The first request reads them all; those that count come after it, each with a seed of its own, so that each is reckoned whole and is
an event of its own. Beside them the same question as the page asks it, which writes nothing. Writes results/recommending.json.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from agents.project import insert_all
from benchmarks.harness import median, percentile, show, write
from benchmarks.planted import DEVICES
from infra.clickhouse import ClickHouse
from infra.kafka import Place, Record
from infra.settings import Settings
from schemas.event import Event
from streams.topics import topic_of
from tests.conftest import api_ready, end, spawn, stack_in
from tests.measured import environment, load, planned, price, rights, run

AIM_P50_S = 0.5
MODELS = 125
TASKS = (planned("reasoning"), planned("knowledge"))
REQUIREMENT: dict[str, Any] = {
    "tasks": {"reasoning": 2, "knowledge": 1}, "floors": {"reasoning": "40 %"}, "latency": {"ttft_p95": "2 s"},
    "traffic": {"rate": "40/s", "input": "800 tokens", "output": "200 tokens"}, "prefer": {"points": {"quality": 100, "usd_per_month": 50}},
}  # fmt: skip
PAGE = {
    "tasks": "reasoning: 2, knowledge: 1", "floors": "reasoning: 40 %", "ttft_p95": "2 s", "rate": "40/s", "input": "800 tokens",
    "output": "200 tokens", "points": "quality: 100, usd_per_month: 50",
}  # fmt: skip


def facts() -> Iterator[Event]:
    """Everything that was measured: on its first device a model is scored too."""
    places = {name: environment(name) for name in DEVICES}
    yield from places.values()
    yield from (price(f"gpu_hour:{name}", usd, unit="device-hour") for name, (usd, _) in DEVICES.items())
    for model in range(MODELS):
        size = 1.0 + model / 10
        share = 0.35 + 0.45 * model / MODELS
        for n, (name, (_, bandwidth)) in enumerate(DEVICES.items()):
            rate = 60 * bandwidth / size
            scores = {task: rights(share, seed=2 * model + own) for own, task in enumerate(TASKS)} if n == 0 else {}
            speed = load(rate, ttft_s=0.05 * size / bandwidth)
            yield from run(1 + model * len(DEVICES) + n, f"org/model-{model:03}", places[name], scores=scores, speed=speed)


async def loaded(settings: Settings) -> None:
    """Inserts all facts."""
    records = chain(Record(Place(topic_of(event).name, 0, n), None, b"", event.occurred_us, event) for n, event in enumerate(facts()))
    async with ClickHouse(settings) as clickhouse:
        while some := list(islice(records, 2_000)):
            await insert_all(clickhouse, some)


def measure(settings: Settings, *, requests: int) -> dict[str, Any]:
    """What each takes, in seconds."""
    with httpx.Client(base_url=settings.api, timeout=120) as client:
        first_s, told = _timed(client, 0)
        _timed(client, 1)
        posted = [_timed(client, seed)[0] for seed in range(2, 2 + requests)]
        shown = [_shown(client) for _ in range(requests)]
    return {
        "considered": told["considered"], "contending": told["contending"], "runs_read": len(told["input_runs"]), "first_s": first_s,
        "p50_s": median(posted), "p90_s": percentile(posted, 0.9), "fastest_s": min(posted), "page_p50_s": median(shown),
    }  # fmt: skip


def _timed(client: httpx.Client, seed: int) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    answer = client.post("/v1/recommendations", json={"requirement": REQUIREMENT, "by": "benchmark", "seed": seed}).raise_for_status()
    return time.perf_counter() - began, answer.json()


def _shown(client: httpx.Client) -> float:
    began = time.perf_counter()
    client.get(f"/recommend?{urlencode(PAGE)}").raise_for_status()
    return time.perf_counter() - began


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=30)
    requests = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder, stack_in(Path(folder)) as settings:
        asyncio.run(loaded(settings))
        os.environ["OMP_NUM_THREADS"] = "1"  # as the API has it in a stack that `assay up` starts
        api = spawn("query_api", settings=settings)
        try:
            api_ready(settings, [api])
            told = measure(settings, requests=requests)
        finally:
            end(api)
    write("recommending", {"requests": requests, "aim_p50_s": AIM_P50_S, "measured": told})
    show(f"A recommendation over {told['considered']:,} candidates, over HTTP (aim: median under {AIM_P50_S:g} s)", [told])


if __name__ == "__main__":
    main()
