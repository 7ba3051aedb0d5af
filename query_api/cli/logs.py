"""The log on the command line: topics, and their events as JSON lines."""

import base64
import json
import logging
from collections import defaultdict
from typing import Any

from infra.kafka import Log, Record
from infra.settings import Settings
from query_api.cli import showing
from streams.errors import NotFound, Permanent
from streams.projection import plain
from streams.topics import TOPICS, Topic, topic_named
from streams.trust.privacy import told

PATIENCE_S = 20.0


def opened(settings: Settings) -> Log:
    """The log, for one command: what is not up is told at once, by our error alone."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return Log(settings, client_id="assay", attempts=1, patience_s=PATIENCE_S)


async def topics(settings: Settings) -> list[dict[str, Any]]:
    """Every topic with its event, partitions and how many records it holds."""
    counts: dict[str, int] = defaultdict(int)
    async with opened(settings) as log:
        partitions = await log.partitions(TOPICS)
        for (name, _), end in (await log.ends(TOPICS)).items():
            counts[name] += end
    return [{"topic": t.name, "event": t.event.__name__, "partitions": partitions[t.name], "events": counts[t.name]} for t in TOPICS]


def _topic(name: str) -> Topic:
    found = topic_named(name) or topic_named(f"assay.{name}.v1")
    if found is None:
        known = ", ".join(topic.name.removeprefix("assay.").removesuffix(".v1") for topic in TOPICS)
        raise NotFound(f"no topic {name!r}; there are {known}", code="unknown-topic")
    return found


async def tail(settings: Settings, name: str, *, count: int, follow: bool, private: bool) -> None:
    """Prints a topic's last events, and those that come; `private`: with the texts of private runs, which the log has."""
    topic = _topic(name)
    async with opened(settings) as log:
        ends = await log.ends([topic])
        since = {place: max(0, end - count) for place, end in ends.items()}
        last = [record async for record in log.read([topic], until=ends, since=since)]
        for record in sorted(last, key=lambda record: (record.written_us, record.place.offset))[-count:]:
            showing.document(_shown(record, log if private else None))
        if follow:
            async for record in log.follow([topic], since=ends):
                showing.document(_shown(record, log if private else None))


def _shown(record: Record, opening: Log | None) -> dict[str, Any]:
    """A record as a document; `opening`: with the texts of private runs, or why they cannot be read."""
    place: dict[str, Any] = {"partition": record.place.partition, "offset": record.place.offset, "written_us": record.written_us}
    if record.event is None:
        return place | {"undecodable": str(record.fault), "payload": base64.b64encode(record.payload).decode()}
    event = told(record.event)
    if opening:
        try:
            event = opening.vault.opened(record.event)
        except Permanent as error:
            place |= {"texts": str(error)}
    return place | {"event": type(event).__name__, **json.loads(json.dumps(plain(event)))}
