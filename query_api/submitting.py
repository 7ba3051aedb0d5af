"""Evaluations as clients ask for them: validated here, produced to Kafka, and no more."""

from typing import Any

from pydantic import Field
from uuid6 import uuid7

from infra.identity import now_us, producer
from infra.kafka import Log
from query_api.shapes import Shape
from schemas.event import Event
from schemas.requests import (
    Budget,
    CancellationRequested,
    Chat,
    EngineChoice,
    EvaluationRequested,
    ModelRef,
    Objective,
    Purpose,
    TaskChoice,
    Workload,
)
from streams.errors import Conflict, Unavailable
from streams.planning import check
from streams.topics import REQUESTS

HEADER = frozenset(Event.model_fields)


class Terms(Shape):
    """What an evaluation asks for, beside its model. A test holds the fields to those of the event."""

    submitter: str = Field(default="anonymous", description="who asks; agents are shared fairly between submitters")
    purpose: Purpose = "evaluate"
    parent_run: str | None = None
    campaign: str | None = Field(default=None, description="a name that several runs share")
    engine: EngineChoice = EngineChoice()
    suite: str | None = Field(default=None, description="the board on which the run is ranked")
    tasks: tuple[TaskChoice, ...] = Field(default=(), description="tasks by lm-eval's names")
    chat: Chat = Chat()
    workload: Workload | None = Field(default=None, description="a load to measure speed under")
    slo: Objective | None = None
    judges: tuple[str, ...] = ()
    stop_rule: str | None = None
    priority: int = Field(default=0, description="higher goes first")
    budget: Budget = Budget()
    credential_ref: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    pool: str = "default"


class Submission(Terms):
    """An evaluation of one model."""

    run_id: str = Field(
        default_factory=lambda: str(uuid7()),
        pattern=r"^[0-9A-Za-z_.-]{1,64}$",
        description="the idempotency key, best a UUIDv7; drawn where it is left out",
    )
    model: ModelRef


def requested(asked: Submission, *, organisation: str) -> EvaluationRequested:
    """The event that a submission asks for. Raises: Invalid, where it can be seen to be impossible."""
    header = {"occurred_us": now_us(), "producer": producer("query_api"), "organisation_id": organisation}
    event = EvaluationRequested.model_validate(asked.model_dump() | header)
    check(event)
    return event


class Submissions:
    """Requests on their way. What was submitted here is remembered until the projection has it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._bodies: dict[str, dict[str, Any]] = {}

    async def submit(self, event: EvaluationRequested) -> None:
        """Produces a request; the same again is the same run. Raises: Conflict where its run_id was used for another."""
        body = event.model_dump(exclude=set(HEADER))
        known = self._bodies.get(event.run_id) or await self._in_log(event.run_id)
        if known is not None and known != body:
            raise Conflict(f"run_id {event.run_id} was used before for another request; draw a new one", code="run-id-used")
        if known is None:
            await self._publish(event)
        self._bodies[event.run_id] = body

    async def _publish(self, event: EvaluationRequested) -> None:
        try:
            await self._log.publish(event)
        except Unavailable as error:
            raise Unavailable(f"{error}. It may still arrive: to ask again, send run_id {event.run_id}", code=error.code) from error

    async def _in_log(self, run_id: str) -> dict[str, Any] | None:
        async for record in self._log.read([REQUESTS]):
            if isinstance(record.event, EvaluationRequested) and record.event.run_id == run_id:
                return record.event.model_dump(exclude=set(HEADER))
        return None

    def remembered(self, run_id: str) -> dict[str, Any] | None:
        """What was submitted here under this id."""
        return self._bodies.get(run_id)

    async def cancel(self, run_id: str, *, by: str, message: str) -> None:
        """Asks for a run to stop."""
        await self._log.publish(
            CancellationRequested(occurred_us=now_us(), producer=producer("query_api"), run_id=run_id, by=by, message=message)
        )
