"""The life of a run as the log tells it. Of two terminal events, the first in the log counts."""

from typing import ClassVar, Literal

from schemas.event import Event, Finite, Record, RunId
from schemas.requests import Chat, EngineChoice, ModelRef, Stopping

RunState = Literal["planned", "rejected", "running", "completed", "failed", "cancelled"]


class ExpectedMetric(Record):
    """A metric that every sample of a task will have, under one filter."""

    filter: str
    metric: str
    higher_is_better: bool = True
    aggregation: str = "mean"


class Published(Record):
    """When a model was published, YYYY-MM or YYYY-MM-DD, and what says so: request or README.md."""

    date: str
    source: str


class ModelCard(Record):
    """What a model's card says of it: its licence, its languages (as en), and the model that it was made from."""

    licence: str | None = None
    languages: tuple[str, ...] = ()
    base: str | None = None


class Setup(Record):
    """How a repeat of a task was built: by which few-shot seed, and in which of the project's prompt formats (infra/harness/formats.py)."""

    build_id: str
    seed: int
    format: str


class Adaptive(Record):
    """The part of a task that is asked in place of all `documents`, and what their estimate needs (streams/statistics/items.py).

    `fitted_runs`: whole runs of the same build, one of each other model, by whose answers the `ordinals` were chosen and the parameters
    fitted. `slopes` and `intercepts` are those of the ordinals; `rest_mean` and `rest_variance` are of how many of the others are right, at
    each ability of the grid. `misfit`: the factor of variances by which the estimates of those runs were off;
    `error_ratio`: their error over that of as many documents at random.
    """

    documents: int
    fitted_runs: tuple[RunId, ...]
    ordinals: tuple[int, ...]
    slopes: tuple[Finite, ...]
    intercepts: tuple[Finite, ...]
    rest_mean: tuple[Finite, ...]
    rest_variance: tuple[Finite, ...]
    misfit: Finite
    error_ratio: Finite


class PlannedTask(Record):
    """What a task of the run will bring: `samples` per repeat. `chance` is the main metric's expected value of guessing.

    Tasks of one `group` count as one in a suite, by their samples or, without `weight_by_size`, alike. `trust_code`: Python of its
    definition, which the request brought, was run. Of a derived task, `judged` is the build that was answered by those whom it judges:
    judgements of one build can be compared. Where it may stop early, `stopping` says when; its samples are then asked in the order that
    streams/quality/stopping.py fixes. `data_published`: when its data first appeared, YYYY-MM, where that is known. Tasks of the same
    `documents` ask about the same ones, in the same order, or, of each ordinal, at that of `places`: what they say is not independent.
    `rows_skipped`: rows of its data that were
    left out, for they could not be asked or scored. `setups`: how each repeat was built, where the request varies that; the first is the
    one of `build_id`. `adaptive`: its `samples` are a part that was chosen, and its figure is an estimate for the whole.
    """

    task: str
    task_version: str
    build_id: str
    samples: int
    repeats: int
    expected: tuple[ExpectedMetric, ...]
    main_metric: str
    main_filter: str
    chance: Finite | None = None
    group: str | None = None
    trust_code: bool = False
    judged: str | None = None
    stopping: Stopping | None = None
    data_published: str | None = None
    documents: str | None = None
    rows_skipped: int = 0
    setups: tuple[Setup, ...] = ()
    adaptive: Adaptive | None = None
    weight_by_size: bool = True
    places: tuple[int, ...] = ()

    @property
    def builds(self) -> tuple[str, ...]:
        """Its builds, each once; the first is that of its first repeat."""
        return tuple(dict.fromkeys(one.build_id for one in self.setups)) or (self.build_id,)

    @property
    def asked(self) -> str:
        """A name of all that is asked, the same for runs that ask the same: its build's id, or its builds' joined."""
        return "+".join(self.builds)

    @property
    def setup_numbers(self) -> tuple[int, ...]:
        """The number of the set-up of each repeat; none where there is one."""
        return tuple(self.builds.index(one.build_id) for one in self.setups)


class SkippedTask(Record):
    """A task of the request that will not run, and why."""

    task: str
    reason: str


class Estimate(Record):
    """What the planner thinks the run will need."""

    weights_bytes: int = 0
    kv_bytes: int = 0
    activation_bytes: int = 0
    overhead_bytes: int = 0
    s: Finite | None = None
    usd_nano: int | None = None


class Placement(Record):
    """Where a run's model goes, as it was chosen when the run was planned (streams/placing.py).

    `device`: cpu, cuda or mps; `devices` of one agent, 0 for its own memory; `tp` and `pp`: over how many of them layers, and the numbers
    in a layer, are spread. `batch_tokens` go through at once; `needed_bytes` on all the devices together. `capabilities`: what else an
    agent must have. `agents`: who could run it so. `reasons`: what fits whom, and why not, in words.
    """

    device: str
    dtype: str
    needed_bytes: int
    batch_tokens: int
    devices: int = 0
    tp: int = 1
    pp: int = 1
    quantisation: str | None = None
    capabilities: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class Subject(Record):
    """Whose answers a run judges: that run, and its model as it was planned."""

    run_id: RunId
    model: ModelRef
    model_sha: str
    engine: EngineChoice
    chat: Chat
    chat_template_sha: str


class Plan(Record):
    """Everything that is known of a run before it starts; it makes the run readable without its request.

    `licences` are those of its tasks' data; the model's is in its `card`, which is null where the model has no files.
    `warnings`: in what it differs from what its tasks are pinned to. `subject` is whom it judges, `against` whom it compares that one with.
    `audit_of`: the run that it runs again; it stands on no board. `placement` is null where no agent was heard as it was planned, or
    the model has no files.
    """

    submitter: str
    model: ModelRef
    model_sha: str
    tokenizer_sha: str
    chat_template_sha: str
    engine: EngineChoice
    chat: Chat
    suite: str | None
    tasks: tuple[PlannedTask, ...]
    licences: tuple[str, ...]
    skipped: tuple[SkippedTask, ...]
    estimate: Estimate
    jobs: int
    perf_requests: int | None = None
    parameters: int | None = None
    suite_version: str | None = None
    warnings: tuple[str, ...] = ()
    subject: Subject | None = None
    against: Subject | None = None
    model_published: Published | None = None
    card: ModelCard | None = None
    audit_of: RunId | None = None
    placement: Placement | None = None

    def planned(self, task: str) -> PlannedTask | None:
        """The task of that name; None where the run has none."""
        return next((planned for planned in self.tasks if planned.task == task), None)


class RunChanged(Event):
    """A run took a step. `plan` is there when the state is planned."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "state")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    state: RunState
    reason_code: str | None = None
    message: str | None = None
    plan: Plan | None = None


class RunDelayed(Event):
    """What a run waits for from now on; all null: it waits no longer. `ahead` counts the jobs that go first.

    Written when the answer changes. Of several, the last in the log holds.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "term", "sequence")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    pool: str
    term: int
    sequence: int
    reason_code: str | None = None
    waits_for: str | None = None
    ahead: int | None = None
