"""What is decoded is not yet taken: a job whose name is another run's would be booked, or ended, on that run."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fastavro
import httpx
import pytest

from infra.kafka import Record
from infra.kafka.decoding import Decoding
from infra.settings import Settings
from schemas.avro import avro_schema
from schemas.catalogue import EVENTS
from schemas.codec import NOT_OURS, Undecodable
from schemas.endless import endless
from schemas.event import Event
from schemas.jobs import MOST_PARTITIONS, JobChanged, JobPlanned, JobReleased
from schemas.released import released_codec
from streams.money.prices import AHEAD_US
from streams.settling.runs import OpenRuns
from streams.topics import DISPATCHERS, JOB_STATUS, JOBS_PLANNED, PRICES, RESOURCES, jobs_topic
from tests.pool import STAMP, job, took
from tests.runs import run_named
from tests.unit.test_costs import metered
from tests.unit.test_prices import JANUARY_US, price

WRITTEN_US = JANUARY_US
MINE, OTHER = run_named("mine"), run_named("other")


def decoded(topic: str, event: Event) -> Event:
    """As a reader decodes it."""
    decoding = Decoding(Settings())
    decoding.codec = released_codec()
    return asyncio.run(decoding.decode(topic, decoding.codec.encode(event)))


def changed(job_id: str) -> JobChanged:
    """A report on a job of the run MINE."""
    return JobChanged(
        occurred_us=1, producer=STAMP, pool="default", run_id=MINE, job_id=job_id, attempt=1, agent_id="a", incarnation=1, state="running"
    )


@pytest.mark.parametrize("job_id", [f"{OTHER}/t/0/0", MINE, f"{MINE}x/t/0/0", ""])
def test_a_report_on_another_runs_job_is_refused(job_id: str) -> None:
    """With the name that was told, and the one that it must begin with."""
    with pytest.raises(Undecodable, match=rf"JobChanged: job_id '{job_id}' does not begin with its run's id, {MINE}/"):
        decoded(JOB_STATUS.name, changed(job_id))


def test_a_report_on_its_own_job_is_taken() -> None:
    """And so is a dispatcher's mark, which has none."""
    assert decoded(JOB_STATUS.name, changed(f"{MINE}/t/0/0"))
    assert decoded(jobs_topic("default").name, JobReleased(occurred_us=1, producer=STAMP, pool="default", term=1, kind="mark"))


def test_a_plan_that_carries_another_job_is_refused() -> None:
    """A job that is not what its plan names."""
    carried = job("0").model_copy(update={"run_id": OTHER, "job_id": f"{OTHER}/t/0/0"})
    planned = JobPlanned(occurred_us=1, producer=STAMP, pool="default", run_id=MINE, job_id=f"{MINE}/t/0/0", job=carried)
    with pytest.raises(Undecodable, match=f"it carries job '{OTHER}/t/0/0' of run {OTHER}, but names"):
        decoded(JOBS_PLANNED.name, planned)


def test_a_reading_for_jobs_of_two_runs_is_refused() -> None:
    """It lies by the first: the other's worker never reads it. Several jobs of one run are what they are."""
    assert decoded(RESOURCES.name, metered(1, 0, f"{MINE}/t/0/0", f"{MINE}/t/0/256"))
    with pytest.raises(Undecodable, match=r"its jobs are of several runs, .* write one for each"):
        decoded(RESOURCES.name, metered(1, 0, f"{MINE}/t/0/0", f"{OTHER}/t/0/0"))


def test_a_reading_opens_the_run_that_it_lies_by_and_no_other() -> None:
    """Another that it names may lie in a partition of another worker: nothing would ever close it here."""
    runs = OpenRuns()
    assert runs.fold(metered(1, 0, f"{MINE}/t/0/0", f"{OTHER}/t/0/0")) == {MINE}
    assert list(runs.runs) == [MINE]
    assert runs.fold(metered(2, 0)) == frozenset()


@pytest.mark.parametrize(("ahead_us", "taken"), [(0, True), (AHEAD_US, True), (AHEAD_US + 1, False), (2**63 - 1 - WRITTEN_US, False)])
def test_a_price_from_a_time_to_come_is_refused(ahead_us: int, taken: bool) -> None:
    """Its version would be newer than all that are published until then, and no later price would hold."""
    decoding = Decoding(Settings())
    decoding.codec = released_codec()
    payload = decoding.codec.encode(price(published_us=WRITTEN_US + ahead_us))
    message = SimpleNamespace(topic=PRICES.name, partition=0, offset=0, timestamp=WRITTEN_US // 1000, key=b"", value=payload)

    async def read() -> list[Record]:
        return [record async for record in decoding.records([message])]

    (record,) = asyncio.run(read())
    assert (record.event is not None, record.fault is None) == (taken, taken)
    assert taken or ("and came on 2026-01-01; set its producer's clock" in str(record.fault))


def test_a_term_that_says_more_places_than_a_topic_has_is_refused() -> None:
    """Every dispatcher of the pool keeps them."""
    most = took(begins=(7,) * MOST_PARTITIONS)
    assert decoded(DISPATCHERS.name, most) == most
    with pytest.raises(Undecodable, match="begins: Tuple should have at most 10000 items"):
        decoded(DISPATCHERS.name, most.model_copy(update={"begins": (7,) * (MOST_PARTITIONS + 1)}))


def nested(depth: int) -> Any:
    """A schema of records in records."""
    told: Any = "int"
    for n in range(depth):
        told = {"type": "record", "name": f"R{n}", "fields": [{"name": "n", "type": told}]}
    return told


RECURSIVE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}


