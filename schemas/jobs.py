"""Work: planned, leased to an agent, reported on. The dispatcher's own succession is part of the record."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from schemas.builds import ContentPlace
from schemas.event import SHOWN, Event, Finite, Record, RunId, Visibility, is_run_id
from schemas.requests import Budget, Chat, EngineChoice, ModelRef, Objective, Workload

JobKind = Literal["answer", "perf", "judge", "embed", "classify", "train"]
JobState = Literal["loading", "running", "finished", "failed", "cancelled", "out_of_memory_retried"]

MOST_PARTITIONS = 10_000  # of a pool's job topic, whose ends every dispatcher of it keeps for each term


class Need(Record):
    """What an agent must have to run a job."""

    devices: int = 0
    memory_bytes: int = 0
    capabilities: tuple[str, ...] = ()


class BuildPlace(Record):
    """Where in the log the samples of a build lie."""

    build_id: str
    task: str
    partition: int
    first_offset: int
    last_offset: int
    contents: tuple[ContentPlace, ...] = ()


class Job(Record):
    """Minutes of work for one agent, with all that the agent must know. `count` samples from `first_ordinal`.

    Where `ordinals` are named, these are its samples, and `first_ordinal` is the place of the first of them in their order.
    `model_sha` is the hash of the model that was planned: no other is loaded; null where it has no files.
    `slo` is what its load is held to. `no_truncation`: it fails over a request that the model's window would cut. `credential_ref` names
    what the agent shows to a server elsewhere, or to the hub that has the model; the secret itself is in no event.
    """

    run_id: RunId
    job_id: str
    kind: JobKind
    pool: str
    submitter: str
    organisation_id: str
    priority: int
    model: ModelRef
    engine: EngineChoice
    chat: Chat
    build: BuildPlace | None = None
    first_ordinal: int = 0
    count: int = 0
    repeat: int = 0
    seed: int = 1234
    workload: Workload | None = None
    generation_json: str = "{}"
    need: Need = Need()
    depends_on: tuple[str, ...] = ()
    budget: Budget = Budget()
    ordinals: tuple[int, ...] = ()
    visibility: Visibility = "organisation"
    model_sha: str | None = None
    no_truncation: bool = False
    credential_ref: str | None = None
    slo: Objective | None = None

    @property
    def samples(self) -> Sequence[int]:
        """The ordinals of its samples, in their order."""
        return self.ordinals or range(self.first_ordinal, self.first_ordinal + self.count)


def misnamed(event: Event) -> str | None:
    """Why an event's job is none of a run's, where it is none: a job's id begins with its run's, and what an event carries is its own."""
    run_id, job_id, job = (getattr(event, name, None) for name in ("run_id", "job_id", "job"))
    if job_id is not None and run_id is not None and not job_id.startswith(f"{run_id}/"):
        return f"job_id {job_id[:SHOWN]!r} does not begin with its run's id, {run_id}/"
    if job is not None and (job.run_id, job.job_id) != (run_id, job_id):
        return f"it carries job {job.job_id[:SHOWN]!r} of run {job.run_id}, but names {(job_id or '')[:SHOWN]!r} of run {run_id}"
    active = getattr(event, "jobs_active", ())
    if nameless := next((one for one in active if not is_run_id(one.partition("/")[0])), None):
        return f"job {nameless[:SHOWN]!r} does not begin with a run's id"
    if len(runs := sorted({one.partition("/")[0] for one in active})) > 1:
        return f"its jobs are of several runs, {runs[0]} and {runs[1]}: it lies where one run's events do; write one for each"
    return None


class JobPlanned(Event):
    """A job waits for an agent of its pool."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "job_id")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    pool: str
    job_id: str
    run_id: RunId
    job: Job


class DispatcherTook(Event):
    """A dispatcher took a pool; this record's offset is its term.

    `begins`: where each partition of the pool's job topic ended before that. What claims the term and lies before is nobody's.
    """

    identity: ClassVar[tuple[str, ...]] = ("pool", "nonce")
    key: ClassVar[tuple[str, ...]] = ("pool",)

    pool: str
    nonce: str
    begins: tuple[int, ...] = Field(default=(), max_length=MOST_PARTITIONS)


class DispatcherBeat(Event):
    """The dispatcher of that term has its pool still; `leaving`: it says so for the last time, and another may take the pool at once."""

    identity: ClassVar[tuple[str, ...]] = ("pool", "term", "sequence")
    key: ClassVar[tuple[str, ...]] = ("pool",)

    pool: str
    term: int
    sequence: int
    leaving: bool = False


