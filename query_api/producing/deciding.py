"""Decisions and their outcomes on their way to Kafka: each is said once."""

from contextlib import aclosing
from typing import TypeVar

from infra.kafka import Log
from schemas.decisions import DecisionRecorded, OutcomeReported
from schemas.event import Event
from streams.errors import Conflict, NotFound
from streams.revisions import next_revision
from streams.topics import DECISIONS, OUTCOMES, Topic
from streams.trust.visibility import Seen

SAID = set(OutcomeReported.model_fields) - set(Event.model_fields) - {"revision"}
E = TypeVar("E", DecisionRecorded, OutcomeReported)


async def record(log: Log, decision: DecisionRecorded) -> None:
    """Writes a decision down, once. Raises: Conflict where its id was used for another one."""
    known = await _said(log, DECISIONS, DecisionRecorded, decision.decision_id)
    if known and any(getattr(known[0], name) != getattr(decision, name) for name in ("chosen", "by", "organisation_id")):
        raise Conflict(f"decision {decision.decision_id} is another one already; draw a new id", code="decision-known")
    if not known:
        await log.publish(decision)


async def report(log: Log, outcome: OutcomeReported, *, seen: Seen) -> OutcomeReported:
    """Reports an outcome as the newest of its decision; what the newest says already is no other. Raises: NotFound for no decision.

    `seen`: of others' decisions there is none.
    """
    if not any(seen.takes(one) for one in (await _said(log, DECISIONS, DecisionRecorded, outcome.decision_id))[:1]):
        raise NotFound(f"no decision {outcome.decision_id}; `assay decisions show` lists them", code="unknown-decision")
    before: dict[int, OutcomeReported] = {}
    for one in await _said(log, OUTCOMES, OutcomeReported, outcome.decision_id):
        before.setdefault(one.revision, one)
    newest = next(reversed(before.values()), None)
    if newest and newest.model_dump(include=SAID) == outcome.model_dump(include=SAID):
        return newest
    told = {"revision": next_revision(before), "event_id": ""}
    again = OutcomeReported.model_validate(outcome.model_dump() | told)
    await log.publish(again)
    return again


async def _said(log: Log, topic: Topic, kind: type[E], decision_id: str) -> list[E]:
    """What the log says of a decision on a topic, the first first."""
    async with aclosing(log.of_key(topic, decision_id.encode())) as records:
        events = [record.event async for record in records]
    return [event for event in events if isinstance(event, kind) and event.decision_id == decision_id]
