"""Runs: asking for one, listing them, one with its scores and speed, stopping it."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.submitting import Batch, Submission, requested, submissions_of
from query_api.reading.paging import Paged
from schemas.event import Visibility
from schemas.requests import Chat
from schemas.results import Verdict
from streams.errors import Conflict, NotFound
from streams.quality.exposure import DataAge
from streams.runs import TERMINAL

State = Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"]


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


class RunsAsked(Paged):
    """Which runs."""

    state: State | None = Field(default=None, description="only those in this state")
    model: str = Field(default="", description="only of this model: its whole address, or the last part of it")
    task: str = Field(default="", description="only those that run this task")
    suite: str = Field(default="", description="only those ranked on this board")
    submitter: str = Field(default="", description="only those that this one asked for")
    campaign: str = Field(default="", description="only those of this campaign")
    sort: Literal["-requested_us", "requested_us", "-changed_us", "changed_us", "model", "-model"] = Field(
        default="-requested_us", description="by what; a minus: the greatest first"
    )


class RunRow(Shape):
    """A run, as lists show it."""

    run_id: str
    state: State
    reason_code: str | None
    message: str | None
    model: str
    engine: str
    suite: str
    submitter: str
    jobs: int
    expected: int = Field(description="samples that will be scored, repeats included")
    tasks: tuple[str, ...]
    asked: tuple[str, ...] = Field(description="its tasks, those of a group as the group")
    parameters: int | None
    requested_us: int
    changed_us: int
    progress: float = Field(description="0..1")
    waits_for: str | None = Field(description="what it waits for, in words; null where it does not wait")
    sealed: bool = Field(default=False, description="a seal says so; `assay verify` proves it")
    retracted: bool = Field(default=False, description="it no longer counts, and stays in the record")


class RunPage(Shape):
    """Runs, in the order asked for."""

    runs: tuple[RunRow, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class ModelPublished(Shape):
    """When the model was published, and what says so: request or README.md."""

    date: str
    source: str


class TaskProgress(Shape):
    """How far a task of a run is, in samples."""

    task: str
    expected: int
    answered: int
    scored: int
    not_scored: int
    truncated: int = Field(default=0, description="samples of which the model's window truncated a prompt or a choice")
    planned: int = Field(description="more than expected where it stopped early")
    half_width: float | None = Field(description="what its figures are known to, where it stopped early")
    data_published: str | None = Field(default=None, description="the month in which its data first appeared; null where that is not known")
    data_age: DataAge = Field(default="unknown", description="older: the model may have seen its data; newer: they came after the model")


class Score(Shape):
    """A metric of a task of a run, with its 95 % interval. Undefined is null, with its reason."""

    task: str
    metric: str
    filter: str
    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    samples: int
    not_scored: int
    complete: bool
    why_undefined: str | None
    truncated: int = Field(default=0, description="samples of the task of which the model's window truncated a prompt or a choice")
    rows_skipped: int = Field(default=0, description="rows of the task's data that were left out: the value is over fewer")
    sequential: bool = Field(default=False, description="the interval is a confidence sequence's: the task may stop early")
    group: str | None = Field(default=None, description="the group that the task is of")
    repeats: int = Field(
        default=1, description="how often each of the samples was asked; the value is over samples, each the mean of its repeats"
    )
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")
    between_documents: float | None = Field(default=None, description="the variance from document to document, where there are repeats")
    within_documents: float | None = Field(
        default=None, description="the variance of one answer to the same document, where there are repeats"
    )
    setups: int = Field(
        default=1, description="in how many set-ups (few-shot seeds, prompt formats) the repeats were asked: docs/variance.md"
    )
    between_setups: float | None = Field(default=None, description="the variance from set-up to set-up, where there are several")
    half_width: float | None = Field(default=None, description="the interval's half-width by these three variances, about")
    half_width_documents: float | None = Field(default=None, description="what it would be with twice the documents")
    half_width_setups: float | None = Field(default=None, description="what it would be with twice the set-ups")


class GroupScore(Shape):
    """The main metric over a group's tasks, each by its samples, as lm-eval has it; the interval follows from theirs."""

    group: str
    tasks: int = Field(description="how many tasks it is of")
    metric: str
    filter: str
    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    samples: int
    not_scored: int
    truncated: int = Field(description="samples of which the model's window truncated a prompt or a choice")
    complete: bool
    why_undefined: str | None = Field(description="why there is no value")
    sequential: bool = Field(description="the interval of a task is a confidence sequence's")


class Spread(Shape):
    """How a duration was distributed, in seconds."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class LoadSender(Shape):
    """Whether the load's sender kept up, and why it did not."""

    overloaded: bool | None
    why: str | None
    pacing_error_p99_s: float | None


class Energy(Shape):
    """What it took, where a meter is; the grade says how it was read."""

    grade: str | None
    joules: float | None
    joules_per_token: float | None
    why_undefined: str | None


