"""Snapshots held to the log: one that the fold has written is equal to it, and one that was forged is found, of every processor."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from infra import seal_keys
from infra.kafka import Ends, Log
from infra.partitioning import partition_for
from infra.settings import Settings
from infra.snapshot_audit import Audit
from infra.snapshots import Snapshots
from schemas.requests import EvaluationRequested, ModelRef, TaskChoice
from streams.boards import keeping as boards
from streams.boards.books import Books
from streams.money import rates
from streams.queue import keeping as queue
from streams.queue import requests
from streams.queue.dispatch import Pool
from streams.queue.requests import Requests
from streams.settling import dumping as settling
from streams.settling.documents import packed
from streams.settling.runs import INPUTS, OpenRuns
from streams.topics import TOPICS
from streams.trust import ledger as sealing
from streams.trust.chains import Chains
from streams.trust.ledger import Ledger
from streams.trust.stretches import SEALED_TOPICS, run_of_key
from tests import measured
from tests.in_memory import CODEC, InMemory
from tests.pool import STAMP, job, planned, released, took
from tests.runs import run_named
from tests.unit import test_costs, test_results

R, OTHER = test_costs.R, run_named("other")
HEAD: dict[str, Any] = {"occurred_us": 1, "producer": STAMP, "model": ModelRef(uri="m"), "tasks": (TaskChoice(name="t"),)}
HERE = test_costs.environment()
PRICE = measured.price("cpu_hour", 0.09, unit="core-hour")


def a_log() -> InMemory:
    """One open run with what is measured of it, one finished, two prices, jobs, a lease."""
    log = InMemory()
    work = job(f"{R}/t/0/0", run=R)
    for event in (
        HERE, PRICE, measured.price("kwh", 0.1, unit="kWh"),
        EvaluationRequested(run_id=R, **HEAD), EvaluationRequested(run_id=OTHER, **HEAD),
        test_results.planned(R, samples=8), planned(work), took(), released(work),
        *(test_results.scored(R, n, float(n % 2)) for n in range(4)),
        *measured.run(7, "m-7", HERE, scores={measured.planned("t", documents=4): [1.0, 0.0, 1.0, 1.0]}),
    ):  # fmt: skip
        log.write(event)
    return log


async def dumps(log: InMemory) -> dict[str, tuple[str, str, bytes]]:
    """What each processor would write down of all that the log holds: by its name, the shard, the version, the state."""
    ends = await log.ends(TOPICS)
    every = [record for place in sorted(ends) for record in log.records[place]]
    asked, pool, books, priced = Requests(), Pool("default", lease_us=1), Books(), rates.Rates()
    ledger, runs = Ledger(Chains()), OpenRuns()
    home = partition_for(R.encode(), 4)
    for record in every:
        event, at = record.event, (record.place.topic, record.place.partition)
        assert event is not None
        if at[1] == home and at[0] in {topic.name for topic in INPUTS}:
            runs.fold(event, offset=record.place.offset)
        pool.fold(event, at=at, offset=record.place.offset, written_us=record.written_us, at_us=5)
        if at[0] in {topic.name for topic in boards.INPUTS}:
            books.fold(event)
        if at[0] in {topic.name for topic in rates.INPUTS}:
            priced.fold(event)
        run_id = run_of_key(record.key)
        if run_id and at[0] in {topic.name for topic in SEALED_TOPICS} and ledger.meets(run_id, at, record.place.offset):
            ledger.fold(event, run_id, at, record.place.offset)
    for (topic,) in requests.INPUTS:
        for record in log.records[topic.name, home]:
            assert record.event is not None
            asked.fold(record.event, offset=record.place.offset)
    return {
        "settle": (str(home), settling.VERSION, settling.dumped(runs)),
        "plan": (str(home), requests.VERSION, requests.dumping(asked)()),
        "dispatch": ("default", queue.VERSION, queue.dumped(queue.picture(pool))),
        "rank": ("everywhere", boards.VERSION, boards.telling(books, CODEC)()),
        "cost": ("everywhere", rates.VERSION, rates.dumping(priced, CODEC)()),
        "seal": ("all", sealing.VERSION, json.dumps(sealing.dumped(ledger)).encode()),
    }


def audited(home: Path, forge: Callable[[str, bytes], bytes] = lambda _name, state: state) -> tuple[int, list[str]]:
    """How many snapshots were held to the log, and what differs."""
    settings, log, told = Settings(home=home), a_log(), list[str]()
    seal_keys.create(settings)

    async def act() -> int:
        ends: Ends = await log.ends(TOPICS)
        own = 0
        for name, (shard, version, state) in (await dumps(log)).items():
            offsets = {at: end for at, end in ends.items() if not shard.isdigit() or at[1] == int(shard)}
            await Snapshots(cast("Log", log), settings, processor=name, version=version).save(shard, offsets, forge(name, state))
            own = int(shard) if shard.isdigit() else own
        audit = Audit(cast("Log", log), settings, told.append)
        return await audit.of_partition(own, concerns=lambda _name: True) + await audit.of_all()

    return asyncio.run(act()), told


def test_what_the_folds_have_written_is_what_the_log_gives(tmp_path: Path) -> None:
    """Of all six."""
    assert audited(tmp_path) == (6, [])


def _settle(told: Any) -> None:
    told["runs"][0]["scores"][0][2]["cells"][0][3][0] = 1.0


def _plan(told: Any) -> None:
    told["open"][R][5].append(f"{R}/t/0/9")


def _dispatch(told: Any) -> None:
    told["entries"][0][4][0][2] = "another agent"


def _rank(told: Any) -> None:
    told["scores"][0][3]["values"] = b64encode(packed(dict.fromkeys(range(4), 1.0), {}).values).decode()


def _cost(told: Any) -> None:
    told.remove(next(one for one in told if one[0] == "PricePublished"))


def _seal(told: Any) -> None:
    told["open"][R]["visibility"] = "private"


FORGED: list[tuple[Callable[[Any], None], list[str]]] = [
    (_settle, [f"settle/HOME holds {R}"]),
    (_plan, [f"plan/HOME holds {R}"]),
    (_dispatch, [f"dispatch/default holds job {R}/t/0/0"]),
    (_rank, [f"rank/everywhere holds scores of {run_named(7)}"]),
    (_cost, [f"cost/everywhere holds PricePublished {PRICE.event_id}"]),
    (_seal, [f"seal/all holds run {R}"]),
]


@pytest.mark.parametrize(("forge", "differing"), FORGED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_snapshot_that_was_forged_is_found(forge: Callable[[Any], None], differing: list[str], tmp_path: Path) -> None:
    """By what in it is otherwise, and nothing else is."""

    def forged(name: str, state: bytes) -> bytes:
        told = json.loads(state)
        if name == forge.__name__.removeprefix("_"):
            forge(told)
        return json.dumps(told).encode()

    count, told = audited(tmp_path, forged)
    home = str(partition_for(R.encode(), 4))
    assert count == 6
    assert told == [f"the snapshot of {one.replace('HOME', home)} otherwise than the log" for one in differing]


def test_a_snapshot_that_says_nothing_is_told(tmp_path: Path) -> None:
    """Of each processor; the others are audited all the same."""
    count, told = audited(tmp_path, lambda name, state: b"{}" if name == "plan" else state)
    assert count == 6 and len(told) == 1 and "cannot be read: KeyError" in told[0]


def test_a_partition_that_was_reckoned_with_a_price_that_nobody_published_is_told(tmp_path: Path) -> None:
    """And none of those that were."""
    settings, log, told = Settings(home=tmp_path), a_log(), list[str]()

    async def act() -> int:
        snapshots = Snapshots(cast("Log", log), settings, processor="cost", version=rates.RECKONED_VERSION)
        await snapshots.save("0", {}, rates.reckoned_told([PRICE.event_id, "forged"], 0))
        return await Audit(cast("Log", log), settings, told.append).of_partition(0, concerns=lambda _name: True)

    assert asyncio.run(act()) == 1
    assert told == ["the snapshot of cost/0 holds price forged otherwise than the log"]
