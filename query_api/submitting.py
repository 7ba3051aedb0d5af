"""Requests from bodies: validated here, produced to Kafka, and no more."""

import json
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from uuid6 import uuid7

from infra.identity import now_us, producer
from infra.kafka import Log
from schemas.event import Event
from schemas.requests import CancellationRequested, EvaluationRequested
from streams.errors import Conflict, Invalid
from streams.planning import check
from streams.topics import REQUESTS

HEADER = frozenset(Event.model_fields) - {"organisation_id"}
LARGEST_BODY_BYTES = 2**20


async def body_of(request: Request) -> dict[str, Any]:
    """A request's JSON object. Raises: Invalid."""
    raw = await request.body()
    if len(raw) > LARGEST_BODY_BYTES:
        raise Invalid(f"the body has {len(raw)} bytes; 1 MiB is the most", code="body-too-long")
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise Invalid(f"the body is not JSON: {error}", code="not-json") from error
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object", code="not-json")
    return body


def requested(body: dict[str, Any], *, organisation: str) -> EvaluationRequested:
    """The event that a body asks for; `run_id` is drawn where there is none. Raises: Invalid, naming the field."""
    if header := sorted(HEADER & body.keys()):
        raise Invalid(
            f"{header[0]} is not for clients to set; leave it out",
            code="unknown-field",
        )
    drawn = {"run_id": str(uuid7()), "organisation_id": organisation}
    try:
        event = EvaluationRequested.model_validate(drawn | body | {"occurred_us": now_us(), "producer": producer("query_api")})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        known = (
            f"; the fields are {', '.join(sorted(set(EvaluationRequested.model_fields) - HEADER))}"
            if first["type"] == "extra_forbidden"
            else ""
        )
        raise Invalid(f"{field}: {first['msg']}{known}", code="unknown-field" if known else "invalid-field") from error
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
            await self._log.publish(event)
        self._bodies[event.run_id] = body

    async def _in_log(self, run_id: str) -> dict[str, Any] | None:
        async for record in self._log.read([REQUESTS]):
            if isinstance(record.event, EvaluationRequested) and record.event.run_id == run_id:
                return record.event.model_dump(exclude=set(HEADER))
        return None

    def remembers(self, run_id: str) -> bool:
        """The run was submitted here."""
        return run_id in self._bodies

    async def cancel(self, run_id: str, *, by: str, message: str) -> None:
        """Asks for a run to stop."""
        await self._log.publish(
            CancellationRequested(occurred_us=now_us(), producer=producer("query_api"), run_id=run_id, by=by, message=message)
        )
