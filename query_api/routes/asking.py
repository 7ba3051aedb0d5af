"""What is asked of runs: one, or one for each of several models; that one stops, or counts no longer."""

from typing import Literal

from pydantic import ConfigDict, Field

from query_api.access.owning import header_of_own
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.submitting import Batch, Submission, requested, submissions_of
from schemas.event import Who, Why
from streams.errors import Conflict
from streams.runs import TERMINAL


class Submitted(Shape):
    """A run that was asked for."""

    run_id: str
    state: Literal["requested"] = "requested"


class Asked(Shape):
    """A run of a batch."""

    run_id: str
    model: str


class BatchSubmitted(Shape):
    """The runs of a batch, in the order of its models."""

    campaign: str
    runs: tuple[Asked, ...]


class Cancellation(Shape):
    """Who stops a run, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "me", "message": "the wrong model"}]})

    by: Who = "api"
    message: Why = ""


class Retracting(Shape):
    """Who says that a run no longer counts, and why: it stays in the record, with this."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "me", "reason": "the prompts had the answers in them"}]})

    by: Who = "api"
    reason: Why = Field(min_length=1)


class Retracted(Shape):
    """A run that was retracted."""

    run_id: str
    by: str
    reason: str


class Cancelling(Shape):
    """A run that was asked to stop."""

    run_id: str
    state: Literal["cancelling"] = "cancelling"


async def submit(call: Call[Nothing, Submission]) -> Submitted:
    """Asks for an evaluation.

    The answer says that the request is on the log, no more; the run's address tells how it goes. The same body under the same
    `run_id` again is the same run; another one is refused with 409.
    """
    event = requested(call.body, organisation=call.state.settings.organisation)
    await call.state.submissions.submit([event], key=_given(call.body, "run_id"))
    return Submitted(run_id=event.run_id)


def _given(body: Shape, name: str) -> str | None:
    """The field where the client gave it; None where it was drawn here."""
    return getattr(body, name) if name in body.model_fields_set else None


async def submit_batch(call: Call[Nothing, Batch]) -> BatchSubmitted:
    """Asks for the same evaluation of several models: a run for each, under one campaign.

    Where one of them cannot be, none is asked for. The same body under the same `campaign` again is the same runs, so that a batch
    whose answer was lost can be sent again. `GET /v1/runs?campaign=` lists its runs.
    """
    organisation = call.state.settings.organisation
    events = [requested(one, organisation=organisation) for one in submissions_of(call.body, organisation=organisation)]
    await call.state.submissions.submit(events, key=_given(call.body, "campaign"))
    return BatchSubmitted(campaign=call.body.campaign, runs=tuple(Asked(run_id=one.run_id, model=one.model.uri) for one in events))


async def cancel(call: Call[Nothing, Cancellation]) -> Cancelling:
    """Stops a run; what it has measured stays."""
    run_id = call.path["run_id"]
    if (asked := call.state.submissions.remembered(run_id)) is not None:
        header = {name: asked[name] for name in ("organisation_id", "visibility")}
    else:
        header = await header_of_own(call.state, await call.state.reading.state(run_id))
    await call.state.submissions.cancel(run_id, by=call.body.by, message=call.body.message, **header)
    return Cancelling(run_id=run_id)


async def retract(call: Call[Nothing, Retracting]) -> Retracted:
    """Says that a run no longer counts.

    It has no rank from then on, and stays where it was shown, with the reason. There is no way back: what was said stays in the log.
    """
    run_id = call.path["run_id"]
    state = await call.state.reading.state(run_id)
    header = await header_of_own(call.state, state)
    if state["state"] not in TERMINAL:
        raise Conflict(f"run {run_id} is {state['state']}: only what is over can be retracted; cancel it first", code="not-over")
    await call.state.submissions.retract(run_id, by=call.body.by, reason=call.body.reason, **header)
    return Retracted(run_id=run_id, by=call.body.by, reason=call.body.reason)


OPERATIONS = (
    Operation("POST", "/v1/evaluations", submit, tag="runs", status=202, refuses=(409,), location="/v1/runs/{run_id}"),
    Operation("POST", "/v1/batches", submit_batch, tag="runs", status=202, refuses=(409,), location="/v1/runs?campaign={campaign}"),
    Operation("POST", "/v1/runs/{run_id}/cancel", cancel, tag="runs", status=202),
    Operation("POST", "/v1/runs/{run_id}/retract", retract, tag="runs", status=202, refuses=(409,), role="operator"),
)
