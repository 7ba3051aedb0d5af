"""A dispatcher's decisions as events."""

from infra.identity import now_us, producer
from schemas.event import Event
from schemas.jobs import JobChanged, JobError, JobReleased
from schemas.runs import RunChanged, RunDelayed
from streams.queue.delays import Delay
from streams.queue.dispatch import Pool
from streams.queue.leases import Abandon, Cancel, Decision, Release, Step, Vanish

SERVICE = "agents.dispatch"


def event_of(decision: Decision, *, pool: str, term: int) -> Event:
    """The event that says what was decided in this term."""
    match decision:
        case Release():
            return _release(decision, term=term)
        case Cancel():
            return JobReleased(
                occurred_us=now_us(), producer=producer(SERVICE), organisation_id=decision.organisation_id, visibility=decision.visibility,
                pool=pool, term=term, kind="cancel", run_id=decision.run_id, job_id=decision.job_id, attempt=decision.attempt,
                agent_id=decision.agent_id, incarnation=decision.incarnation,
            )  # fmt: skip
        case Abandon(job=job, attempt=attempt, error=error):
            return JobChanged(
                occurred_us=now_us(), producer=producer(SERVICE), organisation_id=job.organisation_id, visibility=job.visibility,
                pool=pool, run_id=job.run_id, job_id=job.job_id, attempt=attempt, agent_id="", incarnation=0, state="failed", final=True,
                error=error,
            )  # fmt: skip
        case Vanish(agents=agents):
            gone = JobError(code="agent-lost", message=f"{', '.join(agents)} fell silent, and its run was over", permanent=True)
            return JobChanged(
                occurred_us=now_us(), producer=producer(SERVICE), organisation_id=decision.organisation_id, visibility=decision.visibility,
                pool=pool, run_id=decision.run_id, job_id=decision.job_id, attempt=decision.attempt, agent_id="", incarnation=0,
                state="cancelled", final=True, error=gone,
            )  # fmt: skip
        case Step(run_id=run_id, organisation_id=organisation, state=state, reason_code=code, message=message, visibility=visibility):
            return RunChanged(
                occurred_us=now_us(), producer=producer(SERVICE), organisation_id=organisation, visibility=visibility, run_id=run_id,
                state=state, reason_code=code, message=message,
            )  # fmt: skip


def run_of(decision: Decision | Delay) -> str:
    """The run that it is about."""
    return decision.job.run_id if isinstance(decision, Release | Abandon) else decision.run_id


def _release(decision: Release, *, term: int) -> JobReleased:
    job = decision.job
    return JobReleased(
        occurred_us=now_us(), producer=producer(SERVICE), organisation_id=job.organisation_id, visibility=job.visibility, pool=job.pool,
        term=term, kind="release", run_id=job.run_id, job_id=job.job_id, attempt=decision.attempt, agent_id=decision.agent_id,
        incarnation=decision.incarnation, job=job, done=decision.done, deadline_us=job.budget.deadline_us,
    )  # fmt: skip


def delayed(delay: Delay, pool: Pool, *, term: int) -> RunDelayed:
    """The event that says what a run waits for now."""
    reason, sequence, run = delay.reason, pool.delays.next_sequence(), pool.runs[delay.run_id]
    return RunDelayed(
        occurred_us=now_us(), producer=producer(SERVICE), run_id=delay.run_id, term=term, sequence=sequence,
        organisation_id=run.organisation_id, visibility=run.visibility, pool=pool.name, reason_code=reason.code if reason else None,
        waits_for=reason.waits_for if reason else None, ahead=reason.ahead if reason else None,
    )  # fmt: skip
