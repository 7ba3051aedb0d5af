"""Publishing others' results: validated here, produced to Kafka, and no more."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from infra.identity import now_us, producer
from infra.kafka import Log
from schemas.external import ExternalResultImported
from streams.topics import EXTERNAL


def results_of(figures: Iterable[Mapping[str, Any]], *, about: Mapping[str, Any], organisation: str) -> list[ExternalResultImported]:
    """The figures that a body tells, which are public: others have published them. `about`: what holds for the whole file."""
    stamp = {"occurred_us": now_us(), "producer": producer("query_api")}
    header = {"organisation_id": organisation, "visibility": "public", **stamp, **about}
    return [
        ExternalResultImported.model_validate(header | dict(one) | {"conditions": json.dumps(one["conditions"], sort_keys=True)})
        for one in figures
    ]


async def publish(log: Log, results: Sequence[ExternalResultImported]) -> int:
    """How many of a file's figures were not there yet; the same of the same file again is nothing new."""
    async with aclosing(log.of_key(EXTERNAL, results[0].partition_key())) as records:
        known = {record.event.event_id async for record in records if record.event}
    new = list({one.event_id: one for one in results if one.event_id not in known}.values())
    await log.publish_all(new)
    return len(new)
