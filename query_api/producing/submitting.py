"""Evaluations as clients ask for them: validated here, produced to Kafka, and no more."""

from collections.abc import Mapping, Sequence, Set
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field
from uuid6 import uuid7

from infra.identity import now_us, producer
from infra.kafka import Log
from infra.suites.reading import chosen, suite
from query_api.operations.shapes import Shape
from schemas.event import Event, Finite, RunId, Visibility, derive_run_id
from schemas.requests import (
    Budget,
    CancellationRequested,
    Chat,
    EngineChoice,
    EvaluationRequested,
    Judgement,
    ModelRef,
    Objective,
    Purpose,
    Stopping,
    TaskChoice,
    Workload,
)
from schemas.runs import Plan
from schemas.trust import RunRetracted
from streams.errors import Conflict, Invalid, Unavailable
from streams.planning import check
from streams.queue import limits
from streams.topics import REQUESTS
from streams.trust import again

OF_TASKS = frozenset({"limit", "limit_ratio", "skip_bad_rows"})  # what is said of all tasks at once
HEADER = frozenset(Event.model_fields) - {"visibility"}
REMEMBERED = 10_000
DAY_US = 24 * 3600 * 10**6
NAME = r"^[0-9A-Za-z_.-]{1,64}$"

EXAMPLE: dict[str, Any] = {"tasks": [{"name": "hellaswag", "limit": 200}, {"name": "arc_easy"}]}


class Terms(Shape):
    """What an evaluation asks for, beside its model. A test holds the fields to those of the event."""

    submitter: str = Field(default="anonymous", description="who asks; agents are shared fairly between submitters")
    purpose: Purpose = "evaluate"
    parent_run: RunId | None = Field(default=None, description="the run whose answers derived tasks judge")
    campaign: str | None = Field(default=None, description="a name that several runs share")
    engine: EngineChoice = EngineChoice()
    suite: str | None = Field(
        default=None, description="the board on which the run is ranked; one of the project's suites brings its tasks, where none are named"
    )
    tasks: tuple[TaskChoice, ...] = Field(default=(), description="tasks by lm-eval's names")
    chat: Chat = Chat()
    workload: Workload | None = Field(default=None, description="a load to measure speed under")
    slo: Objective | None = None
    judges: tuple[str, ...] = Field(default=(), description="models that judge the answers by the usual rubric, once they are complete")
    stop_rule: str | None = None
    priority: int = Field(default=0, description="higher goes first")
    budget: Budget = Budget()
    credential_ref: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    pool: str = "default"
    visibility: Visibility = Field(default="organisation", description="private: its prompts and answers are told nowhere but in the log")
    suite_version: str | None = Field(default=None, description="a suite's version; the project's own suites say theirs")
    pinned: bool = Field(default=False, description="refuse tasks that differ from what they are pinned to, instead of telling it")
    skip_missing: bool = Field(default=False, description="go on without tasks that cannot run here, instead of refusing all")
    skip_bad_rows: bool = Field(
        default=False, description="leave out rows of any task's data that cannot be asked or scored, and count them"
    )
    judgements: tuple[Judgement, ...] = Field(default=(), description="judges of the answers, each in a run of its own")
    against_run: RunId | None = Field(default=None, description="the run whose answers those of parent_run are compared with")
    stopping: Stopping | None = Field(default=None, description="when a task is known well enough to stop early; null: it runs whole")
    model_published: str | None = Field(
        default=None,
        description="when the model was published, YYYY-MM or YYYY-MM-DD: data that are older may have been seen; else its card says",
    )
    no_truncation: bool = Field(default=False, description="fail over a request that the model's window would truncate")
    model_licences: tuple[str, ...] = Field(
        default=(), description="SPDX ids: a model under any other licence is refused; none: all are taken"
    )
    data_licences: tuple[str, ...] = Field(
        default=(), description="SPDX ids: a task whose data are under any other licence is refused; none: all are taken"
    )
    non_commercial: bool = Field(
        default=False, description="take data whose licence is for non-commercial use alone, which are refused else"
    )
    adaptive: int | None = Field(
        default=None, description="ask so many documents of each task, and estimate the whole by other models' runs; null: it asks all"
    )
    audit_of: RunId | None = Field(
        default=None, description="the run that an audit runs again; `POST /v1/runs/{run_id}/audits` asks for one"
    )
    audit_ratio: Finite | None = Field(
        default=None, description="the share of its documents that are asked again, drawn by its seal; null: all"
    )
    limit: int | None = Field(default=None, description="the first so many samples of each task that has no limit of its own")
    limit_ratio: float | None = Field(default=None, description="that share of each task's samples, where it has no limit of its own")


class Submission(Terms):
    """An evaluation of one model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": {"uri": "org/name"}, **EXAMPLE}]})

    run_id: RunId = Field(default_factory=lambda: str(uuid7()), description="a UUIDv7, the idempotency key; drawn where it is left out")
    model: ModelRef


class Batch(Terms):
    """The same evaluation of several models: a run for each, all with the same tasks, under one campaign."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"models": [{"uri": "org/name"}, {"uri": "org/other"}], **EXAMPLE}]})

    campaign: str = Field(
        default_factory=lambda: str(uuid7()),
        pattern=NAME,
        description="the name that its runs share, and the idempotency key; drawn where it is left out",
    )
    models: tuple[ModelRef, ...] = Field(min_length=1, max_length=100)