class JobReleased(Event):
    """A lease, or its end, addressed to one incarnation of one agent. Without a job it is a dispatcher's mark."""

    identity: ClassVar[tuple[str, ...]] = ("term", "kind", "job_id", "attempt", "agent_id", "nonce")
    key: ClassVar[tuple[str, ...]] = ("agent_id",)

    pool: str
    term: int
    kind: Literal["mark", "release", "cancel"]
    run_id: RunId | None = None
    job_id: str | None = None
    job: Job | None = None
    attempt: int = 0
    agent_id: str = ""
    incarnation: int = 0
    done: bytes = b""
    not_before_us: int | None = None
    deadline_us: int | None = None
    nonce: str = ""


class JobError(Record):
    """Why a job ended badly. `permanent`: another attempt would end the same way."""

    code: str
    message: str
    permanent: bool


class EngineUsed(Record):
    """The engine as it really ran."""

    name: str
    version: str
    dtype: str
    quantisation: str | None = None
    tp: int = 1
    pp: int = 1
    batch: str = "1"
    compile: bool = False
    max_len: int = 0
    device: str = "cpu"


class JobChanged(Event):
    """A job's attempt took a step. `done` is the bitset of samples (relative to the job's first) already published.

    The dispatcher writes the final failure, and that nobody is at a job of a run that is over any more: `agent_id` is then empty.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "job_id", "attempt", "agent_id", "state", "sequence")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    pool: str
    run_id: RunId
    job_id: str
    attempt: int
    agent_id: str
    incarnation: int
    state: JobState
    sequence: int = 0
    final: bool = False
    done: bytes = b""
    error: JobError | None = None
    environment_sha: str | None = None
    engine: EngineUsed | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    merkle_root: str | None = None


class Device(Record):
    """A device as its driver describes it."""

    uuid: str
    name: str
    memory_bytes: int
    power_limit_w: Finite | None = None


class Running(Record):
    """An attempt that an agent is busy with."""

    job_id: str
    attempt: int


class AgentBeat(Event):
    """An agent is alive. An agent that stays silent is dead: its jobs are released again."""

    identity: ClassVar[tuple[str, ...]] = ("agent_id", "incarnation", "sequence")
    key: ClassVar[tuple[str, ...]] = ("agent_id",)

    pool: str
    agent_id: str
    incarnation: int
    sequence: int
    devices: tuple[Device, ...] = ()
    capabilities: tuple[str, ...] = ()
    free_bytes: int = 0
    total_bytes: int = 0
    models_held: tuple[str, ...] = ()
    running: tuple[Running, ...] = ()
    draining: bool = False


class Server(Record):
    """A server elsewhere that answers for a model: what it says of itself, and what it was found to do. What it does not say is null.

    `model` is its own name for what answers; `owner` and `max_len` are of its list of models, `version` of its /version, `header` of its
    answers (Server, openai-version). `apis`: completions, chat; `likelihoods`: by what it tells the log-probabilities of a prompt, echo or
    prompt_logprobs, null where it does not.
    """

    address: str
    model: str
    owner: str | None = None
    version: str | None = None
    header: str | None = None
    max_len: int | None = None
    apis: tuple[str, ...] = ()
    likelihoods: str | None = None


class Origin(Record):
    """Where a model's files came from: its repository on a `hub`, at a commit. `fetched_bytes`: of this load, 0 where all was here.

    `peer_bytes` of them came from other agents' caches, and not from the hub.
    """

    hub: str
    repository: str
    commit: str
    fetched_bytes: int = 0
    peer_bytes: int = 0


class ModelLoaded(Event):
    """How long a model took from nothing to its first answer, and the memory that it took; `server`: who answers for it elsewhere.

    `origin`: the hub that it is from; null for a model that no hub has.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "job_id", "attempt")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    job_id: str
    attempt: int
    download_ns: int
    load_ns: int
    warmup_ns: int
    first_answer_ns: int | None
    weights_bytes: int
    kv_bytes: int | None
    peak_bytes: int | None
    parameters: int | None = None
    cache_hit: bool
    server: Server | None = None
    origin: Origin | None = None


class EnvironmentSeen(Event):
    """Where a job ran, named by its hash. `region` is where its prices are looked up; `any`: prices without a region.

    `package_sums`: the SHA-256 of the list of a package's files with their sums, as its distribution has it. `firmware`: of board,
    processor and devices, where it can be read.
    """

    identity: ClassVar[tuple[str, ...]] = ("sha",)
    key: ClassVar[tuple[str, ...]] = ("sha",)

    sha: str
    packages: dict[str, str]
    driver: str | None
    cpu: str
    cpu_flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    devices: tuple[Device, ...]
    container_digest: str | None
    os: str
    region: str = "any"
    package_sums: dict[str, str] = Field(default_factory=dict)
    firmware: dict[str, str] = Field(default_factory=dict)