def record(name: str, **fields: Any) -> dict[str, Any]:
    """A record's type."""
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}


def listed(items: Any) -> dict[str, Any]:
    """A list's type."""
    return {"type": "array", "items": items}


LAUGHS = record("X", l0=record("L0"), **{
    f"l{n}": record(f"L{n}", **{f"f{i}": f"L{n - 1}" for i in range(3)}) for n in range(1, 30)
})  # fmt: skip
CHAIN = record("X", l0=record("L0", f="int"), **{f"l{n}": record(f"L{n}", f=f"L{n - 1}") for n in range(1, 80)})
SPARSE = record("E", b="boolean", **{f"n{i}": "null" for i in range(1000)})
ENDLESS: list[tuple[str, Any]] = [
    ("a list of nothing by its name", record("X", a=record("E"), b=listed("E"))),
    ("a list of what takes no bytes", record("X", a={"type": "fixed", "name": "E", "size": 0}, b=listed("E"))),
    ("a list of nothing within", record("X", a=record("E"), b=listed(record("F", e="E", n="null")))),
    ("a list of next to nothing", record("X", b=listed(SPARSE))),
    ("a map of next to nothing", record("X", b={"type": "map", "values": SPARSE})),
    ("a list of a union with next to nothing", record("X", b=listed(["null", SPARSE]))),
    ("thirty records, each three of the one before", LAUGHS),
    ("deep by names", CHAIN),
    ("itself", {"type": "record", "name": "X", "fields": [{"name": "node", "type": RECURSIVE}]}),
    ("a list of nothing", {"type": "record", "name": "X", "fields": [{"name": "n", "type": {"type": "array", "items": "null"}}]}),
    ("deep", {"type": "record", "name": "X", "fields": [{"name": "n", "type": nested(80)}]}),
]


@pytest.mark.parametrize(
    "told",
    ['"string"', '{"type": "array", "items": "int"}', 'syntax = "proto3"; message M {}', '{"type": "object", "properties": {}}', "7",
     *(pytest.param(json.dumps(schema), id=name) for name, schema in ENDLESS)],
)  # fmt: skip
def test_a_record_under_a_schema_that_no_event_has_is_undecodable(told: str) -> None:
    """Whatever another registry holds under an id: it is a dead letter, and ends nobody. A type that holds itself could nest for ever."""

    class Answering(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"schema": told})

    async def act() -> None:
        decoding = Decoding(Settings(registry="http://registry"))
        decoding.codec = released_codec()
        await decoding._registry._client.aclose()
        decoding._registry._client = httpx.AsyncClient(base_url="http://registry", transport=Answering())
        with pytest.raises(Undecodable) as caught:
            await decoding.decode(JOB_STATUS.name, b"\x00" + (999_999).to_bytes(4, "big") + b"\x02" * 100)
        assert caught.value.code == NOT_OURS
        await decoding.close()

    asyncio.run(act())


def test_what_a_schema_may_have_is_decoded() -> None:
    """A named type may come again, side by side, in lists, and as a map's values, which have names; a list may be of unions."""
    thing = record("E", a="string", b=["null", "int"])
    told = record("X", one=thing, more=listed("E"), by={"type": "map", "values": "E"}, none={"type": "map", "values": "null"},
                  some=listed(["null", "E"]), sized=listed({"type": "fixed", "name": "S", "size": 16}))  # fmt: skip
    assert endless(fastavro.parse_schema(told)) is None


def test_no_schema_of_ours_is_one_that_is_refused() -> None:
    """Neither those of now nor any that was released."""
    codec = released_codec()
    released = [json.loads(file.read_text()) for file in (Path(__file__).parents[2] / "schemas/avsc").glob("*.avsc")]
    assert len(released) > 100 and not [schema["name"] for schema in released if endless(fastavro.parse_schema(schema))]
    assert all(endless(fastavro.parse_schema(avro_schema(event))) is None for event in EVENTS.values())
    assert codec.encode(changed(f"{MINE}/t/0/0"))
