"""The query API at a million samples: how long each route that pages and the command line use takes, warm.

    python -m benchmarks.api [--runs N] [--requests N]

A run has 10 tasks of 1,000 samples; all its facts (request, plan, answers, scores, figures, rankings) go in by the projector's own
insert, as do the tasks' builds and ten hours' beats of four agents. Then one client asks, route by route in turn, about runs drawn by
chance. Writes results/api.json.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, count, islice
from pathlib import Path

import httpx

from agents.project import insert_all
from benchmarks.harness import percentile, show, write
from benchmarks.making import life, run_id, surroundings
from infra.clickhouse import ClickHouse
from infra.kafka import Place, Record
from infra.settings import Settings
from streams.topics import topic_of
from tests.conftest import api_ready, end, spawn, stack_in

AIM_P99_S = 0.1
TASKS, SAMPLES, AGENTS, BEATS = 10, 1000, 4, 36_000
ROUTES = (
    "/v1/runs", "/v1/runs?state=completed&sort=model", "/v1/runs/{run}", "/v1/runs/{run}/samples", "/v1/runs/{run}/samples?task=task-3",
    "/v1/rankings", "/v1/rankings?task=task-3", "/v1/boards", "/v1/agents", "/v1/dead-letters", "/", "/runs/{run}",
)  # fmt: skip


async def load(settings: Settings, runs: range) -> None:
    """Inserts all facts of the runs; with the first run those that are no run's."""
    records = _records(runs)
    async with ClickHouse(settings) as clickhouse:
        while some := list(islice(records, 20_000)):
            await insert_all(clickhouse, some)


def _records(runs: range) -> Iterator[Record]:
    offsets = count(runs.start * 10_000_000)
    events = chain.from_iterable(life(run, tasks=TASKS, samples=SAMPLES) for run in runs)
    if runs.start == 0:
        events = chain(surroundings(tasks=TASKS, samples=SAMPLES, agents=AGENTS, beats=BEATS), events)
    for event in events:
        yield Record(Place(topic_of(event).name, 0, next(offsets)), None, b"", event.occurred_us, event)


def _loaded(settings: Settings, runs: range) -> None:
    asyncio.run(load(settings, runs))


def measure(settings: Settings, *, runs: int, requests: int) -> list[dict[str, float | str]]:
    """Median and tail of each route, in seconds, after a tenth as many requests that do not count."""
    chance, took = random.Random(1), dict[str, list[float]]({route: [] for route in ROUTES})
    with httpx.Client(base_url=settings.api, timeout=60) as client:
        for number in range(-requests // 10, requests):
            for route in ROUTES:
                began = time.perf_counter()
                client.get(route.format(run=run_id(chance.randrange(runs)))).raise_for_status()
                if number >= 0:
                    took[route].append(time.perf_counter() - began)
    return [{"route": route, "p50_s": percentile(times, 0.5), "p99_s": percentile(times, 0.99)} for route, times in took.items()]


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stack_in(Path(folder)) as settings:
        middle = given.runs // 2
        with ProcessPoolExecutor(2) as processes:
            list(processes.map(_loaded, [settings] * 2, [range(middle), range(middle, given.runs)]))
        api = spawn("query_api", settings=settings)
        try:
            api_ready(settings)
            told = measure(settings, runs=given.runs, requests=given.requests)
        finally:
            end(api)
    samples = given.runs * TASKS * SAMPLES
    write("api", {"samples": samples, "runs": given.runs, "requests": given.requests, "aim_p99_s": AIM_P99_S, "measured": told})
    show(f"Query API at {samples:,} samples, {given.requests} requests a route (aim: p99 under {AIM_P99_S:g} s)", told)


if __name__ == "__main__":
    main()