class Level(Shape):
    """What a load was held to: that share of all times at most so long. Null is no limit."""

    ttft_s: float | None
    itl_s: float | None
    e2e_s: float | None
    ratio: float


class SweepStep(Shape):
    """A step of a sweep: requests at one rate, or one stream alone (null). `why` says what was not kept."""

    step: int
    rate_per_s: float | None
    verdict: Verdict
    why: str | None
    requests: int
    errors: int
    requests_per_s: float | None
    offered_per_s: float | None
    output_tokens_per_s: float | None
    goodput_per_s: float | None = Field(description="requests a second that kept every limit; null without a service level")
    ttft_s: Spread
    itl_s: Spread
    e2e_s: Spread


class Reached(Shape):
    """A rate that a sweep found, with its interval; null with its reason."""

    value: float | None
    low: float | None
    high: float | None
    why_undefined: str | None
    note: str | None = Field(description="what lies at its end, in words")


class Sweep(Shape):
    """Loads at one rate after another, in the order in which they were taken, and what they came to (docs/speed.md)."""

    steps: tuple[SweepStep, ...]
    slo_rate_per_s: Reached | None = Field(description="the highest rate under the service level; null without one")
    knee_rate_per_s: Reached | None
    cliff_rate_per_s: Reached | None
    capacity_requests_per_s: Reached | None


class Speed(Shape):
    """A run's measured speed, in its steady window. `undefined` says why a figure is not there, as a percentile that needs more values.

    `output_tokens_per_s` is what the load brought; `alone_tokens_per_s` is one stream's alone, `capacity_tokens_per_s` a full server's.
    `first_answer_s` counts to the first token that is no reasoning; `gap_s` is between arrivals, of one token or of several. Of a sweep the
    latencies and rates are those of its best step.
    """

    requests: int | None
    errors: int | None
    cancelled: int | None = Field(description="requests that the client gave up as it was asked to; they are in no latency, and no error")
    errors_by_kind: dict[str, int]
    requests_per_s: float | None
    offered_per_s: float | None
    output_tokens_per_s: float | None
    alone_tokens_per_s: float | None
    capacity_tokens_per_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    undefined: dict[str, str]
    ttft_s: Spread
    first_answer_s: Spread
    itl_s: Spread
    gap_s: Spread
    tpot_s: Spread
    e2e_s: Spread
    goodput_per_s: float | None = Field(description="requests a second that kept every limit; null without a service level")
    client: LoadSender
    energy: Energy
    slo: Level | None = Field(description="what the load was held to")
    sweep: Sweep | None = Field(description="null of a load at one rate")


class Skipped(Shape):
    """A task that was left out, and why."""

    task: str
    reason: str


class Whom(Shape):
    """A run whose answers are judged."""

    run_id: str
    model: str


class Seal(Shape):
    """A run's newest seal: the Merkle root over so many of its events, and the key that signed it."""

    root: str
    key_id: str
    events: int


class Retraction(Shape):
    """Who said that a run no longer counts, and why."""

    by: str
    reason: str


class LateEvent(Shape):
    """An event that was said of a run after its seal, and is no part of it: where in the log it lies."""

    late_event: str = Field(description="its type")
    topic: str
    partition: int
    offset: int
    late_id: str


class Server(Shape):
    """A server elsewhere that answers for a run's model: what it says of itself, and what it was found to do."""

    address: str
    model: str = Field(description="its own name for what answers")
    owner: str | None
    version: str | None
    header: str | None
    max_len: int | None
    apis: tuple[str, ...] = Field(description="completions, chat")
    likelihoods: str | None = Field(description="by what it tells log-probabilities of a prompt; null where it does not")


