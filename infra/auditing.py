"""A run and its audit read from the log, compared, and reported under a key. Both are read where their seals say that they lie."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from infra.kafka import Log
from infra.sealed_events import events
from schemas.event import Producer, Visibility
from schemas.jobs import EnvironmentSeen
from schemas.measurements import SampleAnswered
from schemas.results import RunScored
from schemas.settled import RunSettled
from schemas.trust import RunAudited, Stretch
from streams.errors import Invalid
from streams.topics import ANSWERS, ENVIRONMENTS, NOT_SCORED, RESULTS, RUN_SCORES, SCORES, Topic
from streams.trust import audits, surroundings
from streams.trust.answers import TOLERANCE
from streams.trust.audits import Findings, Part, Sampled
from streams.trust.statements import Signer, reported


@dataclass(frozen=True, slots=True)
class Side:
    """A run, and where its records lie."""

    run_id: str
    stretches: tuple[Stretch, ...]


@dataclass(slots=True)
class Known:
    """What a run has come to: its result, and the scores of its tasks that the result names."""

    result: RunSettled
    scores: dict[str, RunScored] = field(default_factory=dict)

    def scorer(self, task: str) -> str | None:
        """The scorer version that counts."""
        return next((one.scorer_version for one in self.result.tasks if one.task == task), None)


async def audited(
    log: Log, run: Side, audit: Side, *, key: Signer, seal: str, visibility: Visibility, stamp: Producer
) -> RunAudited | None:
    """How a run and its audit compare, signed; None where no sample was answered by both. Raises: Invalid, Permanent, Unavailable."""
    own, other = await _known(log, run), await _known(log, audit)
    if other.result.plan is None or other.result.plan.audit_of != run.run_id:
        raise Invalid(f"run {audit.run_id} is no audit of run {run.run_id}", code="no-audit")
    whole = frozenset(own.scores.keys() & other.scores.keys())
    asked = audits.asked(other.result.plan)
    found = await _found(log, (run, own), (audit, other), whole=whole, parts=audits.parts_of(asked))
    if found.equal_ratio is None:
        return None
    metrics = list(surroundings.metrics(own.scores, other.scores, other.result))
    environment = list(
        surroundings.environment(own.result, other.result, await _seen(log, {*own.result.environments, *other.result.environments}))
    )
    unscored = [one.task for one in other.result.plan.tasks if one.task not in whole and (own.scorer(one.task) or other.scorer(one.task))]
    told = RunAudited(
        occurred_us=other.result.occurred_us, producer=stamp, organisation_id=own.result.organisation_id, visibility=visibility,
        run_id=run.run_id, audit_run=audit.run_id, state=other.result.state, equal_ratio=found.equal_ratio, samples=found.samples,
        equal=found.equal, failed=found.failed, unmatched=found.unmatched, asked=asked, tolerance=TOLERANCE,
        differing_by=dict(sorted(found.by.items())), differing=tuple(found.first), metrics=tuple(metrics), environment=tuple(environment),
        differences=tuple(audits.sentences(found, metrics, environment, asked=asked, unscored=unscored)), seal=seal,
        settled=other.result.event_id,
    )  # fmt: skip
    return reported(told, key)


async def _known(log: Log, side: Side) -> Known:
    """What a run has come to. Raises: Invalid, where its records have no result."""
    known: Known | None = None
    async with aclosing(_of(log, side, RESULTS)) as told:
        async for result in told:
            known = Known(result)
    if known is None:
        raise Invalid(f"run {side.run_id} has no result to compare", code="no-result")
    async with aclosing(_of(log, side, RUN_SCORES)) as told:
        async for scored in told:
            if scored.complete and scored.scorer_version == known.scorer(scored.task):
                known.scores.setdefault(scored.task, scored)
    return known


async def _found(log: Log, run: tuple[Side, Known], audit: tuple[Side, Known], *, whole: frozenset[str], parts: int) -> Findings:
    """All samples compared, a part after the other."""
    findings = Findings()
    for number in range(parts):
        part = Part(number, parts, whole)
        for topics in ((ANSWERS,), (SCORES, NOT_SCORED)):
            for (side, known), take in ((audit, part.hold), (run, part.meet)):
                await _taken(log, side, known, topics, take)
        part.close(findings)
    return findings


async def _taken(log: Log, side: Side, known: Known, topics: Iterable[Topic], take: Callable[[Sampled], None]) -> None:
    """Gives over a run's events of some topics; of scores those of the scorer that counts."""
    for topic in topics:
        async with aclosing(_of(log, side, topic)) as told:
            async for event in told:
                if isinstance(event, SampleAnswered):
                    take(log.vault.opened(event))
                elif event.scorer_version == known.scorer(event.task):
                    take(event)


def _of(log: Log, side: Side, topic: Topic) -> AsyncGenerator[Any, None]:
    """A run's events of a topic."""
    return events(log, side.run_id, [one for one in side.stretches if one.topic == topic.name])


async def _seen(log: Log, shas: Iterable[str]) -> dict[str, EnvironmentSeen]:
    """Environments by their hashes."""
    found: dict[str, EnvironmentSeen] = {}
    for sha in sorted(shas):
        async for record in log.of_key(ENVIRONMENTS, sha.encode()):
            if isinstance(record.event, EnvironmentSeen):
                found.setdefault(record.event.sha, record.event)
    return found
