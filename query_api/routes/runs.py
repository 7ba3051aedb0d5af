"""Runs: listing them, and one with its scores and speed."""

from typing import Any, Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import Paged
from query_api.routes.run_scores import GroupScore, Score, TaskProgress
from query_api.routes.run_speed import Speed
from schemas.event import Visibility
from schemas.requests import Chat
from schemas.runs import Placement
from streams.errors import NotFound

State = Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"]


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
    audited: bool = Field(default=False, description="it was run again and compared; `GET /v1/audits` tells what came of it")
    audit_of: str | None = Field(default=None, description="the run that it runs again")


class RunPage(Shape):
    """Runs, in the order asked for."""

    runs: tuple[RunRow, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class ModelPublished(Shape):
    """When the model was published, and what says so: request or README.md."""

    date: str
    source: str


class Skipped(Shape):
    """A task that was left out, and why."""

    task: str
    reason: str


class Unscored(Shape):
    """Why so many samples have no score."""

    reason: str
    samples: int


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


class Forgotten(Shape):
    """Who had the texts of a private run forgotten, when and why: nobody reads them any more (docs/privacy.md)."""

    at_us: int
    by: str
    reason: str


class Audited(Shape):
    """In how many completed audits a run was run again, and the least share of equal samples; what others report, by their keys, apart."""

    audits: int
    equal_ratio: float | None
    other_audits: int
    other_equal_ratio: float | None


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


class Origin(Shape):
    """The hub that a model's files are from."""

    hub: str = Field(description="its address, or the mirror's")
    repository: str
    commit: str
    fetched_bytes: int = Field(description="bytes that its first load fetched; 0 where all was in the agent's cache")
    peer_bytes: int = Field(default=0, description="those of them that came from other agents' caches, and not from the hub")


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
    why_unscored: tuple[Unscored, ...] = Field(default=(), description="the three commonest reasons of those")
    scores: tuple[Score, ...] = ()
    groups: tuple[GroupScore, ...] = Field(default=(), description="a group has one once each of its tasks has its main metric")
    performance: Speed | None = None
    skipped: tuple[Skipped, ...] = ()
    suite_version: str | None = Field(default=None, description="the version of the suite that brought the tasks")
    warnings: tuple[str, ...] = Field(
        default=(), description="in what its tasks differ from what they are pinned to, and what could not be worked out"
    )
    waits_for: str | None = Field(default=None, description="what it waits for, in words; null where it does not wait")
    subject: Whom | None = Field(default=None, description="whose answers it judges; null where it judges nobody's")
    against: Whom | None = Field(default=None, description="with whose answers it compares them")
    chat: Chat = Field(default=Chat(), description="how prompts are dressed")
    server: Server | None = Field(default=None, description="who answers for its model elsewhere; weights, dtype and hardware are unknown")
    revision: str | None = Field(default=None, description="the commit that a hub's model is pinned to")
    licence: str | None = Field(default=None, description="the model's, as its card names it; null where it does not")
    data_licences: tuple[str, ...] = Field(default=(), description="those of its tasks' data, as far as they are known")
    origin: Origin | None = Field(default=None, description="null where its model is from no hub, or not loaded yet")
    placement: Placement | None = Field(
        default=None, description="where its model goes; null where no agent was known as it was planned, or the model has no files"
    )
    waits_code: str | None = Field(default=None, description="no-dispatcher, no-agent, no-fit, busy or retry")
    jobs_ahead: int | None = Field(default=None, description="jobs that go first, or the step below: 5, 10, 20, 50 …")
    seal: Seal | None = Field(default=None, description="null while it is not sealed; `assay verify` proves what it says (docs/trust.md)")
    retraction: Retraction | None = Field(default=None, description="null where it counts")
    forgotten: Forgotten | None = Field(default=None, description="null where its texts are in the log still")
    quarantined: int = Field(default=0, description="events that were said of it after its seal, and are no part of it")
    late: tuple[LateEvent, ...] = Field(default=(), description="the first twenty of them")
    audited: Audited | None = Field(default=None, description="null where no audit of it was compared; `GET /v1/audits` tells each")
    audit_of: str | None = Field(default=None, description="the run that it runs again; null where it is no audit")


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


OPERATIONS = (
    Operation("GET", "/v1/runs", runs, tag="runs"),
    Operation("GET", "/v1/runs/{run_id}", run, tag="runs"),
)
