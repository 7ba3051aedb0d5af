"""A run's load read from the log: what was asked, and every request, token and step of its job."""

from contextlib import aclosing
from typing import Any

from infra.identity import release
from infra.kafka import Log
from schemas.jobs import Job, JobChanged, JobPlanned
from schemas.measurements import RequestTimed, TokensTimed
from schemas.requests import EvaluationRequested
from streams.errors import Conflict, NotFound
from streams.external.loads import Load, load_of
from streams.external.writing import check_form, written
from streams.planning import is_perf
from streams.speed.performance import Speed
from streams.speed.rules import said
from streams.topics import JOB_STATUS, JOBS_PLANNED, REQUEST_TIMINGS, REQUESTS, TOKEN_TIMINGS


async def written_load(log: Log, run_id: str, form: str) -> dict[str, Any]:
    """The run's load as a document of that form. Raises: Invalid for a form that there is not; as `load`."""
    check_form(form)
    return written(await load(log, run_id), form)


async def load(log: Log, run_id: str) -> Load:
    """The run's load. Raises: NotFound for a run without one, Conflict where it is not measured to its end, Unavailable."""
    job = await _job(log, run_id)
    if job is None:
        raise NotFound(f"run {run_id} has no load, or there is no such run: `assay perf` measures under a load", code="no-load")
    speed = Speed(job.job_id)
    for topic in (REQUEST_TIMINGS, TOKEN_TIMINGS, JOB_STATUS):
        async with aclosing(log.of_key(topic, run_id.encode())) as records:
            async for record in records:
                if isinstance(event := record.event, RequestTimed | TokensTimed | JobChanged) and event.job_id == job.job_id:
                    speed.add(event)
    if speed.finished is None:
        raise Conflict(f"the load of run {run_id} has not ended: `assay run {run_id} --wait` follows it", code="in-flight")
    return load_of(speed.taken(), job, release=release(), remarks=await _remarks(log, run_id))


async def _remarks(log: Log, run_id: str) -> tuple[str, ...]:
    """What its request wants said wherever the run is told of."""
    async with aclosing(log.of_key(REQUESTS, run_id.encode())) as records:
        async for record in records:
            if isinstance(record.event, EvaluationRequested):
                return said(record.event.labels)
    return ()


async def _job(log: Log, run_id: str) -> Job | None:
    """The run's job that is a load; the first that was planned."""
    async with aclosing(log.of_key(JOBS_PLANNED, run_id.encode())) as records:
        async for record in records:
            if isinstance(record.event, JobPlanned) and is_perf(record.event.job_id):
                return record.event.job
    return None
