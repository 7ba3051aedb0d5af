"""The log on the real broker: what is published is read again, in order, and a foreign producer is understood."""

import asyncio
import json

import pytest
from confluent_kafka import Producer as ForeignProducer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from uuid6 import uuid7

from infra.identity import producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.avro import avro_schema
from schemas.requests import CancellationRequested, EvaluationRequested
from streams.topics import CANCELLATIONS, REQUESTS
from tests.flow import PATIENCE_S

pytestmark = pytest.mark.integration


def test_what_is_published_is_read_again_in_the_order_of_its_partition(stack: Settings) -> None:
    """Places are those of the acknowledgements."""

    async def act() -> None:
        run_id = str(uuid7())
        events = [CancellationRequested(occurred_us=n, producer=producer("test"), run_id=run_id, by="me") for n in range(50)]
        async with Log(stack, client_id="test") as log:
            places = await log.publish_all(events)
            read = [record async for record in log.read([CANCELLATIONS]) if getattr(record.event, "run_id", "") == run_id]
        assert [record.place for record in read] == places
        assert [record.event for record in read] == events

    asyncio.run(act())


def test_what_is_no_event_is_read_as_a_fault(stack: Settings) -> None:
    """Foreign bytes do not stop a reader; they come with their reason."""

    async def act() -> None:
        async with Log(stack, client_id="test") as log:
            places = {await log.publish_raw(CANCELLATIONS.name, payload, key=None) for payload in (b"hello", b"\x00\x00\x00\xff\xff1")}
            faults = {record.place: record.fault async for record in log.read([CANCELLATIONS]) if record.place in places}
        assert sorted(fault.code for fault in faults.values() if fault) == ["not-avro", "unknown-schema"]

    asyncio.run(act())


def test_a_foreign_avro_producer_is_understood(stack: Settings) -> None:
    """confluent-kafka's serializer finds its schema in the registry, and what it writes is a request."""
    run_id = str(uuid7())
    request = EvaluationRequested.model_validate({
        "occurred_us": 5, "producer": {"service": "elsewhere", "version": "1"}, "run_id": run_id, "model": {"uri": "m"},
    })  # fmt: skip
    with SchemaRegistryClient({"url": stack.registry}) as registry:
        serializer = AvroSerializer(registry, json.dumps(avro_schema(EvaluationRequested)))
        payload = serializer(request.model_dump(), SerializationContext(REQUESTS.name, MessageField.VALUE))
    foreign = ForeignProducer({"bootstrap.servers": stack.kafka})
    foreign.produce(REQUESTS.name, value=payload, key=run_id)
    assert foreign.flush(PATIENCE_S) == 0

    async def act() -> list[object]:
        async with Log(stack, client_id="test") as log:
            return [record.event async for record in log.read([REQUESTS]) if getattr(record.event, "run_id", "") == run_id]

    # Where its partitioner differs from Java's, the planner beside puts the request where its key belongs: there are two of the one event.
    assert set(map(str, asyncio.run(act()))) == {str(request)}


def test_an_unknown_schema_is_refused_with_what_to_do(stack: Settings) -> None:
    """The registry serves what is committed, nothing else."""
    schema = avro_schema(EvaluationRequested)
    schema["fields"] = schema["fields"][:3]
    fields = {"event_id": "x", "organisation_id": "y", "visibility": "public"}
    with SchemaRegistryClient({"url": stack.registry}) as registry, pytest.raises(SchemaRegistryError, match="make schemas"):
        AvroSerializer(registry, json.dumps(schema))(fields, SerializationContext(REQUESTS.name, MessageField.VALUE))
