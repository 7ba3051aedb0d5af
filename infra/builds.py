"""A build read back from the log: its samples, and the texts that they refer to."""

from collections.abc import Container, Iterable

from infra.kafka import Log
from schemas.builds import ContentPlace, ContentPublished, SampleBuilt, TaskBuilt
from schemas.jobs import BuildPlace
from streams.topics import CONTENTS, SAMPLES


async def samples_of(log: Log, build: BuildPlace | TaskBuilt, *, wanted: Container[int] | None = None) -> dict[int, SampleBuilt]:
    """Ordinal → sample, of the wanted ordinals (all of them, where none are named) that the log holds."""
    found: dict[int, SampleBuilt] = {}
    async for record in log.read_span(SAMPLES, partition=build.partition, first=build.first_offset, last=build.last_offset):
        event = record.event
        if isinstance(event, SampleBuilt) and event.build_id == build.build_id and (wanted is None or event.ordinal in wanted):
            found.setdefault(event.ordinal, event)
    return found


async def contents_of(log: Log, places: Iterable[ContentPlace]) -> dict[str, str]:
    """Content id → text: few-shot prefixes, and contexts too long for an event."""
    chunks: dict[str, dict[int, bytes]] = {}
    for place in places:
        async for record in log.read_span(CONTENTS, partition=place.partition, first=place.first_offset, last=place.last_offset):
            event = record.event
            if isinstance(event, ContentPublished) and event.content_id == place.content_id:
                chunks.setdefault(event.content_id, {}).setdefault(event.chunk, event.text.bytes)
    return {name: b"".join(parts[number] for number in sorted(parts)).decode() for name, parts in chunks.items()}
