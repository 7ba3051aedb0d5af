"""Audits: asking that a run is run again, and looking at what came of it."""

from typing import Literal

from pydantic import ConfigDict, Field
from uuid6 import uuid7

from infra.identity import now_us, producer
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.submitting import audit_of_run
from query_api.reading.audits import audits
from query_api.reading.paging import Paged
from query_api.routes.runs import State
from schemas.event import RunId
from schemas.requests import Budget


class Auditing(Shape):
    """Who has a run run again, how much of it, and where."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"share": 0.1}]})

    run_id: RunId = Field(default_factory=lambda: str(uuid7()), description="the audit's own id, a UUIDv7; drawn where it is left out")
    submitter: str = "anonymous"
    share: float | None = Field(
        default=None, gt=0, le=1, description="the share of its documents that are asked again, drawn by the run's seal; null: all"
    )
    pool: str | None = Field(default=None, description="the pool that runs it; null: the run's own")
    priority: int = Field(default=0, description="higher goes first")
    budget: Budget = Budget()


class AuditAsked(Shape):
    """An audit that was asked for: a run of its own."""

    run_id: str
    audit_of: str
    state: Literal["requested"] = "requested"


class AuditsAsked(Paged):
    """Which audits."""

    run_id: str = Field(default="", description="only those of this run, or the one that it is itself")
    sort: Literal["-requested_us", "requested_us", "-changed_us", "changed_us"] = Field(
        default="-requested_us", description="by what; a minus: the greatest first"
    )


class AuditedSample(Shape):
    """A sample of which the run and its audit say different things."""

    task: str
    ordinal: int
    repeat: int
    what: tuple[str, ...] = Field(description="in words, the run's value first")


PAIRED = "by the kind of its values, as of a comparison (docs/rigor.md)"


class AuditedMetric(Shape):
    """A task's main metric in both, over the documents of both: run - audit, with its 95 % interval."""

    task: str
    metric: str
    filter: str
    run: float
    audit: float
    difference: float
    low: float | None
    high: float | None
    n: int
    method: str = Field(default=PAIRED, description="what made the interval")


class AuditedFact(Shape):
    """A fact of where they ran that is not the same for both."""

    what: str
    run: str | None
    audit: str | None


class AuditReport(Shape):
    """How a run and its audit compare, as the owner of that key says."""

    key_id: str
    own: bool = Field(description="the key seals runs here; else it is another party's")
    signed: bool = Field(description="the signature holds; what is not signed proves nothing")
    state: State | None = Field(description="the audit's; only a completed one counts on boards")
    equal_ratio: float
    samples: int = Field(description="those that both answered, and that did not fail in both")
    equal: int
    failed: int = Field(description="samples that failed in both, which proves nothing: they are not among the others")
    unmatched: int = Field(description="samples that the audit answered and the run did not")
    asked: int = Field(description="samples that were asked again; those that the audit did not answer are told in `differences`")
    tolerance: float = Field(description="of log-likelihoods and scores: absolute, or of the greater")
    differing_by: dict[str, int] = Field(description="how many differ by prompt, error, text, likelihood, greedy, score")
    differing: tuple[AuditedSample, ...] = Field(description="the first hundred")
    metrics: tuple[AuditedMetric, ...]
    environment: tuple[AuditedFact, ...]
    differences: tuple[str, ...] = Field(description="what differs, in sentences; none: nothing does")


class Audit(Shape):
    """An audit: a run that runs another one again. It has no report while it runs, or where nothing could be compared."""

    run_id: str
    audit_of: str
    share: float = Field(description="of the run's documents")
    state: State
    message: str | None
    model: str
    submitter: str
    requested_us: int
    changed_us: int
    reports: tuple[AuditReport, ...]


class AuditPage(Shape):
    """Audits, in the order asked for."""

    audits: tuple[Audit, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


async def ask(call: Call[Nothing, Auditing]) -> AuditAsked:
    """Has a run run again, with its prompts, seeds and settings, and both compared, sample by sample.

    The audit is a run of its own, which stands on no board. What came of it is told by `GET /v1/audits`, seconds after it is over.
    """
    parent, body = call.path["run_id"], call.body
    event = audit_of_run(
        await call.state.reading.state(parent), await call.state.reading.rows("request", run_id=parent), pool=body.pool,
        run_id=body.run_id, submitter=body.submitter, priority=body.priority, budget=body.budget.model_dump(), audit_ratio=body.share,
        organisation_id=call.state.settings.organisation, occurred_us=now_us(), producer=producer("query_api"),
    )  # fmt: skip
    await call.state.submissions.submit([event], key=body.run_id if "run_id" in body.model_fields_set else None)
    return AuditAsked(run_id=event.run_id, audit_of=parent)


async def listed(call: Call[AuditsAsked, Nothing]) -> AuditPage:
    """Lists audits, the newest first, each with what was reported of it under which key."""
    return AuditPage.model_validate(await audits(call.state.reading, **call.query.model_dump()))


OPERATIONS = (
    Operation("POST", "/v1/runs/{run_id}/audits", ask, tag="runs", status=202, refuses=(409,), location="/v1/runs/{run_id}"),
    Operation("GET", "/v1/audits", listed, tag="runs", refuses=(404,)),
)
