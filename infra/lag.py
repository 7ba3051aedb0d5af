"""How far a consumer group is behind the log, kept as metrics."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from infra.kafka import Log
from infra.metrics import LAG, LOG
from streams.errors import Unavailable
from streams.topics import Topic

EVERY_S = 5.0


async def measure_lag(log: Log, *, group: str, topics: Sequence[Topic]) -> None:
    """Measures every five seconds, for ever. While the log is away the last figures stay: /readyz says that it is."""
    while True:
        try:
            await _measure(log, group=group, topics=topics)
        except Unavailable as error:
            structlog.get_logger().debug("lag unknown", reason=str(error))
        await asyncio.sleep(EVERY_S)


async def _measure(log: Log, *, group: str, topics: Sequence[Topic]) -> None:
    ends = await log.ends(topics)
    passed = await log.committed(group, list(ends))
    held, behind = Counter[str](), Counter[str]()
    for (topic, partition), end in ends.items():
        held[topic] += end
        behind[topic] += max(0, end - passed.get((topic, partition), 0))
    for topic, events in held.items():
        LOG.labels(topic).set(events)
        LAG.labels(topic).set(behind[topic])
