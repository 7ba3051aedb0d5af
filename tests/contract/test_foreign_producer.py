"""A request from a program that knows nothing of ours: Confluent's serializer against the registry's routes, straight to Kafka."""

import asyncio
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from uuid6 import uuid7

from infra.kafka import Log, Record
from infra.settings import Settings
from schemas.requests import EvaluationRequested
from streams.topics import REQUESTS
from tests.flow import PATIENCE_S, get, post, until_state

# Confluent's registry client leaves its connections to the garbage collector.
UNCLOSED = ("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.integration, *map(pytest.mark.filterwarnings, UNCLOSED)]
BODY = {
    "occurred_us": time.time_ns() // 1000,
    "producer": {"service": "theirs", "version": "1"},
    "model": {"uri": "echo"},
    "engine": {"name": "echo"},
    "tasks": [{"name": "assay_arithmetic", "limit": 4}],
}


def serializer(stack: Settings) -> AvroSerializer:
    """As their documentation says: the latest schema of the subject, nothing registered."""
    client = SchemaRegistryClient({"url": stack.registry})
    return AvroSerializer(client, conf={"auto.register.schemas": False, "use.latest.version": True})


async def request_of(stack: Settings, run_id: str) -> Record:
    """The request as our readers see it."""
    async with Log(stack, client_id="test") as log:
        async for record in log.read([REQUESTS]):
            if isinstance(record.event, EvaluationRequested) and record.event.run_id == run_id:
                return record
    raise AssertionError(f"{run_id} is not on {REQUESTS.name}")


def test_a_request_from_confluents_serializer_is_read_as_ours(stack: Settings) -> None:
    """What it leaves out has its default; its event id is derived as for any other producer."""
    run_id = str(uuid7())
    payload = serializer(stack)(BODY | {"run_id": run_id}, SerializationContext(REQUESTS.name, MessageField.VALUE))
    producer = Producer({"bootstrap.servers": stack.kafka})
    producer.produce(REQUESTS.name, payload, key=run_id.encode())
    assert producer.flush(PATIENCE_S) == 0
    event = asyncio.run(request_of(stack, run_id)).event
    assert isinstance(event, EvaluationRequested)
    assert (event.model.uri, event.tasks[0].limit, event.priority, event.budget.usd_nano) == ("echo", 4, 0, None)
    assert event.event_id == EvaluationRequested.model_validate(BODY | {"run_id": run_id}).event_id


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_records_are_read_however_their_producer_compresses_them(stack: Settings, compression: str) -> None:
    """One that a reader has no library for would stop it for ever, before there is a record that could be a dead letter."""
    run_id = str(uuid7())
    payload = serializer(stack)(BODY | {"run_id": run_id}, SerializationContext(REQUESTS.name, MessageField.VALUE))
    producer = Producer({"bootstrap.servers": stack.kafka, "compression.type": compression})
    for _ in range(50):  # a record alone is not worth compressing
        producer.produce(REQUESTS.name, payload, key=run_id.encode())
    assert producer.flush(PATIENCE_S) == 0
    assert isinstance(asyncio.run(request_of(stack, run_id)).event, EvaluationRequested)


def test_a_request_from_confluents_serializer_runs_like_any_other(flow: Settings) -> None:
    """To its end, with its scores in ClickHouse."""
    run_id = str(uuid7())
    payload = serializer(flow)(BODY | {"run_id": run_id}, SerializationContext(REQUESTS.name, MessageField.VALUE))
    sender = Producer({"bootstrap.servers": flow.kafka})
    sender.produce(REQUESTS.name, payload, key=run_id.encode())
    assert sender.flush(PATIENCE_S) == 0
    state = asyncio.run(until_state(flow, run_id, "completed", "rejected", "failed"))
    assert (state["state"], state["expected"]) == ("completed", 4)


def test_a_field_that_is_not_in_the_schema_is_refused_at_the_sender(stack: Settings) -> None:
    """Their serializer finds it, before anything is on the topic."""
    wrong = {**BODY, "run_id": str(uuid7()), "occurred_us": "yesterday"}
    with pytest.raises(TypeError, match="occurred_us"):
        serializer(stack)(wrong, SerializationContext(REQUESTS.name, MessageField.VALUE))


def test_the_registry_refuses_what_is_not_committed_and_says_what_to_do(stack: Settings) -> None:
    """422 and a sentence; an unknown id is 404."""
    subject = REQUESTS.subject
    answer = post(f"{stack.registry}/subjects/{subject}/versions", json={"schema": '{"type": "record", "name": "X", "fields": []}'})
    assert answer.status_code == 422
    assert "make schemas" in answer.json()["message"]
    assert get(f"{stack.registry}/schemas/ids/999").status_code == 404
    with pytest.raises(SchemaRegistryError):
        SchemaRegistryClient({"url": stack.registry}).get_latest_version("nothing-value")


def test_the_registry_serves_every_topics_schema(stack: Settings) -> None:
    """Subjects, versions and ids agree with each other."""
    client = SchemaRegistryClient({"url": stack.registry})
    for subject in client.get_subjects():
        latest = client.get_latest_version(subject)
        assert client.get_schema(latest.schema_id).schema_str == latest.schema.schema_str
