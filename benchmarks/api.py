"""The query API at a million samples in one run: how long each route that pages and the command line use takes, warm.

    python -m benchmarks.api [--samples N] [--runs N] [--requests N] [--home FOLDER]

Two runs of ten tasks have so many samples each; the others have few, as most runs of a board have. What a run leaves behind goes in by the
projector's own insert with the first sample of each task, which the engine then repeats in blocks of 20,000 rows, as many samples as a
run has. With them stand ten hours' beats of four agents. Then one client asks, route by route in turn, once the engine has merged what
it wants to. With a folder as home, what was loaded there stays, and is measured again. Writes results/api.json.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import httpx

from agents.project import insert_all
from benchmarks.harness import percentile, show, write
from benchmarks.making import life, run_id, surroundings
from infra.clickhouse import ClickHouse
from infra.kafka import Place, Record
from infra.settings import Settings
from query_api.reading.paging import following
from query_api.reading.samples import LISTING
from query_api.routes.samples import SamplesAsked
from schemas.builds import SampleBuilt
from schemas.event import NAMESPACE, Event
from schemas.measurements import SampleAnswered
from schemas.results import SampleScored
from streams.projection import table_of
from streams.topics import topic_of
from tests.conftest import api_ready, end, spawn, stack_in

AIM_P99_S = 0.1
TASKS, AGENTS, BEATS, LARGE, BLOCK = 10, 4, 36_000, 2, 20_000
SETTLED_S = 60
# What the engine makes of a sample's event: its place, and a value of its own.
REPEATED: dict[type[Event], str] = {
    SampleBuilt: "toInt64(number) AS ordinal, toInt64(number) AS doc_id",
    SampleAnswered: "toInt64(number) AS ordinal",
    SampleScored: "toInt64(number) AS ordinal, toInt64(number) AS doc_id, toFloat64(cityHash64(run_id, task, number) % 2) AS value",
}


async def load(settings: Settings, *, samples: int, runs: int) -> None:
    """Inserts all facts; `samples` is how many each of the large runs has."""
    each = samples // TASKS
    lives = (
        life(run, tasks=TASKS, samples=each, first=1) if run < LARGE else life(run, tasks=TASKS, samples=20, first=20)
        for run in range(runs)
    )
    records = _records(chain(surroundings(tasks=TASKS, agents=AGENTS, beats=BEATS), *lives))
    async with ClickHouse(settings) as clickhouse:
        while some := list(islice(records, 20_000)):
            await insert_all(clickhouse, some)
        for task in range(TASKS):
            await _repeat(clickhouse, SampleBuilt, f"build_id = 'build-task-{task}'", each)
            for run in range(LARGE):
                for event in (SampleAnswered, SampleScored):
                    await _repeat(clickhouse, event, f"run_id = '{run_id(run)}' AND task = 'task-{task}'", each)
        await _settle(clickhouse)


def _records(events: Iterator[Any]) -> Iterator[Record]:
    for offset, event in enumerate(events):
        yield Record(Place(topic_of(event).name, 0, offset), None, b"", event.occurred_us, event)


async def _repeat(clickhouse: ClickHouse, event: type[Event], of: str, count: int) -> None:
    """Repeats the sample with ordinal 0 until there are so many, in blocks, each under the id that is derived from what it is."""
    table = table_of(event)
    kept = ", ".join(name for name in table.columns if name != "event_id")
    for first in range(1, count, BLOCK):
        numbers = f"SELECT number FROM numbers({first}, {min(BLOCK, count - first)})"
        told = f"SELECT * FROM {table.name} WHERE {of} AND ordinal = 0"
        placed = f"SELECT told.* REPLACE ({REPEATED[event]}) FROM ({told}) AS told CROSS JOIN ({numbers}) AS numbers"
        await clickhouse.command(f"INSERT INTO {table.name} (event_id, {kept}) SELECT {_derived(event)}, {kept} FROM ({placed})")


def _derived(event: type[Event]) -> str:
    """`schemas.event.derive_id` as the engine reckons it. Source: RFC 9562, section 5.5 (UUID version 5)."""
    parts = ", ".join(f"char(31), toString({name})" for name in event.identity)
    digest = f"lower(hex(SHA1(concat(unhex('{NAMESPACE.hex}'), '{event.__name__}', {parts}))))"
    variant = "arrayElement(['8', '9', 'a', 'b'], (reinterpretAsUInt8(unhex(substring(digest, 17, 2))) DIV 16) % 4 + 1)"
    pieces = "substring(digest, 1, 8), '-', substring(digest, 9, 4), '-5', substring(digest, 14, 3), '-'"
    return f"arrayMap(digest -> concat({pieces}, {variant}, substring(digest, 18, 3), '-', substring(digest, 21, 12)), [{digest}])[1]"


async def _settle(clickhouse: ClickHouse) -> None:
    """Waits until the engine merges nothing more of its own accord."""
    for _ in range(2 * SETTLED_S):
        if not (await clickhouse.query("SELECT count() AS merges FROM system.merges"))[0]["merges"]:
            return
        await asyncio.sleep(0.5)


def routes(samples: int) -> dict[str, str]:
    """What is asked, by what the report calls it."""
    run, other, small = run_id(0), run_id(1), run_id(LARGE)
    each = samples // TASKS
    own = f"/v1/runs/{run}/samples"
    return {
        "runs": "/v1/runs", "runs, completed, by model": "/v1/runs?state=completed&sort=model", "run": f"/v1/runs/{run}",
        "samples, first page": own, "samples, by value": f"{own}?sort=value", "samples, by value, down": f"{own}?sort=-value",
        "samples, wrong of a task": f"{own}?task=task-3&metric=acc&max_value=0.5", "samples, of a document": f"{own}?doc_id={each // 2}",
        "samples, deep": f"{own}?cursor={deep('task', run=run, row={'task': 'task-7', 'ordinal': each // 2, 'repeat': 0})}",
        "samples, by value, deep": f"{own}?sort=value&cursor="
        + deep("value", run=run, row={"value": 1.0, "task": "task-7", "ordinal": each // 2, "repeat": 0}),
        "samples, differing": f"{own}?differs_from={other}",
        "rankings": "/v1/rankings", "rankings of a task": "/v1/rankings?task=task-3", "boards": "/v1/boards",
        "costs": f"/v1/runs/{run}/cost",
        "compare": f"/v1/compare?a={small}&b={run_id(LARGE + 1)}", "compare, large": f"/v1/compare?a={run}&b={other}",
        "agents": "/v1/agents", "dead letters": "/v1/dead-letters", "page: overview": "/", "page: run": f"/runs/{run}",
        "page: samples": f"/runs/{run}/samples",
    }  # fmt: skip


def deep(sort: str, *, run: str, row: dict[str, Any]) -> str:
    """The cursor of the page that begins behind a sample, as the page before it would have told it."""
    asked = {name: value for name, value in SamplesAsked().model_dump().items() if name not in ("sort", "limit", "cursor")}
    cursor = following([row, row], LISTING, sort, asked=asked | {"run_id": run}, limit=1)[1]
    assert cursor is not None
    return cursor


def measure(settings: Settings, *, samples: int, requests: int) -> list[dict[str, float | str]]:
    """Median and tail of each route, in seconds, after a tenth as many requests that do not count."""
    asked = routes(samples)
    took = dict[str, list[float]]({name: [] for name in asked})
    with httpx.Client(base_url=settings.api, timeout=60) as client:
        for number in range(-requests // 10, requests):
            for name, path in asked.items():
                began = time.perf_counter()
                client.get(path).raise_for_status()
                if number >= 0:
                    took[name].append(time.perf_counter() - began)
    whole = {"all of /v1": [took_s for name, times in took.items() if asked[name].startswith("/v1/") for took_s in times]}
    return [{"route": name, "p50_s": percentile(times, 0.5), "p99_s": percentile(times, 0.99)} for name, times in (took | whole).items()]


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--home", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stack_in(given.home or Path(folder)) as settings:
        if not (loaded := settings.home / "loaded").exists():
            asyncio.run(load(settings, samples=given.samples, runs=given.runs))
            loaded.touch()
        api = spawn("query_api", settings=settings)
        try:
            api_ready(settings, [api])
            told = measure(settings, samples=given.samples, requests=given.requests)
        finally:
            end(api)
    write("api", {"samples": given.samples, "runs": given.runs, "requests": given.requests, "aim_p99_s": AIM_P99_S, "measured": told})
    show(f"Query API at {given.samples:,} samples in a run, {given.requests} requests a route (aim: p99 under {AIM_P99_S:g} s)", told)


if __name__ == "__main__":
    main()
