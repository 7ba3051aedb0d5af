"""What runs are told of records that a processor passes (agents/care.py): none waits for what nobody has taken in.

It is made from the record alone, and is the same each time: whoever starts next may pass the record again.
"""

from collections.abc import Sequence
from typing import Final

from agents.care import LONGEST_TOLD, QUARANTINED
from infra.identity import producer
from infra.kafka import Record
from schemas.event import Event
from schemas.jobs import JobChanged, JobError, JobPlanned, JobReleased
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.requests import CancellationRequested, EvaluationRequested
from schemas.results import SampleNotScored, SampleScored
from schemas.runs import RunChanged, RunState
from schemas.trust import DeadLettered
from streams.runs import PASSED, TERMINAL
from streams.settling.used import ENDED
from streams.topics import JOB_STATUS, JOBS_PLANNED, NOT_SCORED, REQUEST_TIMINGS, REQUESTS, RUNS, SCORES, TOKEN_TIMINGS, Topic
from streams.trust.stretches import run_of_key

BARE: Final = dict.fromkeys((
    "util_ratio", "memory_bytes", "power_w", "energy_uj", "temperature_c", "clock_hz", "throttle", "energy_range_uj", "idle_w",
    "processor_s",
))  # fmt: skip


def by_planner(record: Record, letter: DeadLettered) -> Sequence[Event]:
    """That a request which hung its planner is rejected; one that is refused, for its id is another request's, says nothing of that."""
    if letter.reason_code == QUARANTINED and (isinstance(record.event, EvaluationRequested) or undecoded(record, letter, REQUESTS)):
        return ended(record, letter, "rejected", service="agents.plan")
    return ()


def by_dispatcher(record: Record, letter: DeadLettered) -> Sequence[Event]:
    """That a run has failed whose plan, job or lease no dispatcher takes in; that it is cancelled, where that was asked for.

    A report that is not taken in is none: its job is leased again, to who says how it stands.
    """
    if isinstance(record.event, CancellationRequested):
        return ended(record, letter, "cancelled", service="agents.dispatch")
    if isinstance(record.event, JobPlanned | JobReleased) or undecoded(record, letter, JOBS_PLANNED):
        return ended(record, letter, "failed", service="agents.dispatch")
    return _of_run(record, letter, service="agents.dispatch")


def by_settler(record: Record, letter: DeadLettered) -> Sequence[Event]:
    """That a run has failed of which a score, a measurement, a job or a plan is not taken in.

    A run that is over still waits for what was scored, read and reported of it: for that comes in its place what says no more than that it
    was there. Where that is passed too, nothing is.
    """
    match record.event:
        case SampleScored() as score:
            return *_failed(record, letter), *_instead(score, value=None, parts_json=None, cluster=None, judge=None, sandbox=None)
        case SampleNotScored() as missing:
            return _instead(missing, reason=PASSED) or _failed(record, letter)
        case ResourceRead() as reading:
            return _instead(reading, **BARE)
        case JobChanged() as report if report.agent_id and (report.state in ENDED or report.final):
            return _given_up(report, letter), *_failed(record, letter)
        case RequestTimed() | TokensTimed() | JobPlanned():
            return _failed(record, letter)
    if undecoded(record, letter, SCORES, NOT_SCORED, REQUEST_TIMINGS, TOKEN_TIMINGS, JOBS_PLANNED, JOB_STATUS):
        return _failed(record, letter)
    return _of_run(record, letter, service="agents.settle")


def _failed(record: Record, letter: DeadLettered) -> list[RunChanged]:
    return ended(record, letter, "failed", service="agents.settle")


def _instead(event: Event, **bare: object) -> list[Event]:
    """The event again, of the same id, with these fields alone changed; nothing, where they are so already."""
    told = event.model_copy(update=bare)
    return [] if told == event else [told]


def undecoded(record: Record, letter: DeadLettered, *topics: Topic) -> bool:
    """It is a record of these topics over whose decoding processes ended. (Of what is no event anybody may have written the key.)"""
    return record.event is None and letter.reason_code == QUARANTINED and record.place.topic in {topic.name for topic in topics}


def ended(record: Record, letter: DeadLettered, *states: RunState, service: str) -> list[RunChanged]:
    """That the run of a record has come to that end; nothing, where neither the record nor its key names one."""
    event = record.event
    run_id = getattr(event, "run_id", None) if event else run_of_key(record.key)
    header = {"organisation_id": event.organisation_id, "visibility": event.visibility} if event else {}
    where = f"{letter.topic}/{letter.partition}@{letter.offset} could not be taken in"
    return [
        RunChanged.model_validate(header | {
            "occurred_us": event.occurred_us if event else record.written_us, "producer": producer(service), "run_id": run_id,
            "state": state, "reason_code": PASSED, "message": f"{where}, and is a dead letter: {letter.message}"[:LONGEST_TOLD],
        })
        for state in states if run_id
    ]  # fmt: skip


def _of_run(record: Record, letter: DeadLettered, *, service: str) -> Sequence[Event]:
    """What is said of a run one of whose steps is not taken in: another end instead of a plan, an end again in other words."""
    match record.event:
        case RunChanged(state="planned"):
            return _planless(record, letter, service=service)
        case RunChanged() as change if change.state in TERMINAL and change.reason_code != PASSED:
            return ended(record, letter, change.state, service=service)
    return _planless(record, letter, service=service) if undecoded(record, letter, RUNS) else ()


def _planless(record: Record, letter: DeadLettered, *, service: str) -> Sequence[Event]:
    """Who has taken in its plan takes the first for its end; who has not, the second: without a plan no run can fail (streams/runs.py)."""
    return ended(record, letter, "failed", "cancelled", service=service)


def _given_up(report: JobChanged, letter: DeadLettered) -> JobChanged:
    """That nobody reports of a job any more, as a dispatcher says it."""
    return JobChanged(
        occurred_us=report.occurred_us, producer=producer("agents.settle"), organisation_id=report.organisation_id,
        visibility=report.visibility, pool=report.pool, run_id=report.run_id, job_id=report.job_id, attempt=report.attempt, agent_id="",
        incarnation=0, state="failed", final=True, error=JobError(code=PASSED, message=letter.message, permanent=True),
    )  # fmt: skip
