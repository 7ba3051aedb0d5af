"""Turns requests into builds, plans and jobs, or says why not: a fold over requests and what was said of them.

A request is open until its plan and all of its jobs are in the log. What is open when a worker takes a partition is planned then: planning
the same request twice writes the same events again, which readers pass over.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

import structlog

from agents.app import consume_sharded
from agents.building import Building
from agents.care import LONGEST_TOLD, Care, give_up
from agents.missed import by_planner
from agents.preparing import Preparing
from agents.shards import Shards
from agents.turns import Turns
from infra.identity import producer
from infra.kafka import Log, Place, Record
from infra.logging import frames
from infra.retrying import until_available
from infra.settings import Settings
from infra.text_keys import FORGOTTEN
from schemas.event import Event
from schemas.jobs import JobPlanned
from schemas.requests import EvaluationRequested
from schemas.runs import Plan, RunChanged, RunState
from streams import bounds, planning
from streams.errors import Permanent
from streams.quality import judging
from streams.queue import limits, requests
from streams.queue.requests import Asked, Requests
from streams.runs import step
from streams.topics import REQUESTS, RUNS, TOPICS, Topic
from streams.trust.privacy import PRIVATE

LONGEST_REASON = 10_000  # of a request that is refused; it may name every task that cannot run
JOBS_AT_ONCE = 500
AT_ONCE = 8  # requests in planning, one submitter's half of it at most; most of them wait for the builders
HELD = 16  # with those whose models are being brought
log_line = structlog.get_logger()


class Planning:
    """The fold, and the planning of what is open."""

    version = requests.VERSION
    inputs: Sequence[Sequence[Topic]] = requests.INPUTS

    def __init__(self, log: Log, preparing: Preparing, care: Care) -> None:
        self._log = log
        self._preparing = preparing
        self._care = care
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._room = Turns(HELD)
        self._planning = Turns(AT_ONCE)

    def empty(self) -> Requests:
        """No request."""
        return Requests()

    def dumping(self, state: Requests) -> Callable[[], bytes]:
        """What writes the requests, as they are now."""
        return requests.dumping(state)

    def loaded(self, told: bytes) -> Requests:
        """The requests in such bytes. Raises: ValueError, KeyError."""
        return requests.loaded(told)

    def wanted(self, state: Requests, key: bytes | None, place: Place) -> bool:
        """Of runs and jobs, those of open requests alone."""
        return place.topic == REQUESTS.name or (key or b"").decode(errors="replace") in state.open

    async def fold(self, state: Requests, record: Record) -> None:
        """Takes a request in, or what was said of one. Raises: Conflict for a second request of another content under one id."""
        if record.event:
            state.fold(record.event, offset=record.place.offset)

    async def say(self, state: Requests, partition: int) -> None:
        """Plans what is not planned, asks for the judgements of what is complete, and lets go of what needs neither."""
        for run_id, asked in list(state.open.items()):
            if run_id in self._busy:
                continue
            if asked.unplanned or (asked.judged and asked.state == "completed"):
                self._busy[run_id] = asyncio.create_task(self._attending(state, run_id, asked, partition))
            elif asked.done:
                del state.open[run_id]
        await asyncio.sleep(0)

    def gone(self, state: Requests, partition: int) -> None:
        """Ends what is being planned: the partition's new worker does it."""
        for run_id, task in self._busy.items():
            if run_id in state.first:
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
            self._busy.pop(run_id, None)

    async def _attend(self, state: Requests, asked: Asked, partition: int) -> None:
        """Plans a request, or asks for its judgements. Raises: Permanent, where processes ended over it again and again."""
        record = await self._read(partition, asked.offset)
        if record and isinstance(record.event, EvaluationRequested):
            request = self._log.vault.opened(record.event)
            with self._care.at(request.run_id):
                await (self._plan(request, record, asked) if asked.unplanned else self._judge(state, request))

    async def _broke(self, state: Requests, run_id: str, asked: Asked, error: Exception, *, partition: int) -> None:
        """A request that breaks its planner is ended, in the error's words; one whose run has come to its end is a dead letter."""
        record, why = await until_available(lambda: self._read(partition, asked.offset), what="kafka"), f"{type(error).__name__}: {error}"
        if record and asked.state == "completed":
            await give_up([(record, "cannot-judge", f"its judgements cannot be asked for: {why}"[:LONGEST_TOLD])], log=self._log)
        elif record and isinstance(record.event, EvaluationRequested):
            code = FORGOTTEN if isinstance(error, Permanent) and error.code == FORGOTTEN else "planning-broke"
            await self._end(record.event, asked, code=code, message=f"planning it failed: {why}"[:LONGEST_TOLD])
        state.open.pop(run_id, None)  # not before: until it is said, a snapshot holds it

    async def _end(self, request: EvaluationRequested, asked: Asked, *, code: str, message: str) -> None:
        """Says that a request cannot run: it is rejected, or where its plan is in the log, it has failed. Of one that is over, nothing."""
        ended: RunState = "rejected" if asked.state is None else "failed"
        if step(asked.state, ended) == ended != asked.state:
            await self._write([_changed(request, ended, reason_code=code, message=message)])
            asked.state = ended
            said = {} if request.visibility == PRIVATE else {"message": message}
            log_line.info(ended, run_id=request.run_id, reason_code=code, **said)

    async def _read(self, partition: int, offset: int) -> Record | None:
        async with aclosing(self._log.read_span(REQUESTS, partition=partition, first=offset, last=offset)) as records:
            return await anext(records, None)

    async def _plan(self, request: EvaluationRequested, record: Record, asked: Asked) -> None:
        started = time.perf_counter()
        try:
            # Kafka's time of the request, not the clock: planned again after a crash, it is planned alike.
            limits.check(request, asked_us=record.written_us)
            self._log.vault.check(request)
            async with self._care.attending(request.run_id):  # a model's files are read by libraries, here
                pinned, facts = await self._preparing.brought(request)
            before = await self._planned(request.run_id) if asked.state is not None else None
            async with self._planning.of(asked.submitter):
                plan, jobs = await self._preparing.plan(pinned, facts, asked_us=record.written_us, before=before)
            bounds.check_plan(planned := _changed(request, "planned", plan=plan))
            planning.check_again(before, plan)
        except Permanent as error:
            await self._end(request, asked, code=error.code, message=str(error)[:LONGEST_REASON])
            return
        await self._write([planned])
        asked.state, asked.jobs = step(asked.state, "planned"), plan.jobs  # it need not have come back: what breaks now is a run's
        stamp, when = producer("agents.plan"), request.occurred_us
        while some := list(islice(jobs.each, JOBS_AT_ONCE)):
            await self._write([
                JobPlanned(occurred_us=when, producer=stamp, organisation_id=request.organisation_id,
                           visibility=request.visibility, pool=job.pool, job_id=job.job_id, run_id=job.run_id, job=job)
                for job in some
            ])  # fmt: skip
            asked.planned |= {job.job_id for job in some}
        log_line.info("planned", run_id=request.run_id, jobs=jobs.count, took_s=round(time.perf_counter() - started, 3))

    async def _planned(self, run_id: str) -> Plan | None:
        """The plan that counts: the first in the log."""
        async with aclosing(self._log.of_key(RUNS, run_id.encode())) as records:
            plans = [record.event.plan async for record in records if isinstance(record.event, RunChanged)]
        return next(filter(None, plans), None)

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
            planning = Planning(log, Preparing(log, settings, building), Care("plan", log, settings))
            shards: Shards[Requests] = Shards(log, settings, worker="plan", fold=planning, tells=by_planner)
            await consume_sharded("plan", shards, log=log, settings=settings)
        finally:
            building.close()
