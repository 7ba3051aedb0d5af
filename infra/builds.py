"""A build read back from the log: its samples, and the texts that they refer to."""

from collections.abc import Collection, Iterable
from contextlib import aclosing

from infra.kafka import Log
from schemas.builds import ContentPlace, ContentPublished, SampleBuilt, TaskBuilt
from schemas.jobs import BuildPlace
from streams.topics import CONTENTS, SAMPLES


async def samples_of(log: Log, build: BuildPlace | TaskBuilt, *, wanted: Collection[int] | None = None) -> dict[int, SampleBuilt]:
    """Ordinal → sample, of the wanted ordinals (all of them, where none are named) that the log holds."""
    found: dict[int, SampleBuilt] = {}
    wanted = frozenset(wanted) if wanted is not None else None
    at = (SAMPLES.name, build.partition)
    # A build is written in the order of its ordinals: each of those before takes an offset, and behind the last nothing is looked for.
    since, until = {at: build.first_offset + (min(wanted) if wanted else 0)}, {at: build.last_offset + 1}
    async with aclosing(log.follow([SAMPLES], since=since, until=until)) as records:
        async for record in records:
            event = record.event
            if isinstance(event, SampleBuilt) and event.build_id == build.build_id and (wanted is None or event.ordinal in wanted):
                found.setdefault(event.ordinal, event)
                if wanted is not None and len(found) == len(wanted):
                    break
    return found


async def contents_of(log: Log, places: Iterable[ContentPlace]) -> dict[str, str]:
    """Content id → text: few-shot prefixes, and contexts too long for an event."""
    named = {place.content_id: place for place in places}
    if not named:
        return {}
    since, until = dict[tuple[str, int], int](), dict[tuple[str, int], int]()
    for place in named.values():
        at = (CONTENTS.name, place.partition)
        since[at] = min(since.get(at, place.first_offset), place.first_offset)
        until[at] = max(until.get(at, 0), place.last_offset + 1)
    chunks: dict[str, dict[int, bytes]] = {}
    async for record in log.follow([CONTENTS], since=since, until=until):
        event = record.event
        if isinstance(event, ContentPublished) and event.content_id in named:
            chunks.setdefault(event.content_id, {}).setdefault(event.chunk, event.text.bytes)
    return {name: b"".join(parts[number] for number in sorted(parts)).decode() for name, parts in chunks.items()}
