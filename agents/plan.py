"""Turns requests into builds, plans and jobs, or says why not: a fold over requests and what was said of them.

A request is open until its plan and all of its jobs are in the log. What is open when a worker takes a partition is planned then: planning
the same request twice writes the same events again, which readers pass over.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import structlog

from agents.app import consume_sharded
from agents.building import Building
from agents.preparing import Preparing
from agents.shards import Shards
from agents.turns import Turns
from infra.identity import producer
from infra.kafka import Log, Place, Record
from infra.logging import frames
from infra.retrying import until_available
from infra.settings import Settings
from schemas.event import Event
from schemas.jobs import JobPlanned
from schemas.requests import EvaluationRequested
from schemas.runs import RunChanged, RunState
from streams import bounds
from streams.errors import Conflict, Permanent
from streams.quality import judging
from streams.queue import limits
from streams.runs import TERMINAL, step
from streams.topics import JOBS_PLANNED, REQUESTS, RUNS, TOPICS, Topic
from streams.trust.privacy import PRIVATE

LONGEST_TOLD = 1000
LONGEST_REASON = 10_000  # of a request that is refused; it may name every task that cannot run
JOBS_AT_ONCE = 500
AT_ONCE = 8  # requests in planning, one submitter's half of it at most; most of them wait for the builders
HELD = 16  # with those whose models are being brought
log_line = structlog.get_logger()
NOT_THE_BODY = {"event_id", "occurred_us", "producer", "trace_parent"}


@dataclass(slots=True)
class Asked:
    """A run that was asked for and is open: where its request lies, who asks, how far it is planned, and whether judgements follow."""

    offset: int
    judged: bool
    submitter: str
    state: RunState | None = None
    jobs: int | None = None
    planned: set[str] = field(default_factory=set)

    @property
    def unplanned(self) -> bool:
        """Its plan, or a job of it, is not in the log."""
        return self.state is None or (self.state not in TERMINAL and (self.jobs is None or len(self.planned) < self.jobs))


@dataclass(slots=True)
class Requests:
    """The requests of a partition: the first of each run, by a digest of its content, and those that are open."""

    first: dict[str, str] = field(default_factory=dict)
    open: dict[str, Asked] = field(default_factory=dict)
    busy: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)


class Planning:
    """The fold, and the planning of what is open."""

    version = "planning-2"
    inputs: Sequence[Sequence[Topic]] = ((REQUESTS,), (RUNS,), (JOBS_PLANNED,))

    def __init__(self, log: Log, preparing: Preparing) -> None:
        self._log = log
        self._preparing = preparing
        self._room = Turns(HELD)
        self._planning = Turns(AT_ONCE)

    def empty(self) -> Requests:
        """No request."""
        return Requests()

    def dumping(self, state: Requests) -> Callable[[], bytes]:
        """What writes the requests, as they are now."""
        first = dict(state.first)
        open_ = {run: [one.offset, one.judged, one.submitter, one.state, one.jobs, list(one.planned)] for run, one in state.open.items()}
        return lambda: json.dumps({"first": first, "open": open_}).encode()

    def loaded(self, told: bytes) -> Requests:
        """The requests in such bytes. Raises: ValueError, KeyError."""
        found = json.loads(told)
        open_ = {
            run: Asked(offset, judged, who, state, jobs, set(done))
            for run, (offset, judged, who, state, jobs, done) in found["open"].items()
        }
        return Requests(found["first"], open_)

    def wanted(self, state: Requests, key: bytes | None, place: Place) -> bool:
        """Of runs and jobs, those of open requests alone."""
        return place.topic == REQUESTS.name or (key or b"").decode(errors="replace") in state.open

    async def fold(self, state: Requests, record: Record) -> None:
        """Takes a request in, or what was said of one. Raises: Conflict for a second request of another content under one id."""
        match record.event:
            case EvaluationRequested():
                self._ask(state, record.event, record.place)
            case RunChanged() if known := state.open.get(record.event.run_id):
                known.state = step(known.state, record.event.state)
                known.jobs = record.event.plan.jobs if record.event.plan and known.jobs is None else known.jobs
            case JobPlanned() if known := state.open.get(record.event.run_id):
                known.planned.add(record.event.job_id)

    def _ask(self, state: Requests, request: EvaluationRequested, place: Place) -> None:
        body = json.dumps(request.model_dump(mode="json", exclude=NOT_THE_BODY), sort_keys=True)
        digest = hashlib.sha256(body.encode()).hexdigest()[:32]
        if request.run_id not in state.first:
            state.first[request.run_id] = digest
            state.open[request.run_id] = Asked(place.offset, bool(request.judgements or request.judges), request.submitter)
        elif state.first[request.run_id] != digest:
            raise Conflict(f"run_id {request.run_id} was used before for another request; draw a new one", code="run-id-used")

    async def say(self, state: Requests, partition: int) -> None:
        """Plans what is not planned, asks for the judgements of what is complete, and lets go of what needs neither."""
        for run_id, asked in list(state.open.items()):
            if run_id in state.busy:
                continue
            if asked.unplanned or (asked.judged and asked.state == "completed"):
                state.busy[run_id] = asyncio.create_task(self._attending(state, run_id, asked, partition))
            elif not asked.judged or asked.state in TERMINAL:
                del state.open[run_id]
        await asyncio.sleep(0)

    def gone(self, state: Requests, partition: int) -> None:
        """Ends what is being planned: the partition's new worker does it."""
        for task in state.busy.values():
            task.cancel()

    async def _attending(self, state: Requests, run_id: str, asked: Asked, partition: int) -> None:
        """Does what an open request needs. What breaks over one is told of it, and others are planned."""
        try:
            async with self._room.of(asked.submitter):
                await until_available(lambda: self._attend(state, asked, partition), what="planning")
        except Exception as error:  # noqa: BLE001  # one request's: it is told, and others are planned
            log_line.error("cannot be planned", run_id=run_id, error=frames(error))
            await self._broke(state, run_id, asked, error, partition=partition)
        finally:
            state.busy.pop(run_id, None)

    async def _attend(self, state: Requests, asked: Asked, partition: int) -> None:
        record = await self._read(partition, asked.offset)
        if record and isinstance(record.event, EvaluationRequested):
            await (self._plan(record.event, record, asked) if asked.unplanned else self._judge(state, record.event))

    async def _broke(self, state: Requests, run_id: str, asked: Asked, error: Exception, *, partition: int) -> None:
        """A request that breaks its planner is refused, in the error's words."""
        state.open.pop(run_id, None)
        record = await until_available(lambda: self._read(partition, asked.offset), what="kafka")
        if asked.state is None and record and isinstance(record.event, EvaluationRequested):
            told = f"planning it failed: {type(error).__name__}: {error}"[:LONGEST_TOLD]
            await self._write([_changed(record.event, "rejected", reason_code="planning-broke", message=told)])

    async def _read(self, partition: int, offset: int) -> Record | None:
        async with aclosing(self._log.read_span(REQUESTS, partition=partition, first=offset, last=offset)) as records:
            return await anext(records, None)

    async def _plan(self, request: EvaluationRequested, record: Record, asked: Asked) -> None:
        started = time.perf_counter()
        try:
            # Kafka's time of the request, not the clock: planned again after a crash, it is planned alike.
            limits.check(request, asked_us=record.written_us)
            pinned, facts = await self._preparing.brought(request)
            async with self._planning.of(asked.submitter):
                plan, jobs = await self._preparing.plan(pinned, facts, asked_us=record.written_us)
            bounds.check_plan(planned := _changed(request, "planned", plan=plan))
        except Permanent as error:
            await self._write([_changed(request, "rejected", reason_code=error.code, message=str(error)[:LONGEST_REASON])])
            asked.state = asked.state or "rejected"
            said = {} if request.visibility == PRIVATE else {"message": str(error)}
            log_line.info("rejected", run_id=request.run_id, reason_code=error.code, **said)
            return
        await self._write([planned])
        stamp, when = producer("agents.plan"), request.occurred_us
        while some := list(islice(jobs.each, JOBS_AT_ONCE)):
            await self._write([
                JobPlanned(occurred_us=when, producer=stamp, organisation_id=request.organisation_id,
                           visibility=request.visibility, pool=job.pool, job_id=job.job_id, run_id=job.run_id, job=job)
                for job in some
            ])  # fmt: skip
            asked.planned |= {job.job_id for job in some}
        asked.state, asked.jobs = step(asked.state, "planned"), plan.jobs
        log_line.info("planned", run_id=request.run_id, jobs=jobs.count, took_s=round(time.perf_counter() - started, 3))

    async def _judge(self, state: Requests, request: EvaluationRequested) -> None:
        """Asks for the judgements that a complete run's request wants; what was asked for before is not asked for again."""
        completed = [record.event async for record in self._log.of_key(RUNS, request.run_id.encode())]
        change = next((one for one in completed if isinstance(one, RunChanged) and one.state == "completed"), None)
        wanted = judging.requests_of(request, change, stamp=producer("agents.plan")) if change else []
        new = [one for one in wanted if not [record async for record in self._log.of_key(REQUESTS, one.run_id.encode())]]
        await self._write(new)
        state.open.pop(request.run_id, None)
        log_line.info("judgements asked for", run_id=request.run_id, judgements=len(new))

    async def _write(self, events: Sequence[Event]) -> None:
        await until_available(lambda: self._log.publish_all(events), what="kafka")


def _changed(request: EvaluationRequested, state: str, **told: Any) -> RunChanged:
    return RunChanged.model_validate({
        "occurred_us": request.occurred_us, "producer": producer("agents.plan"), "organisation_id": request.organisation_id,
        "visibility": request.visibility, "run_id": request.run_id, "state": state,
    } | told)  # fmt: skip


async def main(settings: Settings) -> None:
    """Plans until SIGTERM."""
    async with Log(settings, client_id="agents.plan") as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        building = Building(log, processes=settings.build_processes, limit_s=settings.build_limit_s)
        try:
            building.prepare()
            shards: Shards[Requests] = Shards(log, settings, worker="plan", fold=Planning(log, Preparing(log, settings, building)))
            await consume_sharded("plan", shards, log=log, settings=settings)
        finally:
            building.close()
