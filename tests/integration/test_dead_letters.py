"""Dead letters of records that no letter can hold: shown and requeued whole, from where they came."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from infra.kafka import Log, Record
from infra.kafka.inflating import MOST_BYTES
from infra.settings import Settings
from streams.topics import ACCESS
from tests.conftest import environment

pytestmark = pytest.mark.integration
WHOLE = b"\x01" + bytes(range(256)) * 8150


def assay(settings: Settings, *words: str) -> dict[str, Any]:
    """What `assay dead-letters …` prints."""
    command = [sys.executable, "-m", "query_api.cli.main", "dead-letters", *words, "--json"]
    return dict(json.loads(subprocess.run(command, env=environment(settings), capture_output=True, check=True).stdout))


def test_a_record_near_the_limit_is_a_letter_that_fits_and_is_put_back_whole(stack: Settings) -> None:
    """The letter says its size and holds its beginning; what is on the topic again is every byte, with its key."""

    async def given_up() -> str:
        async with Log(stack, client_id="test") as log:
            place = await log.publish_raw(ACCESS.name, WHOLE, key=b"k")
            (record,) = [one async for one in log.read_span(ACCESS, partition=place.partition, first=place.offset, last=place.offset)]
            assert record.fault is not None
            letter = log.dead_letter(record, code=record.fault.code, message="é" * 2_000_000)
            await log.publish(letter)
            return letter.event_id

    async def read(place: str) -> list[tuple[bytes, bytes | None]]:
        partition, offset = map(int, place.split("/")[1].split("@"))
        async with Log(stack, client_id="test") as log:
            return [(one.payload, one.key) async for one in log.read_span(ACCESS, partition=partition, first=offset, last=offset)]

    letter_id = asyncio.run(given_up())
    assert assay(stack, "show", letter_id)["bytes"] == len(WHOLE)
    assert asyncio.run(read(assay(stack, "requeue", letter_id)["requeued_as"])) == [(WHOLE, b"k")]


@pytest.mark.parametrize("compression", ["gzip", "lz4", "zstd"])
def test_a_batch_that_would_fill_the_memory_is_a_letter_and_what_lies_behind_it_is_read(stack: Settings, compression: str) -> None:
    """A hundred kilobytes for the broker, more than may be for its readers: neither inflated nor in the way, and not put back."""

    async def sent() -> list[Record]:
        size = MOST_BYTES + 1000
        named: dict[str, Any] = {"bootstrap_servers": stack.kafka, "compression_type": compression}
        async with AIOKafkaProducer(**named, max_request_size=2 * size) as producer:
            first = await producer.send_and_wait(ACCESS.name, bytes(size), partition=0)
            last = await producer.send_and_wait(ACCESS.name, b"behind it", partition=0)
        async with Log(stack, client_id="test") as log:
            return [one async for one in log.read_span(ACCESS, partition=0, first=first.offset, last=last.offset)]

    async def told(record: Record) -> str:
        assert record.fault is not None
        async with Log(stack, client_id="test") as log:
            letter = log.dead_letter(record, code=record.fault.code, message=str(record.fault))
            await log.publish(letter)
            return letter.event_id

    large, behind = asyncio.run(sent())
    assert (large.payload, behind.payload) == (b"", b"behind it")
    assert large.fault is not None and "cannot be inflated within 64 MiB" in str(large.fault)
    letter_id = asyncio.run(told(large))
    command = [sys.executable, "-m", "query_api.cli.main", "dead-letters", "requeue", letter_id]
    refused = subprocess.run(command, env=environment(stack), capture_output=True, check=False, text=True)
    assert refused.returncode == 1 and "must write it again" in refused.stderr