def submissions_of(batch: Batch, *, organisation: str) -> list[Submission]:
    """A batch's evaluations. Their run ids are derived from campaign and organisation, so that the same batch again is the same runs.

    Raises: Invalid where one date is said of several models.
    """
    if batch.model_published is not None and len(batch.models) > 1:
        raise Invalid(
            f"model_published {batch.model_published!r} is one model's date, and there are {len(batch.models)}: ask for each by itself",
            code="model-published",
        )
    terms = batch.model_dump(exclude={"models"})
    return [
        Submission.model_validate(
            terms | {"model": model.model_dump(), "run_id": derive_run_id("Batch", batch.campaign, place, organisation)}
        )
        for place, model in enumerate(batch.models)
    ]


def requested(asked: Submission, *, organisation: str) -> EvaluationRequested:
    """The event that a submission asks for. Raises: Invalid, where it can be seen to be impossible."""
    header = {"occurred_us": now_us(), "producer": producer("query_api"), "organisation_id": organisation}
    if asked.suite and not asked.tasks and asked.workload is None:
        suite(asked.suite)  # a slip of the finger is told as such
    tasks, version = chosen(asked.suite, asked.tasks)
    limit = {"limit": asked.limit, "limit_ratio": asked.limit_ratio}
    limited = [choice.model_copy(update=limit) if choice.limit is choice.limit_ratio is None else choice for choice in tasks]
    if asked.skip_bad_rows:
        limited = [choice.model_copy(update={"skip_bad_rows": True}) for choice in limited]
    told = {"tasks": [choice.model_dump() for choice in limited], "suite_version": version or asked.suite_version}
    event = EvaluationRequested.model_validate(asked.model_dump(exclude=set(OF_TASKS)) | told | header)
    check(event)
    limits.check(event, asked_us=event.occurred_us)
    return event


def audit_of_run(state: Mapping[str, Any], asked: Sequence[Mapping[str, Any]], *, pool: str | None, **told: Any) -> EvaluationRequested:
    """The request of an audit of the run with that row of `run_states`, and that of its request. Raises: Invalid where it cannot be."""
    run_id, plan = state["run_id"], Plan.model_validate_json(state["plan"]) if state["plan"] else None
    own = {"pool": asked[0]["pool"], "visibility": asked[0]["visibility"]} if asked else {}
    if plan is None:
        raise Invalid(f"run {run_id} is {state['state']} and has no plan: there is nothing to run again", code=again.CODE)
    event = again.request_of(run_id, plan, **own | ({"pool": pool} if pool else {}) | told)
    check(event)
    limits.check(event, asked_us=event.occurred_us)
    again.check_run(event, state["state"], plan)
    return event


class Submissions:
    """Requests on their way. What was submitted here is remembered until the projection has it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._bodies: dict[str, dict[str, Any]] = {}

    async def submit(self, events: Sequence[EvaluationRequested], *, key: str | None) -> None:
        """Produces requests, all or (where one of them cannot be) none; the same again is the same run.

        `key` is the client's idempotency key; None where their ids were drawn a moment ago, and need not be looked for.
        Raises: Conflict where a run_id was used for another request.
        """
        bodies = {event.run_id: _body(event) for event in events}
        unknown = bodies.keys() - self._bodies.keys() if key is not None else set()
        known = self._bodies | (await self._in_log(unknown, since_us=drawn_us(key or "")) if unknown else {})
        for run_id, body in bodies.items():
            if known.get(run_id, body) != body:
                raise Conflict(f"run_id {run_id} was used before for another request; draw a new one", code="run-id-used")
        await self._publish([event for event in events if event.run_id not in known])
        self._bodies = dict(list((self._bodies | bodies).items())[-REMEMBERED:])

    async def _publish(self, events: Sequence[EvaluationRequested]) -> None:
        try:
            await self._log.publish_all(events)
        except Unavailable as error:
            names = f"run_id {events[0].run_id}" if len(events) == 1 else f"campaign {events[0].campaign}"
            raise Unavailable(f"{error}. It may still arrive: to ask again, send {names}", code=error.code) from error

    async def _in_log(self, run_ids: Set[str], *, since_us: int) -> dict[str, dict[str, Any]]:
        """What was asked for under these ids; of several requests the first counts."""
        found: dict[str, dict[str, Any]] = {}
        since = await self._log.offsets_at([REQUESTS], written_us=since_us) if since_us else None
        async for record in self._log.read([REQUESTS], since=since):
            if isinstance(record.event, EvaluationRequested) and record.event.run_id in run_ids:
                found.setdefault(record.event.run_id, _body(self._log.vault.opened(record.event)))
        return found

    def remembered(self, run_id: str) -> dict[str, Any] | None:
        """What was submitted here under this id."""
        return self._bodies.get(run_id)

    async def cancel(self, run_id: str, *, by: str, message: str, **header: str) -> None:
        """Asks for a run to stop. `header`: whose it is, and who may see it."""
        about = {"occurred_us": now_us(), "producer": producer("query_api"), "run_id": run_id, "by": by, "message": message}
        await self._log.publish(CancellationRequested.model_validate(about | header))

    async def retract(self, run_id: str, *, by: str, reason: str, **header: str) -> None:
        """Says that a run no longer counts. `header`: whose it is, and who may see it."""
        about = {"occurred_us": now_us(), "producer": producer("query_api"), "run_id": run_id, "by": by, "reason": reason}
        await self._log.publish(RunRetracted.model_validate(about | header))


def drawn_us(key: str) -> int:
    """When a UUIDv7 was drawn, less a day for clocks that differ; 0 for any other name. Nothing was asked for under it before."""
    try:
        drawn = UUID(key)
    except ValueError:
        return 0
    return max(0, (drawn.int >> 80) * 1000 - DAY_US) if drawn.version == 7 else 0


def _body(event: EvaluationRequested) -> dict[str, Any]:
    return event.model_dump(exclude=set(HEADER) - {"organisation_id"})
