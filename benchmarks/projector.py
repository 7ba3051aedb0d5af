"""Produced → queryable: events a second of one projector beside its floor, and what an event costs for 1, 2 and 4 of them.

    python -m benchmarks.projector [--events N] [--rounds N]

The log holds the events before anyone begins, so that the projector is the limit. Floor and projector alternate, each into an empty
database; figures are medians over the rounds. Where more processes than cores share the machine, an event costs more of it, the floor's
too: so the cost over workers is told beside the floor's for as many. Writes results/projector.json.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from benchmarks.harness import median, show, write
from benchmarks.making import mixed
from infra.clickhouse import ClickHouse, migrate
from infra.kafka import Log
from infra.settings import Settings
from tests.conftest import environment, stack_in

WORKERS = (1, 2, 4)
AIM_RATIO, EVEN_RATIO = 0.5, 0.1
PATIENCE_S = 180.0


async def fill(settings: Settings, count: int) -> None:
    """Produces the events."""
    async with Log(settings, client_id="benchmark") as log:
        batch = []
        for event in mixed(count):
            batch.append(event)
            if len(batch) == 5000:
                await log.publish_all(batch)
                batch = []
        await log.publish_all(batch)


def measure(settings: Settings, who: str, *, workers: int, events: int) -> dict[str, float]:
    """What it took to make every event queryable, in an empty database."""
    name = f"bench-{who}-{workers}-{time.time_ns()}"
    database = name.replace("-", "_")
    asyncio.run(migrate(settings, database=database))
    command, given = [sys.executable, "-m", "benchmarks.projecting", who, name, database], environment(settings)
    children = [
        subprocess.Popen([*command, str(share), str(workers)], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for share in range(workers)
    ]
    try:
        return asyncio.run(
            _measured(settings, children, group=f"assay-{name}" if who == "faust" else None, database=database, events=events)
        )
    finally:
        for child in children:
            child.kill()
            child.wait()


async def _measured(
    settings: Settings, children: Sequence[subprocess.Popen[str]], *, group: str | None, database: str, events: int
) -> dict[str, float]:
    if group:
        await _until_joined(settings, group, members=len(children))
    async with ClickHouse(settings, database=database) as clickhouse:
        began = time.perf_counter()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        await _until_queryable(clickhouse, events)
        wall_s = time.perf_counter() - began
        for child in children:
            child.terminate()
        told = [json.loads(child.communicate(timeout=60)[0].splitlines()[-1]) for child in children]
        await clickhouse.command(f"DROP DATABASE {database}")
    handled = sum(one["events"] for one in told)
    return {"events_per_s": events / wall_s, "cpu_s_per_million": sum(one["cpu_s"] for one in told) / handled * 1e6, "handled": handled}


async def _until_joined(settings: Settings, group: str, *, members: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await _members(admin, group) != members:  # noqa: ASYNC110  # the broker is asked
                await asyncio.sleep(0.5)
    finally:
        await admin.close()


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    """How many members share the group's partitions; 0 while they are being shared out."""
    try:
        (answer,) = await admin.describe_consumer_groups([group])
    except KafkaError:  # nobody has joined yet: no coordinator either
        return 0
    (_, _, state, _, _, members, *_) = answer.groups[0]
    return len(members) if state == "Stable" else 0


async def _until_queryable(clickhouse: ClickHouse, events: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await _count(clickhouse) < events:  # noqa: ASYNC110  # ClickHouse is asked
            await asyncio.sleep(0.1)


async def _count(clickhouse: ClickHouse) -> int:
    rows = [await clickhouse.query(f"SELECT uniqExact(event_id) AS n FROM {table}") for table in ("fact_scores", "fact_token_timings")]
    return sum(int(found["n"]) for (found,) in rows)


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="*", default=WORKERS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stack_in(Path(folder)) as settings:
        asyncio.run(fill(settings, given.events))
        kinds = [(who, workers) for workers in given.workers for who in ("floor", "faust")]
        rounds = [{kind: measure(settings, kind[0], workers=kind[1], events=given.events) for kind in kinds} for _ in range(given.rounds)]
    told = figures(rounds, events=given.events)
    write("projector", told)
    show(f"Produced → queryable, {given.events:,} events, median of {given.rounds}", told["measured"])
    costs = ", ".join(f"{ratio:.2f} with {n}" for n, ratio in told["cost_to_floor"].items())
    print(f"  events a second, projector to floor: {told['ratio']:.2f} (aim {AIM_RATIO})")
    print(f"  CPU of an event, projector to floor: {costs}; more than with one by {told['growth_ratio']:.1%} (aim {EVEN_RATIO:.0%})")


def figures(rounds: Sequence[dict[tuple[str, int], dict[str, float]]], *, events: int) -> dict[str, Any]:
    """The medians, and the ratio of projector to floor of each round."""
    medians = {kind: {name: median([told[kind][name] for told in rounds]) for name in rounds[0][kind]} for kind in rounds[0]}
    cost = {kind: told["cpu_s_per_million"] for kind, told in medians.items()}
    costs = {n: cost["faust", n] / cost["floor", n] for who, n in medians if who == "faust"}
    return {
        "events": events, "rounds": len(rounds), "measured": [{"who": who, "workers": n} | told for (who, n), told in medians.items()],
        "ratio": median([told["faust", 1]["events_per_s"] / told["floor", 1]["events_per_s"] for told in rounds]), "aim_ratio": AIM_RATIO,
        "cost_to_floor": {str(n): ratio for n, ratio in costs.items()}, "growth_ratio": max(costs.values()) / costs[min(costs)] - 1,
        "aim_growth_ratio": EVEN_RATIO,
    }  # fmt: skip


if __name__ == "__main__":
    main()