class Run(Shape):
    """A run with all that is known of it."""

    run_id: str
    state: State
    reason_code: str | None = None
    message: str | None = None
    model: str = ""
    model_sha: str = ""
    engine: str = ""
    suite: str = ""
    submitter: str = ""
    organisation_id: str = ""
    visibility: Visibility = Field(default="organisation", description="private: its prompts and answers are told nowhere but in the log")
    jobs: int = 0
    expected: int = 0
    perf_requests: int | None = None
    parameters: int | None = None
    requested_us: int = 0
    planned_us: int = 0
    changed_us: int = 0
    progress: float = 0.0
    tasks: tuple[TaskProgress, ...] = ()
    flags: tuple[str, ...] = Field(default=(), description="signs of contamination that were found, in words (docs/contamination.md)")
    model_published: ModelPublished | None = Field(default=None, description="null where neither its request nor its card says it")
    exposure: tuple[str, ...] = Field(default=(), description="whether the model may have seen the data, in words (docs/contamination.md)")
    unscored: str | None = Field(default=None, description="how many of its samples cannot be scored, in words; null where none is")
    scores: tuple[Score, ...] = ()
    groups: tuple[GroupScore, ...] = Field(default=(), description="a group has one once each of its tasks has its main metric")
    performance: Speed | None = None
    skipped: tuple[Skipped, ...] = ()
    suite_version: str | None = Field(default=None, description="the version of the suite that brought the tasks")
    warnings: tuple[str, ...] = Field(default=(), description="in what its tasks differ from what they are pinned to")
    waits_for: str | None = Field(default=None, description="what it waits for, in words; null where it does not wait")
    subject: Whom | None = Field(default=None, description="whose answers it judges; null where it judges nobody's")
    against: Whom | None = Field(default=None, description="with whose answers it compares them")
    chat: Chat = Field(default=Chat(), description="how prompts are dressed")
    server: Server | None = Field(default=None, description="who answers for its model elsewhere; weights, dtype and hardware are unknown")
    waits_code: str | None = Field(default=None, description="no-dispatcher, no-agent, no-fit, busy or retry")
    jobs_ahead: int | None = Field(default=None, description="jobs that go first, or the step below: 5, 10, 20, 50 …")
    seal: Seal | None = Field(default=None, description="null while it is not sealed; `assay verify` proves what it says (docs/trust.md)")
    retraction: Retraction | None = Field(default=None, description="null where it counts")
    quarantined: int = Field(default=0, description="events that were said of it after its seal, and are no part of it")
    late: tuple[LateEvent, ...] = Field(default=(), description="the first twenty of them")


class Cancellation(Shape):
    """Who stops a run, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "me", "message": "the wrong model"}]})

    by: str = "api"
    message: str = ""


class Retracting(Shape):
    """Who says that a run no longer counts, and why: it stays in the record, with this."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "me", "reason": "the prompts had the answers in them"}]})

    by: str = "api"
    reason: str = Field(min_length=1, max_length=2000)


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
    events = [requested(one, organisation=call.state.settings.organisation) for one in submissions_of(call.body)]
    await call.state.submissions.submit(events, key=_given(call.body, "campaign"))
    return BatchSubmitted(campaign=call.body.campaign, runs=tuple(Asked(run_id=one.run_id, model=one.model.uri) for one in events))


async def runs(call: Call[RunsAsked, Nothing]) -> RunPage:
    """Lists runs, the newest first, each with its progress."""
    found, next_page = await call.state.reading.runs(**(call.query.model_dump() | {"state": call.query.state or ""}))
    return RunPage.model_validate({"runs": found, "next": next_page})


async def run(call: Call[Nothing, Nothing]) -> Run:
    """Shows a run: its state, progress, scores with intervals, speed."""
    run_id = call.path["run_id"]
    try:
        return Run.model_validate(await call.state.reading.run(run_id))
    except NotFound:
        asked = call.state.submissions.remembered(run_id)
        if asked is None:
            raise
        return _on_its_way(run_id, asked)


def _on_its_way(run_id: str, asked: dict[str, Any]) -> Run:
    """A run that was produced, and is not yet in ClickHouse."""
    model, engine = asked["model"]["uri"], asked["engine"]["name"]
    return Run(run_id=run_id, state="requested", model=model, engine=engine, suite=asked["suite"] or "", submitter=asked["submitter"],
               visibility=asked["visibility"])  # fmt: skip


async def cancel(call: Call[Nothing, Cancellation]) -> Cancelling:
    """Stops a run; what it has measured stays."""
    run_id = call.path["run_id"]
    if call.state.submissions.remembered(run_id) is None:
        await call.state.reading.state(run_id)
    await call.state.submissions.cancel(run_id, by=call.body.by, message=call.body.message)
    return Cancelling(run_id=run_id)


async def retract(call: Call[Nothing, Retracting]) -> Retracted:
    """Says that a run no longer counts.

    It has no rank from then on, and stays where it was shown, with the reason. There is no way back: what was said stays in the log.
    """
    run_id = call.path["run_id"]
    state = await call.state.reading.state(run_id)
    if state["state"] not in TERMINAL:
        raise Conflict(f"run {run_id} is {state['state']}: only what is over can be retracted; cancel it first", code="not-over")
    await call.state.submissions.retract(run_id, organisation=state["organisation_id"], by=call.body.by, reason=call.body.reason)
    return Retracted(run_id=run_id, by=call.body.by, reason=call.body.reason)


OPERATIONS = (
    Operation("POST", "/v1/evaluations", submit, tag="runs", status=202, refuses=(409,), location="/v1/runs/{run_id}"),
    Operation("POST", "/v1/batches", submit_batch, tag="runs", status=202, refuses=(409,), location="/v1/runs?campaign={campaign}"),
    Operation("GET", "/v1/runs", runs, tag="runs"),
    Operation("GET", "/v1/runs/{run_id}", run, tag="runs"),
    Operation("POST", "/v1/runs/{run_id}/cancel", cancel, tag="runs", status=202),
    Operation("POST", "/v1/runs/{run_id}/retract", retract, tag="runs", status=202, refuses=(409,), role="operator"),
)
