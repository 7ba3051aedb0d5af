"""What was said of runs after their seals, told: each event that a seal does not hold, with the place where it lies."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from agents.care import give_up
from infra.identity import producer
from infra.kafka import Log, Place, Record
from infra.logging import frames
from schemas.event import Event
from schemas.trust import EventQuarantined
from streams.errors import Temporary
from streams.topics import topic_named
from streams.trust.ledger import Ledger
from streams.trust.stretches import At, run_of_key


@dataclass(frozen=True, slots=True)
class Late:
    """An event that may have come after its run's seal, and its record."""

    run_id: str
    event: Event
    record: Record


async def quarantine(log: Log, ledger: Ledger, late: Sequence[Late], *, service: str) -> None:
    """Says of events that they are no part of their runs' seals; one that says again what a seal holds is none. Raises: Unavailable."""
    together: Mapping[tuple[str, At], list[Late]] = defaultdict(list)
    for one in late:
        together[one.run_id, (one.record.place.topic, one.record.place.partition)].append(one)
    told = []
    for (run_id, at), every in together.items():
        try:
            members = await _members(log, ledger, run_id, at)
            told += [_quarantined(one, ledger, service) for one in every if one.event.event_id not in members]
        except Temporary:
            raise
        except Exception as error:  # noqa: BLE001  # one run's: it is told, and others are quarantined
            await give_up([(one.record, "cannot-quarantine", frames(error)) for one in every], log=log)
    await log.publish_all(told)
    for event in told:
        place = Place(event.topic, event.partition, event.offset)
        structlog.get_logger().warning("quarantined", run_id=event.run_id, late=event.late_event, place=place)


async def _members(log: Log, ledger: Ledger, run_id: str, at: At) -> set[str]:
    """The ids of the events of a partition that a run's seal holds."""
    topic, members = topic_named(at[0]), set[str]()
    assert topic is not None
    for one in ledger.stretches(run_id):
        if (one.topic, one.partition) == at:
            between = log.follow([topic], since={at: one.first}, until={at: one.end}, wanted=lambda key, _: run_of_key(key) == run_id)
            async with aclosing(between) as records:
                members |= {record.event.event_id async for record in records if record.event}
    return members


def _quarantined(late: Late, ledger: Ledger, service: str) -> EventQuarantined:
    event, place = late.event, late.record.place
    return EventQuarantined(
        occurred_us=event.occurred_us, producer=producer(service), organisation_id=event.organisation_id, visibility=event.visibility,
        run_id=late.run_id, topic=place.topic, partition=place.partition, offset=place.offset, late_event=type(event).__name__,
        late_id=event.event_id, seal=ledger.sealed[late.run_id].seal,
    )  # fmt: skip
