"""A build read back from the log: its samples, and the texts that they refer to; of a private one opened."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import aclosing

from infra.kafka import Log
from infra.text_keys import FORGOTTEN
from schemas.builds import ContentPlace, ContentPublished, SampleBuilt, TaskBuilt
from schemas.jobs import BuildPlace
from streams.errors import Permanent
from streams.topics import BUILDS, CONTENTS, SAMPLES

BUILDS_HELD = 500
# A reader of its own for what lies so far away costs less than reading past what lies between.
GAP = 500
# Measured: samples of one to four requests, with texts of 100 to 10,000 bytes, take 600 to 800 for each object, beside their texts.
RECORD_BYTES = 680


class Builds:
    """The builds asked for lately. One that is not held is looked for in the log, among the records of its own key."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._held: dict[str, TaskBuilt] = {}

    async def of(self, build_id: str) -> TaskBuilt | None:
        """The build of that id, the first that the log tells; None where it tells none. Raises: as `Vault.opened`."""
        if build_id not in self._held:
            async with aclosing(self._log.of_key(BUILDS, build_id.encode())) as records:
                async for record in records:
                    if isinstance(record.event, TaskBuilt) and record.event.build_id == build_id:
                        self.hold(self._log.vault.opened(record.event))
                        break
        return self._held.get(build_id)

    async def config_of(self, build_id: str) -> str:
        """What scores of the build are aggregated by; "{}", which aggregates none, where it is not in the log or its texts were forgotten.

        Raises: as `of`.
        """
        try:
            built = await self.of(build_id)
        except Permanent as error:
            if error.code != FORGOTTEN:
                raise
            built = None
        return built.config_json if built else "{}"

    def hold(self, built: TaskBuilt) -> None:
        """Holds a build that is met elsewhere; the first of an id counts."""
        self._held.setdefault(built.build_id, built)
        while len(self._held) > BUILDS_HELD:
            self._held.pop(next(iter(self._held)))


async def samples_of(log: Log, build: BuildPlace | TaskBuilt, *, wanted: Collection[int] | None = None) -> dict[int, SampleBuilt]:
    """Ordinal → sample, of the wanted ordinals (all of them, where none are named) that the log holds. Raises: as `Vault.opened`."""
    found: dict[int, SampleBuilt] = {}
    if wanted is None:
        await _read(log, build, found, wanted=None, first=0)
        return found
    # A build is written in the order of its ordinals, mostly alone: each lies as far behind the first as its ordinal says.
    for first, last in _spans(wanted):
        await _read(log, build, found, wanted=frozenset(wanted), first=first, last=last)
    if missing := frozenset(wanted) - found.keys():
        # Others were written between: then it lies behind that place.
        await _read(log, build, found, wanted=frozenset(wanted), first=min(missing))
    return found


async def _read(
    log: Log,
    build: BuildPlace | TaskBuilt,
    found: dict[int, SampleBuilt],
    *,
    wanted: frozenset[int] | None,
    first: int,
    last: int | None = None,
) -> None:
    """Adds what is wanted and lies between these places of the build, counted from its first; ends when all is found."""
    end = build.last_offset if last is None else min(build.first_offset + last, build.last_offset)
    at = (SAMPLES.name, build.partition)
    async with aclosing(log.follow([SAMPLES], since={at: build.first_offset + first}, until={at: end + 1})) as records:
        async for record in records:
            event = record.event
            if isinstance(event, SampleBuilt) and event.build_id == build.build_id and (wanted is None or event.ordinal in wanted):
                if event.ordinal not in found:
                    found[event.ordinal] = log.vault.opened(event)
                if wanted is not None and len(found) == len(wanted):
                    return


def _spans(ordinals: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of the stretches in which the ordinals lie; what lies far from the others is read by itself."""
    first, last = None, 0
    for ordinal in sorted(ordinals):
        if first is not None and ordinal - last > GAP:
            yield first, last
            first = None
        first, last = ordinal if first is None else first, ordinal
    if first is not None:
        yield first, last


def held_bytes(samples: Mapping[int, SampleBuilt], prefixes: Mapping[str, str]) -> int:
    """About how much memory a build takes that is held: its texts, and what the objects around them take."""
    texts = sum(len(text) for text in prefixes.values())
    for sample in samples.values():
        records = [sample.document, *([sample.target] if sample.target else [])]
        for request in sample.requests:
            records += [request.context, *([request.continuation] if request.continuation else [])]
        texts += sum(len(text.bytes) for text in records) + RECORD_BYTES * (2 + len(records) + len(sample.requests))
    return texts


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
            chunks.setdefault(event.content_id, {}).setdefault(event.chunk, log.vault.opened(event).text.bytes)
    return {name: b"".join(parts[number] for number in sorted(parts)).decode() for name, parts in chunks.items()}
