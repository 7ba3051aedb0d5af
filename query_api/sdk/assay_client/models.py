"""What the API takes and answers. Made from docs/openapi.json by `make schemas`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, StringConstraints
from typing_extensions import TypeAliasType

from assay_client.shape import Shape


class Act(Shape):
    """An act, as its event says it, which stays in the log."""

    act_id: str
    """the event's id; of prices, the version and its source"""
    at_us: int
    """when, by the log's clock"""
    kind: Literal["access", "retraction", "cancellation", "prices", "requeue", "forgotten texts", "sealing key"]
    by: str
    """who did it, or says so: of keys, who was at the command line; empty where the event names nobody"""
    about: str
    """the run, member, organisation, key, place or version"""
    told: str
    """what was done, or the reason that was given"""


class ActPage(Shape):
    """Acts, in the order asked for."""

    acts: list[Act]
    next: str | None
    """the next page's cursor; null at the end"""


class Adapter(Shape):
    """A fine-tuned adapter on top of a base model."""

    model_config = ConfigDict(extra="forbid")
    uri: str
    method: str


class Agreed(Shape):
    """Krippendorff's alpha with its 95 % interval: 1 is agreement, 0 is chance. What is null, perhaps the interval alone, says why."""

    alpha: float | None
    low: float | None
    high: float | None
    answers: int
    """answers that two judges or more have rated"""
    why_undefined: str | None
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class Agreement(Shape):
    """
    How far the judges of one derived task agree on its main metric.

    Its values are taken as numbers (interval), as points whose order alone is sure (ordinal), and as names (nominal).
    """

    task: str
    metric: str
    judges: int
    runs: list[str]
    interval: Agreed
    ordinal: Agreed
    nominal: Agreed


class Alive(Shape):
    """The process is alive."""

    alive: bool


class Allowed(Shape):
    """
    What a choice may be and must have; empty is anything. `languages` must all be there, of the others one.

    `owned`: devices by name, and how many there are; a choice runs on these, all of its replicas.
    """

    models: list[str] = []
    hardware: list[str] = []
    engines: list[str] = []
    places: list[str] = []
    regions: list[str] = []
    licences: list[str] = []
    languages: list[str] = []
    kinds: list[Literal["base", "fine-tuned"]] = []
    context_tokens: int | None = None
    memory_bytes: int | None = None
    owned: dict[str, int] | None = None


class AnswerCost(Shape):
    """What a correct answer took in the row's run, over all of its tasks that count right answers; those guessed right are among them."""

    price_version: str
    per_correct_answer_usd: float | None
    per_correct_answer_j: float | None
    energy_grade: str | None
    """how the energy of the run is known; null where it is not"""


class Asked(Shape):
    """A run of a batch."""

    run_id: str
    model: str


class AtConcurrency(Shape):
    """What a closed load of so many requests at a time brought of a server, which may be able to do more."""

    tokens_per_s: float
    concurrency: int


class AuditAsked(Shape):
    """An audit that was asked for: a run of its own."""

    run_id: str
    audit_of: str
    state: Literal["requested"]


class Audited(Shape):
    """In how many completed audits a run was run again, and the least share of equal samples; what others report, by their keys, apart."""

    audits: int
    equal_ratio: float | None
    other_audits: int
    other_equal_ratio: float | None


class AuditedFact(Shape):
    """A fact of where they ran that is not the same for both."""

    what: str
    run: str | None
    audit: str | None


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
    method: str
    """what made the interval"""


class AuditedSample(Shape):
    """A sample of which the run and its audit say different things."""

    task: str
    ordinal: int
    repeat: int
    what: list[str]
    """in words, the run's value first"""


class Share(RootModel[float]):
    root: Annotated[float, Field(gt=0.0, le=1.0)] = None
    """the share of its documents that are asked again, drawn by the run's seal; null: all"""


class ParentRun(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ] = None
    """the run whose answers derived tasks judge"""


class AgainstRun(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ] = None
    """the run whose answers those of parent_run are compared with"""


class AuditOf(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ] = None
    """the run that an audit runs again; `POST /v1/runs/{run_id}/audits` asks for one"""


class BatchSubmitted(Shape):
    """The runs of a batch, in the order of its models."""

    campaign: str
    runs: list[Asked]


class BoardRow(Shape):
    """A board. A task's own is called `task:<name>`."""

    board: str
    versions: str
    newest_us: int
    models: int


class Budget(Shape):
    """What a run may take before it stops; null is no limit. `s` counts from when it first ran; `deadline_us` is UTC."""

    model_config = ConfigDict(extra="forbid")
    usd_nano: int | None = None
    s: float | None = None
    deadline_us: int | None = None


class Cancellation(Shape):
    """Who stops a run, and why."""

    model_config = ConfigDict(extra="forbid")
    by: Annotated[str, Field(max_length=200)] = "api"
    message: Annotated[str, Field(max_length=2000)] = ""


class Cancelling(Shape):
    """A run that was asked to stop."""

    run_id: str
    state: Literal["cancelling"]


class ChatInput(Shape):
    """
    How prompts are dressed. `template`: null for none, "model" for the tokenizer's own, else a Jinja text.

    `thinking`: what the template is told as `enable_thinking`; null leaves it to the template. Where it is true, what follows the last
    `thinking_end` is the answer; after `thinking_tokens` tokens without one, that text is put in. Null is no limit but the answer's.
    `fold_system`: the system message is put before the first user message, for templates that refuse the system role.
    """

    model_config = ConfigDict(extra="forbid")
    template: str | None = None
    system: str | None = None
    multiturn: bool = False
    thinking: bool | None = None
    thinking_tokens: int | None = None
    thinking_end: str = "</think>"
    fold_system: bool = False


class ChatOutput(Shape):
    """
    How prompts are dressed. `template`: null for none, "model" for the tokenizer's own, else a Jinja text.

    `thinking`: what the template is told as `enable_thinking`; null leaves it to the template. Where it is true, what follows the last
    `thinking_end` is the answer; after `thinking_tokens` tokens without one, that text is put in. Null is no limit but the answer's.
    `fold_system`: the system message is put before the first user message, for templates that refuse the system role.
    """

    template: str | None = None
    system: str | None = None
    multiturn: bool = False
    thinking: bool | None = None
    thinking_tokens: int | None = None
    thinking_end: str = "</think>"
    fold_system: bool = False


class Component(Shape):
    """A part of what a year of owning costs."""

    name: str
    usd: float
    formula: str
    inputs: list[str]


class MeasuredByItem(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ]


class AgainstRun1(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ]


class StatedRatio(RootModel[float]):
    root: Annotated[float, Field(ge=0.0, le=1.0)] = None
    """how sure that person is"""


class DecisionTold(Shape):
    """A decision: for a candidate of a recommendation (its first, where none is named), or for anything else in words."""

    model_config = ConfigDict(extra="forbid")
    decision_id: Annotated[str | None, Field(pattern="^[0-9A-Za-z_.-]{1,64}$")] = None
    """the idempotency key; drawn where it is left out"""
    recommendation_id: str | None = None
    """the recommendation that it rests on"""
    candidate: str | None = None
    """a candidate of its choices; the first, where it is left out"""
    chosen: Annotated[str, Field(max_length=500)] = ""
    """what was chosen, where it rests on no recommendation"""
    by: Annotated[str, Field(max_length=200, min_length=1)]
    """who decided"""
    stated_ratio: StatedRatio | None = None
    """how sure that person is"""
    note: Annotated[str, Field(max_length=10000)] = ""


class Device(Shape):
    """A device as its driver describes it."""

    uuid: str
    name: str
    memory_bytes: int
    power_limit_w: float | None = None


class DifferingSample(Shape):
    """A sample on which the runs differ, with its value in each."""

    ordinal: int
    doc_id: int
    a: float
    b: float


class DrawnFigure(Shape):
    """A figure as measured, and the 2.5 % and 97.5 % percentiles of its draws, in its unit."""

    figure: str
    unit: str
    value: float
    low: float
    high: float


class Emissions(Shape):
    """The most energy and carbon; null is no limit."""

    j_per_token: float | None = None
    gco2_per_1m_tokens: float | None = None


class Energy(Shape):
    """What it took, where a meter is: of the chips, the idle part of it apart, and of the whole machine."""

    grade: str | None
    """how it is known: counter, integrated (power, over time) or estimated (rated power)"""
    boundary: str | None
    """of what it is: accelerator, processor, or both"""
    joules: float | None
    joules_per_token: float | None
    """of an output token"""
    wh_per_1k_tokens: float | None
    """of a thousand output tokens"""
    idle_joules: float | None
    """of joules, what the same chips draw over as long while no job runs"""
    host_joules: float | None
    """of the whole machine, where it has a meter of that; not of the chips alone"""
    metering_ratio: float | None
    """the share of a core that reading the meters took"""
    why_undefined: str | None


class EngineChoice(Shape):
    """An engine by name, with options of its own (strings; each engine documents and validates them)."""

    model_config = ConfigDict(extra="forbid")
    name: str = "transformers"
    options: dict[str, str] | None = None


class Estimated(Shape):
    """An estimate with its 95 % interval; what is null, perhaps the interval alone, says why."""

    value: float | None
    low: float | None
    high: float | None
    why_undefined: str | None
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class Unit(RootModel[str]):
    root: Annotated[str, Field(max_length=500)] = None


class Stderr(RootModel[float]):
    root: Annotated[float, Field(ge=0.0)] = None


class N(RootModel[int]):
    root: Annotated[int, Field(ge=0, lt=9007199254740992)] = None


class NumFewshot(RootModel[int]):
    root: Annotated[int, Field(ge=0, lt=9007199254740992)] = None


class HarnessVersion(RootModel[str]):
    root: Annotated[str, Field(max_length=500)] = None


class Engine(RootModel[str]):
    root: Annotated[str, Field(max_length=500)] = None


class Hardware(RootModel[str]):
    root: Annotated[str, Field(max_length=500)] = None


class MeasuredUs(RootModel[int]):
    root: Annotated[int, Field(ge=-9007199254740992, lt=9007199254740992)] = None
    """when it was measured or published"""


class ExternalFigure(Shape):
    """A figure that a file tells. `place`: where in the file it stands."""

    model_config = ConfigDict(extra="forbid")
    place: Annotated[str, Field(max_length=1000, min_length=1)]
    model: Annotated[str, Field(max_length=500, min_length=1)]
    task: Annotated[str, Field(max_length=500, min_length=1)]
    metric: Annotated[str, Field(max_length=500, min_length=1)]
    value: float
    filter: Annotated[str, Field(max_length=500)] = "none"
    unit: Unit | None = None
    stderr: Stderr | None = None
    low: float | None = None
    high: float | None = None
    n: N | None = None
    num_fewshot: NumFewshot | None = None
    lower_is_better: bool | None = None
    harness_version: HarnessVersion | None = None
    engine: Engine | None = None
    hardware: Hardware | None = None
    conditions: Annotated[dict[str, str | int | float | bool] | None, Field(max_length=50)] = None
    """what else the file says of how it was measured"""
    measured_us: MeasuredUs | None = None
    """when it was measured or published"""


class ExternalResult(Shape):
    """A figure of somebody else's, where it is from and under which terms."""

    place: Annotated[str, Field(max_length=1000, min_length=1)]
    model: Annotated[str, Field(max_length=500, min_length=1)]
    task: Annotated[str, Field(max_length=500, min_length=1)]
    metric: Annotated[str, Field(max_length=500, min_length=1)]
    value: float
    filter: Annotated[str, Field(max_length=500)]
    unit: Unit | None
    stderr: Stderr | None
    low: float | None
    high: float | None
    n: N | None
    num_fewshot: NumFewshot | None
    lower_is_better: bool | None
    harness_version: HarnessVersion | None
    engine: Engine | None
    hardware: Hardware | None
    conditions: Annotated[dict[str, str | int | float | bool], Field(max_length=50)]
    """what else the file says of how it was measured"""
    measured_us: MeasuredUs | None
    """when it was measured or published"""
    event_id: str
    form: Literal["lm-eval", "inspect", "helm", "every-eval-ever", "inferencex", "mlperf", "ml-energy"]
    source: str
    licence: str
    by: str
    file_sha256: str
    imported_us: int


class ExternalTold(Shape):
    """Figures of one file, all or none; of a longer file the others come in other bodies."""

    model_config = ConfigDict(extra="forbid")
    file_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """of the file's bytes: the same file again is nothing new"""
    form: Literal["lm-eval", "inspect", "helm", "every-eval-ever", "inferencex", "mlperf", "ml-energy"]
    source: Annotated[str, Field(max_length=2000, min_length=1)]
    """where the file was published"""
    licence: Annotated[str, Field(max_length=200, min_length=1)]
    """under which terms: an SPDX name, or unknown"""
    by: Annotated[str, Field(max_length=200, min_length=1)]
    """who imports it"""
    figures: Annotated[list[ExternalFigure], Field(max_length=1000, min_length=1)]


class FieldRead(Shape):
    """A field by both readers; null where one has nothing there."""

    field: str
    rules: str | None
    model: str | None
    same: bool


class FigureParity(Shape):
    """A figure of both runs, and how many times the reference's the other's is, with a 95 % interval where both figures have one."""

    name: Literal["capacity_tokens_per_s", "concurrent_tokens_per_s", "ttft_s", "memory_bytes", "joules_per_token", "usd_per_1m_tokens"]
    better: Literal["more", "less"]
    """whether more or less of it is better"""
    reference: float | None
    other: float | None
    ratio: float | None
    low: float | None
    high: float | None
    why: str | None
    """why there is no ratio"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class FigureRecord(Shape):
    """
    How good the predictions of a figure have been: of those that were measured since, how many intervals held, with its 95 % interval
    (Wilson), what was promised, and the median size of errors beside that of the roofline alone.
    """

    figure: str
    n: int
    within: float
    low: float
    high: float
    promised: float
    median_error_ratio: float
    median_roofline_error_ratio: float
    method: str


class Forgotten(Shape):
    """Who had the texts of a private run forgotten, when and why: nobody reads them any more (docs/privacy.md)."""

    at_us: int
    by: str
    reason: str


class Generation(Shape):
    """Generation settings that override the task's own. `json` holds lm-eval's `generation_kwargs` as JSON."""

    model_config = ConfigDict(extra="forbid")
    json_text: str = "{}"


class GridFigure(Shape):
    """A load's figure with its interval, where it has one."""

    value: float
    low: float | None
    high: float | None
    method: str | None
    """what made the interval; null without one"""


class GridFigures(Shape):
    """A load's figures; null for what it has none of."""

    output_tokens_per_s: GridFigure | None
    ttft_p50_s: GridFigure | None
    itl_p50_s: GridFigure | None
    joules_per_token: GridFigure | None


class GroupScore(Shape):
    """The main metric over a group's tasks, each by its samples or alike, as lm-eval has it; the interval follows from theirs."""

    group: str
    tasks: int
    """how many tasks it is of"""
    metric: str
    filter: str
    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    samples: int
    not_scored: int
    truncated: int
    """samples of which the model's window truncated a prompt or a choice"""
    complete: bool
    why_undefined: str | None
    """why there is no value"""
    sequential: bool
    """the interval of a task is a confidence sequence's"""
    by_size: bool
    """its tasks count by their samples; else each alike"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class SpeedRun(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ]


class Guide(Shape):
    """
    How to run what was measured: the server's command, the same for `docker compose`, what to watch, and what to know before.

    `command` is null where nothing serves that engine; `notes` then say why. `speed_run`: the run that it rests on.
    """

    command: str | None
    compose: str | None
    alerts: list[str]
    notes: list[str]
    speed_run: SpeedRun | None


class HeldTo(Shape):
    """The run that the others are held to."""

    run_id: str
    model: str


class Imported(Shape):
    """How many figures were not there yet."""

    imported: int


class Index(Shape):
    """The addresses, each with its method and what it does."""

    routes: list[str]


class JoinedDifference(Shape):
    """The mean of a - b over a group's tasks, with its 95 % interval."""

    value: float
    low: float | None
    high: float | None
    n: int
    """paired samples"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class JudgedScore(Shape):
    """A metric of a judgement, with its 95 % interval."""

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
    truncated: int
    """samples of the task of which the model's window truncated a prompt or a choice"""
    rows_skipped: int
    """rows of the task's data that were left out: the value is over fewer"""
    sequential: bool
    """the interval is a confidence sequence's: the task stopped early"""
    group: str | None
    """the group that the task is of"""
    repeats: int
    """how often each of the samples was asked; the value is over samples, each the mean of its repeats"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""
    between_documents: float | None
    """the variance from document to document, where there are repeats"""
    within_documents: float | None
    """the variance of one answer to the same document, where there are repeats"""
    setups: int
    """in how many set-ups (few-shot seeds, prompt formats) the repeats were asked: docs/variance.md"""
    between_setups: float | None
    """the variance from set-up to set-up, where there are several"""
    half_width: float | None
    """the interval's half-width by these three variances, about"""
    half_width_documents: float | None
    """what it would be with twice the documents"""
    half_width_setups: float | None
    """what it would be with twice the set-ups"""
    main: bool
    """the metric that rankings by this judge use"""


class Label(Shape):
    """A person's word on one answer, as it stands. `value`: what it is on the scale; of two answers what the run's own is worth."""

    task: str
    ordinal: int
    repeat: int
    request: int
    draw: int
    judgement: str
    metric: str
    against_run: AgainstRun1 | None
    by: str
    label: str
    value: float
    swapped: bool
    note: str
    revision: int
    """how often it was corrected"""
    labelled_us: int


class LabelPage(Shape):
    """Labels, in the order asked for."""

    labels: list[Label]
    next: str | None
    """the next page's cursor; null at the end"""


class LabelTold(Shape):
    """A person's word on one answer."""

    model_config = ConfigDict(extra="forbid")
    task: str
    """the task that was answered"""
    ordinal: Annotated[int, Field(ge=0, lt=2147483648)]
    """the sample, as the list of samples has it"""
    repeat: Annotated[int, Field(ge=0, lt=2147483648)] = 0
    request: Annotated[int, Field(ge=0, lt=2147483648)] = 0
    draw: Annotated[int, Field(ge=0, lt=2147483648)] = 0
    label: str | int | float
    """a number on the metric's scale; of two answers: first, second or tie"""
    swapped: bool = False
    """of two answers: the other run's was shown first"""
    by: Annotated[str, Field(max_length=200)] = ""
    """whose word it is, where not that of all"""
    note: Annotated[str, Field(max_length=10000)] = ""


class LabelsPublished(Shape):
    """How many labels said something new; the others had been said before, alike."""

    published: int


class AgainstRun3(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ] = None
    """of two answers: the run whose the others are"""


class LabelsTold(Shape):
    """Labels to publish, all or none."""

    model_config = ConfigDict(extra="forbid")
    judgement: str
    """the derived task on whose scale they are, as assay_judge_writing"""
    metric: str = ""
    """its metric; the usual one, where it is left out"""
    against_run: AgainstRun3 | None = None
    """of two answers: the run whose the others are"""
    by: Annotated[str, Field(max_length=200, min_length=1)]
    """who labelled"""
    labels: Annotated[list[LabelTold], Field(max_length=10000, min_length=1)]


class LateEvent(Shape):
    """An event that was said of a run after its seal, and is no part of it: where in the log it lies."""

    late_event: str
    """its type"""
    topic: str
    partition: int
    offset: int
    late_id: str


class Latency(Shape):
    """The service level at the 95th percentile, in seconds; null is no demand."""

    ttft_p95_s: float | None = None
    itl_p95_s: float | None = None
    e2e_p95_s: float | None = None


class LeftOut(Shape):
    """A model of which no run stands on the board, its newest run, and why."""

    model: str
    run_id: str
    reason: Literal["other sample counts", "other data"]


class Letter(Shape):
    """
    A record that could not be decoded or processed: where it lies, why, and its bytes (base64).

    Of a record that no letter can hold, these are the first; `payload_bytes` says how many there are in all.
    """

    topic: str
    partition: int
    offset: int
    reason_code: str
    message: str
    written_us: int
    payload: str
    payload_bytes: int | None
    """the record's size, where `payload` is its beginning only"""


class LetterPage(Shape):
    """Dead letters, in the order asked for."""

    dead_letters: list[Letter]
    next: str | None
    """the next page's cursor; null at the end"""


class Level(Shape):
    """What a load was held to: that share of all times at most so long. Null is no limit."""

    ttft_s: float | None
    itl_s: float | None
    e2e_s: float | None
    ratio: float


class LoadFigure(Shape):
    """A run's own figure, with its 95 % interval where it has one; `method` names what made it."""

    run_id: str
    value: float
    low: float | None
    high: float | None
    method: str | None


class LoadSender(Shape):
    """Whether the load's sender kept up, and why it did not."""

    overloaded: bool | None
    why: str | None
    pacing_error_p99_s: float | None
    unread_max: int | None
    """so many answers waited to be read at most; null before this was told"""
    unsent_max: int | None
    """so many measurements waited at the agent for the log at most"""


class Measured(Shape):
    """A figure with its standard error and 95 % interval over n answers; what is null, perhaps the interval alone, says why."""

    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    why_undefined: str | None


class MeasuredSince(Shape):
    """A figure that was measured after it was predicted, by the first run that did."""

    figure: str
    run_id: str
    measured: float
    within: bool
    """the interval has it"""
    error_ratio: float
    """predicted over measured, less 1"""
    roofline_error_ratio: float
    """the same of what the hardware could do at best"""


class ModelPublished(Shape):
    """When the model was published, and what says so: request or README.md."""

    date: str
    source: str


class ModelRef(Shape):
    """A model: a folder, or a hub name with its revision. `sha256` is over its weights and tokenizer."""

    model_config = ConfigDict(extra="forbid")
    uri: str
    revision: str | None = None
    sha256: str | None = None
    format: str | None = None
    base: str | None = None
    adapter: Adapter | None = None
    dtype: str | None = None
    quantisation: str | None = None
    trust_code: bool = False


class NextAsked(Shape):
    """Which of a recommendation's next runs is asked for, and by whom."""

    model_config = ConfigDict(extra="forbid")
    place: Annotated[int, Field(ge=0, lt=100)] = 0
    """its place in `next`: 0 is the first"""
    by: Annotated[str, Field(max_length=200)] = "anonymous"
    """who asks; a member's key says its own name"""


class NextRun(Shape):
    """
    A measurement worth taking: what it costs and brings, and the commands that ask for it.

    `usd`, `confidence` and `gain` are null where it has no price or the draws foretell nothing: nobody has measured that figure yet.
    """

    what: str
    usd: float | None
    confidence: float | None
    gain: float | None
    words: str
    commands: list[str]


class NotCompared(Shape):
    """A task that cannot be compared, and why."""

    task: str
    reason: str


class Objective(Shape):
    """A service level that a load is held to: of all times, so great a share is at most so long. Null is no limit."""

    model_config = ConfigDict(extra="forbid")
    ttft_ns: int | None = None
    itl_ns: int | None = None
    e2e_ns: int | None = None
    ratio: float = 0.95


class OpenedInput(Shape):
    """A figure or an input that another rests on, at its depth below it; `formula` is empty of what somebody states."""

    depth: int
    name: str
    value: float
    unit: str
    formula: str
    source: str


class Origin(Shape):
    """The hub that a model's files are from."""

    hub: str
    """its address, or the mirror's"""
    repository: str
    commit: str
    fetched_bytes: int
    """bytes that its first load fetched; 0 where all was in the agent's cache"""
    peer_bytes: int
    """those of them that came from other agents' caches, and not from the hub"""


class Outcome(Shape):
    """The newest report of what a decision came to."""

    by: str
    before_usd_per_month: float | None
    after_usd_per_month: float | None
    saved_ratio: float | None
    """the share of the bill that was saved; below 0 it grew"""
    before_quality: float | None
    after_quality: float | None
    satisfaction_ratio: float | None
    note: str


class BeforeUsdPerMonth(RootModel[float]):
    root: Annotated[float, Field(ge=0.0, le=1000000000.0)] = None


class AfterUsdPerMonth(RootModel[float]):
    root: Annotated[float, Field(ge=0.0, le=1000000000.0)] = None


class SatisfactionRatio(RootModel[float]):
    root: Annotated[float, Field(ge=0.0, le=1.0)] = None


class OutcomeTold(Shape):
    """What a decision came to. A later report takes the place of an earlier one."""

    model_config = ConfigDict(extra="forbid")
    by: Annotated[str, Field(max_length=200, min_length=1)]
    """who reports"""
    before_usd_per_month: BeforeUsdPerMonth | None = None
    after_usd_per_month: AfterUsdPerMonth | None = None
    before_quality: float | None = None
    """in whichever unit, the same for both"""
    after_quality: float | None = None
    satisfaction_ratio: SatisfactionRatio | None = None
    note: Annotated[str, Field(max_length=10000)] = ""


class Overall(Shape):
    """
    The mean over tasks of the differences, positive where a is better, with its 95 % interval.

    Tasks of a group count as one, each by its share of the group's samples or alike, as in rankings; metrics of 0 to 100 count as ratios.
    """

    difference: float
    low: float | None
    high: float | None
    tasks: int
    units: int
    """how many count: tasks, and groups as one"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class OverallParity(Shape):
    """The mean over tasks of other - reference, groups as one, in ratios, positive where the other is better. It is not tested."""

    difference: float
    low: float | None
    high: float | None
    units: int
    """how many count: tasks, and groups as one"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class OwnFigure(Shape):
    """What one run says of a figure, with its own 95 % interval where it has one."""

    run_id: str
    value: float
    low: float | None
    high: float | None
    method: str | None
    """what made the interval; null without one"""


class PaidOtherwise(Shape):
    """A month of what runs now on spot machines or under a reservation; nothing of it was measured anew."""

    way: str
    """spot, reserved for 1 year, reserved for 3 years"""
    usd_per_month: float
    redone_ratio: float
    """of the work, by interruptions: an assumption of the price book (`spot_redone`)"""
    sources: list[str]


class PairedDifference(Shape):
    """
    The mean of a - b over paired samples, with its 95 % interval and the p-value of no difference.

    `test` and `method` name what made the p-value and the interval (docs/rigor.md).
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    p: float
    test: str
    n: int
    method: str
    clusters: int
    """samples that share a passage count as one"""
    differ: float | None
    """of answers that are right or wrong, the share of samples that differ; null for other values"""
    effect: float
    """the design effect: how many times the variance is that of as many samples that share nothing"""
    variance: float
    """the mean difference's, as its interval has it, with nothing added to the samples"""
    width: float | None
    """how far two values of the metric can be apart; null where that is not known"""
    freedom: float
    """the variance's degrees of freedom: few where clusters are few, or unlike in size; 0 without one"""
    lean: float
    """skewness/√clusters, for which the test of values without a range is corrected; 0 for other values"""


class Phrase(Shape):
    """What words were taken to mean."""

    words: str
    field: str
    """the part of the requirement, as traffic.rate"""
    value: str | int | list[str]
    suggested: bool
    """nobody asked for it in so many words"""


class Placement(Shape):
    """
    Where a run's model goes, as it was chosen when the run was planned (streams/placing.py).

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
    capabilities: list[str] = []
    agents: list[str] = []
    reasons: list[str] = []


class PredictedFigure(Shape):
    """
    A figure with the interval that kept the share `level` of what was left out; `roofline` is what the hardware could do at best.

    `left_out`: among which this is new, models or machines; `groups` of them, with `loads` in all, were left out in turn, and
    `typical_error_ratio` is the median size of the error then. `method` in words.
    """

    figure: str
    unit: str
    value: float
    low: float
    high: float
    level: float
    roofline: float
    method: str
    left_out: str
    groups: int
    loads: int
    typical_error_ratio: float


class PredictedScore(Shape):
    """
    A task's score, a ratio, with the interval that kept the share `level` of what was left out; `baseline` is all models' median.

    `left_out`: among which the model is new, models or families; `groups` of them, with `models` in all, were left out in turn, and
    `typical_error` and `baseline_error` are the median sizes of errors then. `method` in words.
    """

    task: str
    value: float
    low: float
    high: float
    level: float
    baseline: float
    typical_error: float
    baseline_error: float
    method: str
    left_out: str
    groups: int
    models: int


class ModelSha(RootModel[str]):
    root: Annotated[str, Field(max_length=64)] = None
    """the hash of its files, where they are known: it tells models apart"""


class PredictionAsked(Shape):
    """A model's size, on which engine and hardware, under which load. `assay predict` reads the size from the model's files."""

    model_config = ConfigDict(extra="forbid")
    model: Annotated[str, Field(max_length=1000, min_length=1)]
    """what it is called"""
    model_sha: ModelSha | None = None
    """the hash of its files, where they are known: it tells models apart"""
    parameters: Annotated[int, Field(ge=1, le=10000000000000)]
    weights_bytes: Annotated[int, Field(ge=1, le=100000000000000)]
    """as they lie in memory: parameters times the bytes of one"""
    kv_bytes_per_token: Annotated[int, Field(ge=0, le=1000000000)]
    """keys and values of one token, in all layers"""
    engine: Annotated[str, Field(max_length=100, min_length=1)]
    hardware: Annotated[str, Field(max_length=200, min_length=1)]
    """a device, several as `2 x NVIDIA L40S`, or what was measured by its name"""
    in_flight: Annotated[float, Field(gt=0.0, le=100000.0)]
    """requests under way at a time, in the mean"""
    input_tokens: Annotated[float, Field(gt=0.0, le=10000000.0)]
    """of a request, in the mean"""
    output_tokens: Annotated[float, Field(gt=0.0, le=10000000.0)]
    """of an answer, in the mean"""
    by: Annotated[str, Field(max_length=200)] = "anonymous"
    """who asks"""


class PredictionRow(Shape):
    """A prediction in a list."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    engine: str
    hardware: str
    in_flight: float
    input_tokens: float
    output_tokens: float


class PriceRow(Shape):
    """A price. Money and other amounts are integers of billionths; `valid_to_us` is null where no end is known."""

    item: str
    region: str
    currency: str
    amount_nano: int
    unit: str
    valid_from_us: int
    valid_to_us: int | None
    source: str
    version: str
    published_us: int
    stale: bool
    """published, or of a list, more than 180 days ago, with no end told: look it up again"""


class PriceTold(Shape):
    """A price as people write it: a decimal amount of the item's unit, and dates (UTC) or times with their zone."""

    model_config = ConfigDict(extra="forbid")
    item: str
    """cpu_hour, gpu_hour:<device>, device:<device>, kwh, gco2_per_kwh, pue, api_input_token:<model> or api_output_token:…"""
    amount: str | int | float
    """as text it keeps all of its digits, nine behind the point at most"""
    unit: str
    """the item's own: core-hour, device-hour, device, kWh, g/kWh, 1, 1M tokens"""
    valid_from: str
    source: str
    """who says so, and when"""
    version: str
    """the book's version; of several the one published last wins"""
    region: str | None = None
    """any, where it is left out"""
    currency: str | None = None
    """USD, or nothing for what is no money"""
    valid_to: str | None = None


class PricesTold(Shape):
    """Prices to publish, all or none."""

    model_config = ConfigDict(extra="forbid")
    prices: Annotated[list[PriceTold], Field(max_length=1000, min_length=1)]


class Problem(Shape):
    """What is wrong, and what to do (RFC 9457)."""

    type: str
    """urn:assay: and the code"""
    title: str
    status: int
    detail: str
    """what is wrong, the value, and what to do"""
    code: str
    """short and stable"""


class Prompt(Shape):
    """A prompt of a load, as it is sent."""

    model_config = ConfigDict(extra="forbid")
    text: str


class Published(Shape):
    """How many prices were new; the others had been published before, alike."""

    published: int


class Reached(Shape):
    """A rate that a sweep found, with its interval; null with its reason."""

    value: float | None
    low: float | None
    high: float | None
    why_undefined: str | None
    note: str | None
    """what lies at its end, in words"""
    method: str | None
    """what made the interval; null without one"""


class ReadOtherwise(Shape):
    """A part that a model said and that no requirement can have."""

    part: str
    why: str


class Ready(Shape):
    """It reaches ClickHouse and follows the log."""

    ready: bool


class Reckoned(Shape):
    """A recommendation reckoned again from the same runs, prices and seed."""

    recommendation_id: str
    equal: bool
    differs: list[str]
    """the fields in which what comes now differs from what was said"""


class ReckonedFigure(Shape):
    """A figure: its formula in words, and all that went in, down to what was stated by whom, or is a default."""

    figure: str
    name: str
    value: float
    unit: str
    formula: str
    source: str
    opened: list[OpenedInput]


class RecommendationAsked(Shape):
    """A requirement, as docs/deciding.md writes it."""

    model_config = ConfigDict(extra="forbid")
    requirement: dict[str, Any]
    """tasks, floors, latency, traffic, budget, allowed, prefer, threshold: amounts with units"""
    by: Annotated[str, Field(max_length=200)] = "anonymous"
    """who asks"""
    seed: Annotated[int, Field(ge=0, lt=4294967296)] = 20261128
    """of the draws: the same gives the same answer"""


class RecommendationRow(Shape):
    """A recommendation and its first choice; null where nobody is left."""

    recommendation_id: str
    asked_by: str
    made_us: int
    decided: bool
    words: str
    considered: int
    contending: int
    refused: int
    model: str | None
    engine: str | None
    hardware: str | None
    confidence: float | None


class Recorded(Shape):
    """What was written down."""

    decision_id: str
    chosen: str
    confidence: float | None


class Rejected(Shape):
    """Somebody who is refused: what it breaks, and for each of these the nearest change that would admit it."""

    candidate: str
    model: str
    engine: str
    hardware: str
    feasible: float
    reason: str
    changes: list[str]
    measured_by: list[MeasuredByItem]


class RepeatedFigure(Shape):
    """A figure over runs of one load: the mean, with its 95 % interval between runs (Student's, n - 1 degrees of freedom)."""

    metric: Literal[
        "capacity_tokens_per_s", "concurrent_tokens_per_s", "ttft_p50_s", "ttft_p95_s", "itl_p50_s", "itl_p95_s", "joules_per_token"
    ]
    unit: str
    n: int
    """runs that tell it"""
    value: float
    """the mean over them"""
    low: float | None
    high: float | None
    between: float | None
    """the standard deviation from run to run; null for one run alone"""
    within: float | None
    """the standard error of one run by its own interval: the root of their mean square"""
    p: float | None
    """how likely runs that are equal differ so much: Cochran's Q"""
    untested: str | None
    """why there is no p"""
    differs: bool | None
    """whether runs differ more than their own intervals: p is below 0.01"""
    runs: list[OwnFigure]
    method: str | None
    """what made the mean's interval; null without one"""


class RepeatedLoad(Shape):
    """Runs of one load: of the same model, engine, options, workload, service level and environment, reckoned by the same formula."""

    runs: list[str]
    """completed and not retracted, the newest first, at most 100; none where the run has no load"""
    figures: list[RepeatedFigure]
    """of the main figures those that a run tells"""
    differ: str | None
    """in words, which figures differ more from run to run than runs' own intervals say"""


class Reported(Shape):
    """Which report of the decision it was, from 0 on."""

    decision_id: str
    revision: int


class Retracted(Shape):
    """A run that was retracted."""

    run_id: str
    by: str
    reason: str


class Retracting(Shape):
    """Who says that a run no longer counts, and why: it stays in the record, with this."""

    model_config = ConfigDict(extra="forbid")
    by: Annotated[str, Field(max_length=200)] = "api"
    reason: Annotated[str, Field(max_length=2000, min_length=1)]


class Retraction(Shape):
    """Who said that a run no longer counts, and why."""

    by: str
    reason: str


class RuleCheck(Shape):
    """One of MLPerf's rules: whether the load kept it; null where there is nothing to hold it to."""

    rule: str
    kept: bool | None
    told: str


class Rules(Shape):
    """A load that follows MLPerf's rules for a scenario, and what it never is (docs/speed.md)."""

    scenario: str
    note: str
    checks: list[RuleCheck]


class RunAsked(Shape):
    """A run that carries out a part of it."""

    run_id: str
    command: str


class RunRow(Shape):
    """A run, as lists show it."""

    run_id: str
    state: Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"]
    reason_code: str | None
    message: str | None
    model: str
    engine: str
    suite: str
    submitter: str
    jobs: int
    expected: int
    """samples that will be scored, repeats included"""
    tasks: list[str]
    asked: list[str]
    """its tasks, those of a group as the group"""
    parameters: int | None
    requested_us: int
    changed_us: int
    progress: float
    """0..1"""
    waits_for: str | None
    """what it waits for, in words; null where it does not wait"""
    sealed: bool
    """a seal says so; `assay verify` proves it"""
    retracted: bool
    """it no longer counts, and stays in the record"""
    audited: bool
    """it was run again and compared; `GET /v1/audits` tells what came of it"""
    audit_of: str | None
    """the run that it runs again"""


class Running(Shape):
    """An attempt that an agent is busy with."""

    job_id: str
    attempt: int


class RunningFact(Shape):
    """In what a run was run differently; null where nothing is told of it."""

    name: str
    reference: str | None
    other: str | None


class SampleAnswer(Shape):
    """What the model answered to a request. `draw` counts the answers to one request."""

    draw: int
    output: str | None
    loglikelihood: float | None
    is_greedy: bool | None
    finish_reason: str
    prompt_tokens: int
    output_tokens: int
    truncated_tokens: int
    error: str | None


class SampleLine(Shape):
    """One metric of one sample under one filter, on a line of its own."""

    task: str
    doc_id: int
    ordinal: int
    repeat: int
    metric: str
    filter: str
    value: float | None


class SampleRequest(Shape):
    """
    What the model was asked. The prompt is the content `prefix_ref`, where there is one, and then `context`.

    Of a multiple choice each choice is a request, and its `continuation` the choice.
    """

    request_type: str
    prefix_ref: str | None
    context: str
    continuation: str | None
    generation_json: str | None
    repeats: int
    answers: list[SampleAnswer]


class SampleValue(Shape):
    """One metric of a sample under one filter."""

    metric: str
    filter: str
    value: float | None


class SavingsAsked(Shape):
    """What runs now, told by a run of it, and the requirement that it serves."""

    model_config = ConfigDict(extra="forbid")
    run: str
    """the id of a completed run of what runs now: its weights, on its engine and hardware"""
    requirement: dict[str, Any]
    """tasks and traffic; latency, allowed and the rest where they count"""
    margin: Annotated[float, Field(ge=0.0)] = 0.01
    """by so much the quality may be lower, in ratios"""


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
    truncated: int
    """samples of the task of which the model's window truncated a prompt or a choice"""
    rows_skipped: int
    """rows of the task's data that were left out: the value is over fewer"""
    sequential: bool
    """the interval is a confidence sequence's: the task stopped early"""
    group: str | None
    """the group that the task is of"""
    repeats: int
    """how often each of the samples was asked; the value is over samples, each the mean of its repeats"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""
    between_documents: float | None
    """the variance from document to document, where there are repeats"""
    within_documents: float | None
    """the variance of one answer to the same document, where there are repeats"""
    setups: int
    """in how many set-ups (few-shot seeds, prompt formats) the repeats were asked: docs/variance.md"""
    between_setups: float | None
    """the variance from set-up to set-up, where there are several"""
    half_width: float | None
    """the interval's half-width by these three variances, about"""
    half_width_documents: float | None
    """what it would be with twice the documents"""
    half_width_setups: float | None
    """what it would be with twice the set-ups"""


class ScoreMeasuredSince(Shape):
    """A score that was measured after it was predicted, by the run that counts. Errors are predicted less measured."""

    task: str
    run_id: str
    measured: float
    within: bool
    """the interval has it"""
    error: float
    baseline_error: float
    """the same of the median of all models"""


class ModelSha1(RootModel[str]):
    root: Annotated[str, Field(max_length=64)] = None
    """the hash of its files, where they are known"""


class Family(RootModel[str]):
    root: Annotated[str, Field(max_length=200, min_length=1)] = None
    """where the name does not tell it, as smollm2"""


class Task(RootModel[str]):
    root: Annotated[str, Field(max_length=200, min_length=1)]


KnownAdditionalProperty = TypeAliasType("KnownAdditionalProperty", Annotated[float, Field(ge=0.0, le=1.0)])


class ScorePredictionAsked(Shape):
    """A model's name and size, and the tasks whose scores are asked. What was measured of it on other tasks is known."""

    model_config = ConfigDict(extra="forbid")
    model: Annotated[str, Field(max_length=1000, min_length=1)]
    """what it is called: its family stands in it, before the size"""
    model_sha: ModelSha1 | None = None
    """the hash of its files, where they are known"""
    parameters: Annotated[int, Field(ge=1, le=10000000000000)]
    family: Family | None = None
    """where the name does not tell it, as smollm2"""
    tasks: Annotated[list[Task], Field(max_length=100, min_length=1)]
    """tasks, or groups of them"""
    known: Annotated[
        dict[Annotated[str, StringConstraints(min_length=1, max_length=200)], KnownAdditionalProperty] | None,
        Field(max_length=100),
    ] = None
    """scores of other tasks, from elsewhere"""
    by: Annotated[str, Field(max_length=200)] = "anonymous"
    """who asks"""


class ScorePredictionRow(Shape):
    """A prediction in a list."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    family: str
    parameters: int
    tasks: list[str]
    """those of which something is said"""


class ScoreRecord(Shape):
    """
    How good predictions of scores have been: of those that were measured since, how many intervals held, with its 95 % interval
    (Wilson), what was promised, and the median size of errors beside that of the median of all models.
    """

    n: int
    within: float
    low: float
    high: float
    promised: float
    median_error: float
    median_baseline_error: float
    method: str


class ScoreThen(Shape):
    """A score at a time. `measured here`: of a run, at its end; `reported elsewhere`: what others have published, and nobody here saw."""

    origin: Literal["measured here", "reported elsewhere"]
    at_us: int | None
    """when the run ended, or when others measured or published it; null where they do not say"""
    model: str
    task: str
    metric: str
    filter: str
    value: float
    low: float | None
    high: float | None
    method: str | None
    """what made the interval"""
    n: int | None
    """samples"""
    unit: str | None
    run_id: str | None
    engine: str | None
    form: str | None
    """of the file that was imported"""
    source: str | None
    licence: str | None


class Seal(Shape):
    """A run's newest seal: the Merkle root over so many of its events, and the key that signed it."""

    root: str
    key_id: str
    events: int


class SentenceTold(Shape):
    """A sentence that says what somebody looks for."""

    model_config = ConfigDict(extra="forbid")
    sentence: Annotated[str, Field(max_length=1000, min_length=1)]
    """in English"""
    reader: bool = False
    """let the model of ASSAY_READER_URL read it too, and tell in what it differs"""


class Server(Shape):
    """A server elsewhere that answers for a run's model: what it says of itself, and what it was found to do."""

    address: str
    model: str
    """its own name for what answers"""
    owner: str | None
    version: str | None
    header: str | None
    max_len: int | None
    apis: list[str]
    """completions, chat"""
    likelihoods: str | None
    """by what it tells log-probabilities of a prompt; null where it does not"""


class ShareOfDecisions(Shape):
    """A figure over n decisions with its 95 % interval; what is null says why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    why_undefined: str | None
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""


class Side(Shape):
    """A run that is compared. While it is not completed, its figures are provisional."""

    run_id: str
    model: str
    state: str


class Sized(Shape):
    """
    How many replicas the day's peak needs: by goodput and headroom alone, and by the queue that requests wait in.

    `places`: requests that a replica has under way at a time, each for `service_s`; `waiting_ratio` and `too_long_ratio`: the share of
    requests that wait at all, and longer than `longest_wait_s`; `mean_wait_s` is null where the queue would grow without end.
    """

    replicas: int
    by_rate: int
    by_queue: int
    goodput_per_s: float
    places: int
    service_s: float
    busy_ratio: float
    waiting_ratio: float
    too_long_ratio: float
    longest_wait_s: float
    mean_wait_s: float | None


class Skipped(Shape):
    """A task that was left out, and why."""

    task: str
    reason: str


class Span(Shape):
    """A figure as measured, and its 95 % interval over joint draws."""

    value: float
    low: float
    high: float
    method: Literal["joint draws"]
    """what made the interval (docs/deciding.md)"""


class Spending(Shape):
    """The most that may be spent, in billionths of a USD; null is no limit."""

    per_month_usd_nano: int | None = None
    per_1m_tokens_usd_nano: int | None = None
    capital_usd_nano: int | None = None


class Spread(Shape):
    """How a duration was distributed, in seconds."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class SpreadTold(Shape):
    """How far an input may be off: its ends, and the distribution between them."""

    model_config = ConfigDict(extra="forbid")
    low: float | str
    high: float | str
    shape: Literal["uniform", "triangular", "normal", "lognormal"] = "triangular"
    """of normal and lognormal the ends are the 5th and 95th percentiles"""


class StatedInput(Shape):
    """An input with a source of its own."""

    model_config = ConfigDict(extra="forbid")
    value: float | str
    source: str


class Steadiness(Shape):
    """Whether requests took as long at the window's end as at its beginning (Mann-Kendall over batch means, docs/speed.md)."""

    steady: bool | None
    """null where there are too few requests, or it was not tested"""
    why: str | None
    """in which way they did not"""


class Step(Shape):
    """A figure of a lexicographic order, and how much of it does not matter, in its unit."""

    figure: str
    tolerance: float = 0.0


class Stopping(Shape):
    """When a task is known well enough to stop: each of its figures to ±`half_width`, in the figure's unit, with that confidence."""

    model_config = ConfigDict(extra="forbid")
    half_width: float
    confidence: float = 0.95


class StrongModel(Shape):
    """A model among those compared. `strength`: log-odds, 0 being the mean; `points`: what it is expected to win, a tie counting half."""

    model: str
    bouts: int
    strength: Estimated
    points: Estimated
    equally_long: Estimated
    """its strength if all answers were equally long"""


class AgainstRun4(RootModel[str]):
    root: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ] = None
    """the run whose answers those of parent_run are compared with"""


class Submitted(Shape):
    """A run that was asked for."""

    run_id: str
    state: Literal["requested"]


class SuiteTask(Shape):
    """A task of a suite. What it is pinned to is null where it is not pinned."""

    task: str
    fewshot: int
    group: str | None
    """tasks of one group count as one"""
    licence: str
    """the data's"""
    source: str
    """where the data come from"""
    version: str | None
    data: str | None
    """the data set's name on the hub"""
    sha256: str | None
    """of all that is read of the data"""
    metric: str | None
    """the main metric, which rankings use"""
    chance: float | None
    """what guessing gives by it"""
    samples: int | None
    metrics: list[str]
    """computed beside the task's own"""
    published: str | None
    """the month in which the data first appeared, YYYY-MM; null where that is not surely known"""


class SuiteTasks(Shape):
    """Tasks of a version of a suite, in the order asked for."""

    name: str
    version: str
    tasks: list[SuiteTask]
    next: str | None
    """the next page's cursor; null at the end"""


class SuiteTold(Shape):
    """A version of a suite."""

    name: str
    version: str
    description: str
    seed: int
    tasks: list[SuiteTask]


class Suites(Shape):
    """The project's suites, in the order asked for."""

    suites: list[SuiteTold]
    next: str | None
    """the next page's cursor; null at the end"""


class SweepStep(Shape):
    """A step of a sweep: requests at one rate, or one stream alone (null). `why` says what was not kept."""

    step: int
    rate_per_s: float | None
    verdict: Literal["kept", "missed", "saturated", "failed", "void"]
    why: str | None
    requests: int
    errors: int
    requests_per_s: float | None
    offered_per_s: float | None
    output_tokens_per_s: float | None
    goodput_per_s: float | None
    """requests a second that kept every limit; null without a service level"""
    ttft_s: Spread
    itl_s: Spread
    e2e_s: Spread
    unsteady: str | None
    """the trend that a step had which was not saturated; null where it had none"""


class TaskDifference(Shape):
    """A task's main metric in both runs. `better` is null where no difference is shown."""

    task: str
    metric: str
    filter: str
    higher_is_better: bool
    a: float
    b: float
    difference: PairedDifference
    p_holm: float
    """p after Holm's correction over all tasks that are compared"""
    better: Literal["a", "b"] | None
    words: str
    differing: int
    """samples on which the runs differ"""
    samples: list[DifferingSample]
    """those that differ most"""
    only_a: int
    only_b: int
    group: str | None
    """tasks of one group count as one"""
    by_size: bool
    """in its group it counts by its samples; else as the others"""
    weight: float
    """its part of the overall difference; all parts are 1"""
    detectable: float | None
    """the smallest true difference that these samples find with power 0.8 under Holm's correction; null where none is"""
    needed: int | None
    """how many samples find the `difference` that was asked for, with power 0.8 under Holm's correction"""
    p_equivalent: float | None
    """of two one-sided tests: the p-value that the runs are the `margin` or more apart"""


class TaskParity(Shape):
    """
    A task's main metric in both, and the mean of other - reference over the documents of both, with its 95 % interval.

    `p_holm` and `p_equivalent` are after Holm's correction over all runs and tasks.
    """

    task: str
    metric: str
    filter: str
    higher_is_better: bool
    reference: float
    other: float
    difference: float
    low: float | None
    high: float | None
    n: int
    """documents that both have"""
    margin: float
    """in the metric's unit"""
    p_holm: float
    """the p-value of no difference"""
    p_equivalent: float | None
    """of two one-sided tests: the p-value that both are the margin or more apart"""
    verdict: Literal["as-good", "better", "worse", "unknown"]
    needed: int | None
    """of what is not known: how many documents would tell; null where no number does"""
    changed: int
    """documents that are scored differently"""
    changed_ratio: float
    answered_differently_ratio: float | None
    """samples with another text, or another choice; null where nobody can tell, as of private runs"""
    group: str | None
    words: str
    test: str
    """what made p (docs/rigor.md)"""
    method: str
    """what made the interval (docs/rigor.md)"""


class TaskPart(Shape):
    """A file that a definition leans on, by its path beside it: a YAML that it includes, or a Python module whose functions it names."""

    model_config = ConfigDict(extra="forbid")
    path: str
    text: str


class TaskProgress(Shape):
    """How far a task of a run is, in samples."""

    task: str
    expected: int
    answered: int
    scored: int
    not_scored: int
    truncated: int
    """samples of which the model's window truncated a prompt or a choice"""
    planned: int
    """more than expected where it stopped early"""
    half_width: float | None
    """what its figures are known to, where it stopped early"""
    data_published: str | None
    """the month in which its data first appeared; null where that is not known"""
    data_age: Literal["older", "newer", "unknown"]
    """older: the model may have seen its data; newer: they came after the model"""


class ToLabel(Shape):
    """An answer for a person to label. Of two, `answer` stands first and `other` second; `swapped`: the first is the other run's."""

    task: str
    ordinal: int
    repeat: int
    request: int
    draw: int
    swapped: bool
    prompt: str
    answer: str
    other: str | None


class ToLabelPage(Shape):
    """A random sample of a run's written answers, and what a person may say of each."""

    judgement: str
    metric: str
    scale: str
    answers: list[ToLabel]


class TokenCost(Shape):
    """What a million tokens cost in the run that the row's speed was measured in, under the newest version of the price book."""

    price_version: str
    per_1m_input_tokens_usd: float | None
    per_1m_output_tokens_usd: float | None
    per_1m_tokens_usd: float | None


class TornadoBar(Shape):
    """What a figure is at both ends of one input, the others as stated; null where it has no value there."""

    input: str
    low: float | None
    high: float | None


class Traced(Shape):
    """
    A request of a trace, `at_ms` after its first. Requests whose `hash_ids` begin alike have prompts that begin alike.

    An id stands for a block of 512 tokens, the last one for what is left. `text` is the prompt itself.
    """

    model_config = ConfigDict(extra="forbid")
    at_ms: float
    input_tokens: int
    output_tokens: int
    hash_ids: list[int] = []
    text: str | None = None


class Tradeoff(Shape):
    """The first choice less the runner-up in one figure, with the 95 % interval of the draws, and what that means."""

    figure: str
    unit: str
    difference: float
    low: float
    high: float
    words: str


class Traffic(Shape):
    """A day's load: requests a second in equal stretches from midnight, and how long requests and answers are."""

    curve_per_s: list[float]
    input_tokens: int
    output_tokens: int
    headroom_ratio: float = 0.2


class UnderLevel(Shape):
    """The highest rate of requests at which a server kept a service level; its interval reaches to the next rate that missed it."""

    rate_per_s: float
    low: float | None
    high: float | None
    method: str | None
    """what made the interval; null without one"""
    slo: Level
    """what it was held to: rates under other levels are not comparable"""


class Unpredicted(Shape):
    """A figure of which nothing is said, and why."""

    figure: str
    why: str


class UnpredictedScore(Shape):
    """A task of which nothing is said, and why."""

    task: str
    why: str


class Unscored(Shape):
    """Why so many samples have no score."""

    reason: str
    samples: int


class VersionCost(Shape):
    """
    A run's cost under one version of the price book. Undefined is null; `why_undefined` has the reason by the field's name.

    `prices` names what each figure rests on; `newest` is true of the version to go by.
    """

    price_version: str
    formula_version: str
    published_us: int
    newest: bool
    run_usd: float | None
    per_1m_input_tokens_usd: float | None
    per_1m_output_tokens_usd: float | None
    per_1m_tokens_usd: float | None
    per_correct_answer_usd: float | None
    per_correct_answer_j: float | None
    """what the meters counted for a correct answer"""
    energy_j: float | None
    energy_usd: float | None
    co2e_g: float | None
    per_1k_output_tokens_wh: float | None
    """what the chips took for a thousand output tokens"""
    per_1k_output_tokens_water_l: float | None
    """by WUE"""
    per_1k_output_tokens_co2e_g: float | None
    """operational: that energy by PUE and the grid"""
    per_1k_output_tokens_embodied_co2e_g: float | None
    """of making the devices, by the time they took"""
    per_1k_output_tokens_sci_g: float | None
    """both: the software carbon intensity, ISO/IEC 21031"""
    energy_grade: str | None
    prices: dict[str, str]
    why_undefined: dict[str, str]


class Ways(Shape):
    """Whom each method of weighing would choose, by candidate; null: nobody keeps all constraints as measured."""

    swing: str | None
    topsis: str | None
    lexicographic: str | None
    agree: bool
    words: str


class Whom(Shape):
    """A run whose answers are judged."""

    run_id: str
    model: str


class Workload(Shape):
    """
    A load to measure speed under. `requests` and `duration_s` end it, whichever comes first; a trace also ends by itself.

    `burstiness` is the shape of gamma arrivals: 1 is Poisson, less comes in bursts. A ramp goes from `rate_per_s` to `rate_to_per_s`.
    A trace is sent `speedup` times as fast as it was recorded. A sweep is a series of loads, each as long as `requests` and `duration_s`
    say: one stream alone, then at rates from `rate_per_s` on, to where the server is saturated or misses its service level. `api` is what
    the server at `url` is asked by. `fresh_prompts`: no prompt begins as one that was sent before, in any run, so that no cache of prefixes
    answers; without, the same seed sends the same prompts. Of each prompt's tokens `shared_prefix_ratio` are the beginning that it has in
    common with others: one of so many `shared_prefixes`, drawn for each request.
    So great a share as `cancel_ratio` of the requests, drawn too, the client gives up `cancel_after_s` after it has sent them.
    `turns`: requests of a chat, each with all that was said before and `input_tokens` more, `think_s` after the answer to the last. Rates
    and concurrency are of chats then, `requests` of all their turns. `stream`: answers come token by token; else whole, and nothing is
    known of when their tokens came. `extra_body`: what every request's body has beside the load's own, as JSON.
    `prompts`: a data set's own, which the seed shuffles; none is sent again before all were. `prompts_task`: the planner takes them of that
    task's documents, the first `prompts_limit` of them, as the task asks them. `http`: by which version the server is spoken to; by HTTP/2
    as many requests at a time go over one connection as the server takes, at most `streams`.
    """

    model_config = ConfigDict(extra="forbid")
    profile: Literal["single", "constant", "poisson", "gamma", "ramp", "trace", "concurrent", "sweep"] = "single"
    rate_per_s: float | None = None
    concurrency: int | None = None
    duration_s: float | None = None
    requests: int | None = None
    warmup_requests: int = 2
    input_tokens: int = 64
    output_tokens: int = 32
    url: str | None = None
    api: Literal["completions", "chat", "responses"] = "completions"
    fresh_prompts: bool = True
    burstiness: float | None = None
    rate_to_per_s: float | None = None
    trace: Annotated[list[Traced], Field(validate_default=True)] = []
    speedup: float = 1.0
    shared_prefix_ratio: float = 0.0
    shared_prefixes: int = 1
    cancel_ratio: float = 0.0
    cancel_after_s: float | None = None
    turns: int = 1
    think_s: float = 0.0
    stream: bool = True
    extra_body: str = "{}"
    prompts: Annotated[list[Prompt], Field(validate_default=True)] = []
    prompts_task: str | None = None
    prompts_limit: int | None = None
    http: Literal["1.1", "2"] = "1.1"
    streams: int | None = None


class AgentRow(Shape):
    """An agent as its last heartbeat told it."""

    pool: str
    agent_id: str
    incarnation: int
    seen_us: int
    alive: bool
    running: list[Running]
    models_held: list[str]
    devices: list[Device]
    free_bytes: int
    total_bytes: int
    draining: bool
    capabilities: list[str]


class AuditReport(Shape):
    """How a run and its audit compare, as the owner of that key says."""

    key_id: str
    own: bool
    """the key seals runs here; else it is another party's"""
    signed: bool
    """the signature holds; what is not signed proves nothing"""
    state: Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"] | None
    """the audit's; only a completed one counts on boards"""
    equal_ratio: float
    samples: int
    """those that both answered, and that did not fail in both"""
    equal: int
    failed: int
    """samples that failed in both, which proves nothing: they are not among the others"""
    unmatched: int
    """samples that the audit answered and the run did not"""
    asked: int
    """samples that were asked again; those that the audit did not answer are told in `differences`"""
    tolerance: float
    """of log-likelihoods and scores: absolute, or of the greater"""
    differing_by: dict[str, int]
    """how many differ by prompt, error, text, likelihood, greedy, score"""
    differing: list[AuditedSample]
    """the first hundred"""
    metrics: list[AuditedMetric]
    environment: list[AuditedFact]
    differences: list[str]
    """what differs, in sentences; none: nothing does"""


class Auditing(Shape):
    """Who has a run run again, how much of it, and where."""

    model_config = ConfigDict(extra="forbid")
    run_id: Annotated[
        str | None,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ] = None
    """the audit's own id, a UUIDv7; drawn where it is left out"""
    submitter: str = "anonymous"
    share: Share | None = None
    """the share of its documents that are asked again, drawn by the run's seal; null: all"""
    pool: str | None = None
    """the pool that runs it; null: the run's own"""
    priority: int = 0
    """higher goes first"""
    budget: Annotated[Budget, Field(validate_default=True)] = {
        "usd_nano": None,
        "s": None,
        "deadline_us": None,
    }


class BoardPage(Shape):
    """Boards, in the order asked for."""

    boards: list[BoardRow]
    next: str | None
    """the next page's cursor; null at the end"""


class CalculationAsked(Shape):
    """Assumptions, each with who states it and as of when; docs/costs.md lists the inputs with their units and defaults."""

    model_config = ConfigDict(extra="forbid")
    source: str = ""
    """who states the inputs that name no source of their own, and as of when"""
    inputs: dict[str, float | str | StatedInput]
    """numbers, money in USD; or texts with a unit, as 30 % or 8000 EUR"""
    curve: Any = None
    """a day's requests a second: one rate, 24 rates, or rates by hours, as {0-8: 2/s, 8-24: 9/s}"""
    rates: dict[str, float | str] | None = None
    """USD for one of another currency"""
    spreads: dict[str, list[float | str] | SpreadTold] | None = None
    """how far inputs may be off, by name: [low, high] in the input's unit, or with a shape"""
    spread: float | str | None = None
    """the share by which all others may be off, as 20 %"""


class Contender(Shape):
    """
    Somebody who may be chosen: the chances of keeping all constraints, of the front and of being right, and what choosing it loses.

    `why` is all of it in words; `measured_by` are the runs that it rests on; `lacks` are figures that count and were not measured.
    """

    candidate: str
    model: str
    engine: str
    hardware: str
    feasible: float
    pareto: float
    confidence: float
    loss: float
    why: str
    figures: list[DrawnFigure]
    lacks: list[str]
    measured_by: list[MeasuredByItem]
    usd_per_hour: float | None
    capacity: Sized | None
    guide: Guide | None


class Correction(Shape):
    """
    A judge's metric held to people's labels.

    `judged`: the judge's own mean; `people`: that of the labels alone; `corrected`: what people would say of all answers, by both.
    """

    run_id: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ]
    """the run that judges"""
    judge: str
    task: str
    metric: str
    against_run: AgainstRun1 | None
    judged: Measured
    people: Measured
    corrected: Measured
    tuning: float | None
    """how much the judge is worth to it, 0 to 1: λ of PPI++"""
    bias: Measured
    """the judge's values less people's, on the same answers"""
    agreement: Agreed
    """of judge and people"""
    among_people: Agreed
    """of people, where several labelled the same"""
    labels: int
    """answers that people labelled and the judge scored"""
    persons: int
    unmatched: int
    """answers that people labelled and the judge did not score"""


class Corrections(Shape):
    """Judges of a run's answers, held to people."""

    run_id: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ]
    corrections: list[Correction]


class Decision(Shape):
    """A decision, and what came of it. `confidence` is what the recommendation said of what was chosen."""

    decision_id: str
    recommendation_id: str | None
    candidate: str | None
    chosen: str
    by: str
    stated_ratio: float | None
    confidence: float | None
    note: str
    decided_us: int
    reports: int
    outcome: Outcome | None


class DecisionFigures(Shape):
    """What all decisions come to: the share made with 80 % confidence or more, and the mean share of the bill that was saved."""

    decisions: int
    confident: ShareOfDecisions
    saved: ShareOfDecisions


class DecisionPage(Shape):
    """Decisions, in the order asked for, and the figures of all."""

    decisions: list[Decision]
    figures: DecisionFigures
    next: str | None
    """the next page's cursor; null at the end"""


class ExternalPage(Shape):
    """Others' results, in the order asked for."""

    results: list[ExternalResult]
    next: str | None
    """the next page's cursor; null at the end"""


class FigureDifference(Shape):
    """A figure of both loads, and a - b with its 95 % interval, in the figure's unit; null where one of the two has none of its own."""

    metric: str
    unit: str
    a: LoadFigure
    b: LoadFigure
    value: float
    """a - b"""
    low: float | None
    high: float | None
    method: str | None
    """what made the interval (docs/speed.md); null without one"""
    ratio: float | None
    """a / b"""
    ahead: Literal["a", "b"] | None
    """which is better, where the interval leaves out 0"""


class GridCell(Shape):
    """A load of the grid."""

    run_id: str
    model: str
    engine: str
    state: str
    concurrency: int | None
    input_tokens: int
    output_tokens: int
    figures: GridFigures


class GroupDifference(Shape):
    """A group's tasks joined. It is not tested; `ahead` is null where the interval, which is corrected for nothing, holds 0."""

    group: str
    tasks: int
    metric: str
    filter: str
    higher_is_better: bool
    a: float
    b: float
    difference: JoinedDifference
    ahead: Literal["a", "b"] | None
    words: str
    differing: int
    by_size: bool
    """its tasks count by their samples; else each alike"""


class Judgement(Shape):
    """A judge of a run's answers: `model` answers the derived task `task` about them, in a run of its own, once it is complete."""

    model_config = ConfigDict(extra="forbid")
    task: str
    model: ModelRef
    engine: Annotated[EngineChoice, Field(validate_default=True)] = {
        "name": "transformers",
        "options": {},
    }
    chat: Annotated[ChatInput, Field(validate_default=True)] = {
        "template": None,
        "system": None,
        "multiturn": False,
        "thinking": None,
        "thinking_tokens": None,
        "thinking_end": "</think>",
        "fold_system": False,
    }


class JudgementShown(Shape):
    """A run that judges: its judge, whom it judges, with whom it compares, and what came of it."""

    run_id: str
    state: Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"]
    message: str | None
    judge: str
    engine: str
    requested_us: int
    changed_us: int
    subject: Whom | None
    against: Whom | None
    scores: list[JudgedScore]


class Judgements(Shape):
    """Judgements of a run's answers, in the order asked for. `agreements` are over all of them, whatever the page and the filters."""

    run_id: str
    judgements: list[JudgementShown]
    agreements: list[Agreement]
    next: str | None
    """the next page's cursor; null at the end"""


class LoadsCompared(Shape):
    """Two loads compared. What changes from one start of a server to the next is in no interval of one run, and so in none of these."""

    a: Side
    b: Side
    figures: list[FigureDifference]
    unlike: list[str]
    """in what the two were asked for differently, in words"""


class NextBought(Shape):
    """The runs of a next run. `new`: they are asked for now; else they were before, and nothing was."""

    recommendation_id: str
    place: int
    what: str
    usd: float | None
    """what it is expected to cost; null where nobody has measured that"""
    new: bool
    runs: list[RunAsked]


class Prediction(Shape):
    """What was predicted, of which figures nothing is said and why, and what was measured since. It is no measurement."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    model_sha: str | None
    parameters: int
    weights_bytes: int
    kv_bytes_per_token: int
    engine: str
    hardware: str
    in_flight: float
    input_tokens: float
    output_tokens: float
    figures: list[PredictedFigure]
    """each with the interval that so great a share (`level`) of what was left out kept"""
    unpredicted: list[Unpredicted]
    formula_version: str
    inputs_digest: str
    input_runs: list[str]
    """all runs that it was learned from"""
    measured: list[MeasuredSince]


class PredictionPage(Shape):
    """Predictions, in the order asked for, and how good all of them have been."""

    predictions: list[PredictionRow]
    record: list[FigureRecord]
    next: str | None
    """the next page's cursor; null at the end"""


class Preference(Shape):
    """How those that are allowed are compared: points for the swing of each figure from its worst to its best, and an order."""

    points: dict[str, float] | None = None
    order: Annotated[list[Step], Field(validate_default=True)] = []


class PricePage(Shape):
    """Prices, in the order asked for."""

    prices: list[PriceRow]
    next: str | None
    """the next page's cursor; null at the end"""


class RankingRow(Shape):
    """A model's place, with what its run measured. One without a rank says in `missing` what it lacks: tasks, a figure, or samples."""

    position: int
    rank: int | None
    model: str
    model_sha: str
    engine: str
    hardware: str
    run_id: str
    score: float | None
    """the mean over tasks; of a task's own board the task's main metric, as it is"""
    low: float | None
    high: float | None
    rank_low: int | None
    """the best place that it may have: the ranges of a board all hold at once, with 95 %"""
    rank_high: int | None
    """the worst"""
    method: str | None
    """what made the interval (docs/rigor.md); null without one"""
    samples: int
    output_tokens_per_s: float | None
    """of a server that was proven full: its capacity"""
    at_concurrency: AtConcurrency | None
    """where no capacity was proven, and a closed load was measured"""
    ttft_p50_ns: int | None
    ttft_p50_s: float | None
    joules_per_token: float | None
    energy_grade: str | None
    missing: list[str]
    sealed: bool
    """a seal says so; `assay verify` proves it"""
    audited: bool
    """its run was run again and compared: `audits` times to the end, by who seals runs here"""
    audits: int
    equal_ratio: float | None
    """the share of samples that came out equal, in the audit where it is least"""
    other_audits: int
    """audits that other parties report, by their own keys"""
    other_equal_ratio: float | None
    retracted: bool
    """its run no longer counts: it has no rank, and stays"""
    speed_run: str | None
    """the run that the speed was measured in"""
    under_slo: UnderLevel | None
    """capacity under a service level, where the speed was measured by a sweep under one; ttft is latency alone"""
    cost: TokenCost | None
    answers: AnswerCost | None
    chat: ChatOutput
    """how prompts were dressed"""
    data_age: Literal["older", "newer", "unknown"]
    """older: data of the board were published before the model, which may have seen them; newer: all after it"""
    sequential: bool
    """a task of it stopped early, and its interval is a confidence sequence's"""
    adaptive: str | None
    """what its score is estimated from, where only a part of a task was asked: it has no rank then"""
    run_count: int
    """of so many runs of the model on this board, on whichever data, this is the newest that counts"""


class ReadByModel(Shape):
    """What a model understood of the same sentence: validated, and not acted on. `said`: what it wrote, as text."""

    model: str
    requirement: dict[str, Any]
    yaml: str
    refused: list[ReadOtherwise]
    compared: list[FieldRead]
    """every field that either reader has"""
    said: str


class RecommendationPage(Shape):
    """Recommendations, in the order asked for."""

    recommendations: list[RecommendationRow]
    next: str | None
    """the next page's cursor; null at the end"""


class Requirement(Shape):
    """
    All of it. `tasks` weigh what quality is; `floors` are the least of a task's score, or of `quality` as a whole.

    Below `threshold_ratio` of confidence there is no choice, but what is left to choose from.
    """

    tasks: dict[str, float] | None = None
    floors: dict[str, float] | None = None
    latency: Annotated[Latency, Field(validate_default=True)] = {
        "ttft_p95_s": None,
        "itl_p95_s": None,
        "e2e_p95_s": None,
    }
    traffic: Traffic | None = None
    spending: Annotated[Spending, Field(validate_default=True)] = {
        "per_month_usd_nano": None,
        "per_1m_tokens_usd_nano": None,
        "capital_usd_nano": None,
    }
    emissions: Annotated[Emissions, Field(validate_default=True)] = {
        "j_per_token": None,
        "gco2_per_1m_tokens": None,
    }
    allowed: Annotated[Allowed, Field(validate_default=True)] = {
        "models": [],
        "hardware": [],
        "engines": [],
        "places": [],
        "regions": [],
        "licences": [],
        "languages": [],
        "kinds": [],
        "context_tokens": None,
        "memory_bytes": None,
        "owned": {},
    }
    preference: Annotated[Preference, Field(validate_default=True)] = {
        "points": {"quality": 100.0, "usd_per_month": 100.0},
        "order": [],
    }
    threshold_ratio: float = 0.8


class RequirementRead(Shape):
    """A requirement that was read from a sentence, to be looked over: nothing was recommended. `left`: what no rule knows."""

    requirement: dict[str, Any]
    yaml: str
    understood: list[Phrase]
    left: list[str]
    by_model: ReadByModel | None
    """where a model was to read it too"""


class RunCost(Shape):
    """A run's cost, under every version of the price book that makes a difference to it, the newest first; without any, `why`."""

    run_id: str
    versions: list[VersionCost]
    why: str | None
    next: str | None
    """the next page's cursor; null at the end"""


class RunPage(Shape):
    """Runs, in the order asked for."""

    runs: list[RunRow]
    next: str | None
    """the next page's cursor; null at the end"""


class RunParity(Shape):
    """
    A run held to the reference: in what it was run differently, its quality, and its speed, memory, energy and cost.

    `verdict` is of its task, or of all joined where it shares several. `speed_run` and `reference_speed_run` are those whose speed is told.
    """

    run_id: str
    model: str
    verdict: Literal["as-good", "better", "worse", "unknown"]
    words: str
    differs: list[RunningFact]
    tasks: list[TaskParity]
    overall: OverallParity
    skipped: list[NotCompared]
    figures: list[FigureParity]
    reference_speed_run: str | None
    speed_run: str | None
    warnings: list[str]


class Sample(Shape):
    """A sample, whole. `target` is the expected answer, where the task has one; `not_scored` says why there is no score."""

    task: str
    ordinal: int
    repeat: int
    build_id: str
    seed: int
    doc_id: int | None
    document: Any
    target: str | None
    requests: list[SampleRequest]
    scores: list[SampleValue]
    not_scored: str | None
    private: bool
    """its run is private: what was asked and answered is told nowhere but in the log"""


class SamplePage(Shape):
    """Samples, and the contents that their prompts begin with."""

    samples: list[Sample]
    contents: dict[str, str]
    next: str | None
    """the next page's cursor; null at the end"""


class Saving(Shape):
    """An alternative that was measured, and what it saves. `runs`: those that it rests on, by what each says of it."""

    model: str
    engine: str
    hardware: str
    changes: list[Literal["model", "engine", "hardware"]]
    """nothing: how the engine runs"""
    saved_usd_per_month: Span
    saved_ratio: float
    """of a month of what runs now"""
    quality_difference: Span
    """its quality less that of what runs now"""
    replicas: int
    chance: float
    """of being cheaper, keeping all constraints, and losing no more than the margin: a share of draws"""
    runs: dict[str, str]


class SavingsTold(Shape):
    """What runs now, a month of it under the load, and what would save, the most first. `unlikely`: cheaper ones that are not listed."""

    model: str
    engine: str
    hardware: str
    usd_per_month: Span
    quality: Span
    replicas: int
    margin: float
    savings: list[Saving]
    """the first 50"""
    otherwise: list[PaidOtherwise]
    """what runs now, paid in another way that the price book knows, the cheapest first"""
    more: int
    """how many more would save"""
    stale_prices: list[str]
    """prices that these figures rest on, and nobody has said for 180 days to hold: look them up again"""
    unlikely: int
    """cheaper ones that probably break a constraint, or lose more quality than the margin"""


class ScoreHistory(Shape):
    """Scores of a task, the newest first; those without a time are last."""

    scores: list[ScoreThen]


class ScorePrediction(Shape):
    """What was predicted, of which tasks nothing is said and why, and what was measured since. It is no measurement."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    model_sha: str | None
    family: str
    parameters: int
    known: dict[str, float]
    """scores of other tasks that it rests on"""
    scores: list[PredictedScore]
    """each with the interval that so great a share (`level`) of what was left out kept"""
    unpredicted: list[UnpredictedScore]
    formula_version: str
    inputs_digest: str
    input_runs: list[str]
    """all runs that it was learned from"""
    measured: list[ScoreMeasuredSince]


class ScorePredictionPage(Shape):
    """Predictions, in the order asked for, and how good all of them have been; null where none was measured since."""

    predictions: list[ScorePredictionRow]
    record: ScoreRecord | None
    next: str | None
    """the next page's cursor; null at the end"""


class Sensitivity(Shape):
    """On what a figure hangs: its inputs moved one by one, what moves it most first; and its band where all are drawn at once."""

    figure: str
    unit: str
    tornado: list[TornadoBar]
    low: float
    middle: float
    high: float
    undefined_ratio: float
    """the share of draws in which it has no value, such as no break-even at all"""
    draws: int
    seed: int


class Standing(Shape):
    """Strengths of models by one judge's comparisons in pairs (or people's), the strongest first: Bradley–Terry with ties and order."""

    judge: str
    task: str
    comparisons: int
    """pairs of runs that were compared"""
    bouts: int
    documents: int
    why_undefined: str | None
    models: list[StrongModel]
    order: Estimated
    """what the first place is worth, in log-odds"""
    ties: Estimated
    """the share of ties between equals"""
    length: Estimated
    """what being twice as long is worth, in log-odds"""


class Strengths(Shape):
    """Strengths of the models that judges compared with a run's, each judge for itself."""

    run_id: Annotated[
        str,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ]
    strengths: list[Standing]


class Sweep(Shape):
    """Loads at one rate after another, in the order in which they were taken, and what they came to (docs/speed.md)."""

    steps: list[SweepStep]
    slo_rate_per_s: Reached | None
    """the highest rate under the service level; null without one"""
    knee_rate_per_s: Reached | None
    cliff_rate_per_s: Reached | None
    capacity_requests_per_s: Reached | None


class TaskChoice(Shape):
    """
    A task as it is asked for. `limit` takes the first samples of the whole build, `limit_ratio` that share of them.

    `version` and `data_revision` are its pins: the task's version and the sha of its data, as TaskBuilt tells them. Tasks of one `group`
    count as one in a suite, by their samples or, without `weight_by_size`, alike. `definition` is a task or a group of the client's own:
    its YAML in lm-eval's form, whose Python is run where `trust_code`; `file` is its path among the `parts` that it leans on. `metrics` are
    computed beside the task's own. `skip_bad_rows`: rows that cannot be asked or scored are left out and counted, instead of refusing the
    task. `fewshot_exclude_self`: a document is never among its own examples. `vary`: in what repeats are built differently, the seed of the
    few-shot examples or the prompt's format.
    """

    model_config = ConfigDict(extra="forbid")
    name: str
    version: str | None = None
    data_revision: str | None = None
    fewshot: int | None = None
    limit: int | None = None
    repeats: int = 1
    seeds: list[int] = [1234]
    generation: Generation | None = None
    group: str | None = None
    definition: str | None = None
    trust_code: bool = False
    metrics: list[str] = []
    limit_ratio: float | None = None
    fewshot_exclude_self: bool = False
    file: str | None = None
    parts: Annotated[list[TaskPart], Field(validate_default=True)] = []
    skip_bad_rows: bool = False
    vary: list[Literal["seed", "format"]] = []
    weight_by_size: bool = True


class AgentPage(Shape):
    """Agents that are alive."""

    agents: list[AgentRow]
    next: str | None
    """the next page's cursor; null at the end"""


class Audit(Shape):
    """An audit: a run that runs another one again. It has no report while it runs, or where nothing could be compared."""

    run_id: str
    audit_of: str
    share: float
    """of the run's documents"""
    state: Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"]
    message: str | None
    model: str
    submitter: str
    requested_us: int
    changed_us: int
    reports: list[AuditReport]


class AuditPage(Shape):
    """Audits, in the order asked for."""

    audits: list[Audit]
    next: str | None
    """the next page's cursor; null at the end"""


class Batch(Shape):
    """The same evaluation of several models: a run for each, all with the same tasks, under one campaign."""

    model_config = ConfigDict(extra="forbid")
    submitter: str = "anonymous"
    """who asks; agents are shared fairly between submitters"""
    purpose: Literal["evaluate", "audit", "train"] = "evaluate"
    parent_run: ParentRun | None = None
    """the run whose answers derived tasks judge"""
    campaign: Annotated[str | None, Field(pattern="^[0-9A-Za-z_.-]{1,64}$")] = None
    """the name that its runs share, and the idempotency key; drawn where it is left out"""
    engine: Annotated[EngineChoice, Field(validate_default=True)] = {
        "name": "transformers",
        "options": {},
    }
    suite: str | None = None
    """the board on which the run is ranked; one of the project's suites brings its tasks, where none are named"""
    tasks: Annotated[list[TaskChoice], Field(validate_default=True)] = []
    """tasks by lm-eval's names"""
    chat: Annotated[ChatInput, Field(validate_default=True)] = {
        "template": None,
        "system": None,
        "multiturn": False,
        "thinking": None,
        "thinking_tokens": None,
        "thinking_end": "</think>",
        "fold_system": False,
    }
    workload: Workload | None = None
    """a load to measure speed under"""
    slo: Objective | None = None
    judges: list[str] = []
    """models that judge the answers by the usual rubric, once they are complete"""
    stop_rule: str | None = None
    priority: int = 0
    """higher goes first"""
    budget: Annotated[Budget, Field(validate_default=True)] = {
        "usd_nano": None,
        "s": None,
        "deadline_us": None,
    }
    credential_ref: str | None = None
    labels: dict[str, str] | None = None
    pool: str = "default"
    visibility: Literal["public", "organisation", "private"] = "organisation"
    """private: its prompts and answers are told nowhere but in the log"""
    suite_version: str | None = None
    """a suite's version; the project's own suites say theirs"""
    pinned: bool = False
    """refuse tasks that differ from what they are pinned to, instead of telling it"""
    skip_missing: bool = False
    """go on without tasks that cannot run here, instead of refusing all"""
    skip_bad_rows: bool = False
    """leave out rows of any task's data that cannot be asked or scored, and count them"""
    judgements: Annotated[list[Judgement], Field(validate_default=True)] = []
    """judges of the answers, each in a run of its own"""
    against_run: AgainstRun | None = None
    """the run whose answers those of parent_run are compared with"""
    stopping: Stopping | None = None
    """when a task is known well enough to stop early; null: it runs whole"""
    model_published: str | None = None
    """when the model was published, YYYY-MM or YYYY-MM-DD: data that are older may have been seen; else its card says"""
    no_truncation: bool = False
    """fail over a request that the model's window would truncate"""
    model_licences: list[str] = []
    """SPDX ids: a model under any other licence is refused; none: all are taken"""
    data_licences: list[str] = []
    """SPDX ids: a task whose data are under any other licence is refused; none: all are taken"""
    non_commercial: bool = False
    """take data whose licence is for non-commercial use alone, which are refused else"""
    adaptive: int | None = None
    """ask so many documents of each task, and estimate the whole by other models' runs; null: it asks all"""
    audit_of: AuditOf | None = None
    """the run that an audit runs again; `POST /v1/runs/{run_id}/audits` asks for one"""
    audit_ratio: float | None = None
    """the share of its documents that are asked again, drawn by its seal; null: all"""
    limit: int | None = None
    """the first so many samples of each task that has no limit of its own"""
    limit_ratio: float | None = None
    """that share of each task's samples, where it has no limit of its own"""
    models: Annotated[list[ModelRef], Field(max_length=100, min_length=1)]


class Calculation(Shape):
    """What the assumptions come to. Undefined is null, with the reason in `undefined`."""

    usd_per_hour: float | None
    usd_per_month: float | None
    usd_per_1m_tokens: float | None
    """under the day's curve; without one at full load"""
    break_even_hours: float | None
    components: list[Component]
    figures: list[ReckonedFigure]
    undefined: dict[str, str]
    sensitivity: list[Sensitivity]


class Compared(Shape):
    """Two runs compared, task by task."""

    a: Side
    b: Side
    summary: str
    overall: Overall
    tasks: list[TaskDifference]
    groups: list[GroupDifference]
    skipped: list[NotCompared]


class Grid(Shape):
    """A campaign's loads, the shortest requests first, at most 400."""

    campaign: str
    cells: list[GridCell]


class ParityTold(Shape):
    """Runs held to a reference at a margin. `tests`: over how many p is corrected, all runs times their shared tasks."""

    reference: HeldTo
    margin: float
    tests: int
    rows: list[RunParity]
    warnings: list[str]


class Ranking(Shape):
    """A board as it stands. Ranges of ranks hold for the whole board at once, with 95 %, from the samples that all have (docs/rigor.md)."""

    board: str | None
    version: str | None
    provisional: bool | None
    changed_us: int | None
    """of pages with the same the rows belong together"""
    rows: list[RankingRow]
    chance_corrected: bool
    """scores are means of (value - chance) / (1 - chance) where a task has a chance level: 0 is guessing, below 0 is worse"""
    left_out: list[LeftOut]
    """models that the board leaves out: their runs cannot be compared with it"""
    places_method: str | None
    """what made `rank_low` and `rank_high` (docs/rigor.md); null without them"""
    no_places: str | None
    """why its rows have no `rank_low` and `rank_high`, in words"""
    next: str | None
    """the next page's cursor, for the same `board`; null at the end"""


class Recommendation(Shape):
    """
    What is recommended, or between whom it is undecided and what to measure next; who was refused and why.

    Chances are shares of draws of all that was measured. Of long lists it has the first: `contending` and `refused` count all.
    """

    recommendation_id: str
    asked_by: str
    made_us: int
    decided: bool
    """the first choice is surer than the threshold asks for"""
    words: str
    requirement: Requirement
    considered: int
    contending: int
    refused: int
    choices: list[Contender]
    """those who keep all constraints often enough, the likeliest to be right first"""
    rejected: list[Rejected]
    """the nearest to being admitted first"""
    tradeoffs: list[Tradeoff]
    """the first choice less the second"""
    methods: Ways | None
    knee: str | None
    """the candidate where giving up a little more gains the least"""
    conflict: list[str]
    """where nobody is left: the smallest set of constraints that nobody keeps together"""
    nearest: Rejected | None
    """where nobody is left: who comes nearest"""
    next: list[NextRun]
    """where it is undecided: what to measure, the most expected for a dollar first"""
    prices: str | None
    """the version of the price book"""
    as_of_us: int
    """the time whose prices hold"""
    formula_version: str
    seed: int
    draws: int
    inputs_digest: str
    input_runs: list[str]
    """all runs that were read"""
    stale_prices: list[str]
    """prices of the choices that nobody has said for 180 days to hold, as of today: look them up again"""


class Speed(Shape):
    """
    A run's measured speed, in its steady window. `undefined` says why a figure is not there, as a percentile that needs more values.

    `output_tokens_per_s` is what the load brought; `alone_tokens_per_s` is one stream's alone, `capacity_tokens_per_s` a full server's,
    `concurrent_tokens_per_s` a server's that had `concurrency` requests at a time, and may be able to do more.
    `first_answer_s` counts to the first token that is no reasoning; `gap_s` is between arrivals, of one token or of several. Of a sweep the
    latencies and rates are those of its best step.
    """

    requests: int | None
    errors: int | None
    cancelled: int | None
    """requests that the client gave up as it was asked to; they are in no latency, and no error"""
    errors_by_kind: dict[str, int]
    requests_per_s: float | None
    offered_per_s: float | None
    output_tokens_per_s: float | None
    alone_tokens_per_s: float | None
    concurrent_tokens_per_s: float | None
    """of a closed load of several at a time, which shows no capacity: what so many brought"""
    concurrency: int | None
    """how many at a time that were; null of any other load"""
    capacity_tokens_per_s: float | None
    """where the load was surely more than the server could do"""
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    text_tokens: int | None
    """output tokens by the model's tokenizer, beside a usage; null where it is not here"""
    prompts_repeated: int | None
    """requests with a data set's prompt that was sent before; null of a load with other prompts"""
    usage_contradicted: str | None
    """how the tokens that the server counted contradict those of its texts; null where they do not, or are not known"""
    undefined: dict[str, str]
    ttft_s: Spread
    first_answer_s: Spread
    itl_s: Spread
    gap_s: Spread
    tpot_s: Spread
    e2e_s: Spread
    goodput_per_s: float | None
    """requests a second that kept every limit; null without a service level"""
    steady: Steadiness
    client: LoadSender
    energy: Energy
    slo: Level | None
    """what the load was held to"""
    sweep: Sweep | None
    """null of a load at one rate"""
    rules: Rules | None
    """MLPerf's, where the load follows them; null elsewhere"""


class Submission(Shape):
    """An evaluation of one model."""

    model_config = ConfigDict(extra="forbid")
    submitter: str = "anonymous"
    """who asks; agents are shared fairly between submitters"""
    purpose: Literal["evaluate", "audit", "train"] = "evaluate"
    parent_run: ParentRun | None = None
    """the run whose answers derived tasks judge"""
    campaign: str | None = None
    """a name that several runs share"""
    engine: Annotated[EngineChoice, Field(validate_default=True)] = {
        "name": "transformers",
        "options": {},
    }
    suite: str | None = None
    """the board on which the run is ranked; one of the project's suites brings its tasks, where none are named"""
    tasks: Annotated[list[TaskChoice], Field(validate_default=True)] = []
    """tasks by lm-eval's names"""
    chat: Annotated[ChatInput, Field(validate_default=True)] = {
        "template": None,
        "system": None,
        "multiturn": False,
        "thinking": None,
        "thinking_tokens": None,
        "thinking_end": "</think>",
        "fold_system": False,
    }
    workload: Workload | None = None
    """a load to measure speed under"""
    slo: Objective | None = None
    judges: list[str] = []
    """models that judge the answers by the usual rubric, once they are complete"""
    stop_rule: str | None = None
    priority: int = 0
    """higher goes first"""
    budget: Annotated[Budget, Field(validate_default=True)] = {
        "usd_nano": None,
        "s": None,
        "deadline_us": None,
    }
    credential_ref: str | None = None
    labels: dict[str, str] | None = None
    pool: str = "default"
    visibility: Literal["public", "organisation", "private"] = "organisation"
    """private: its prompts and answers are told nowhere but in the log"""
    suite_version: str | None = None
    """a suite's version; the project's own suites say theirs"""
    pinned: bool = False
    """refuse tasks that differ from what they are pinned to, instead of telling it"""
    skip_missing: bool = False
    """go on without tasks that cannot run here, instead of refusing all"""
    skip_bad_rows: bool = False
    """leave out rows of any task's data that cannot be asked or scored, and count them"""
    judgements: Annotated[list[Judgement], Field(validate_default=True)] = []
    """judges of the answers, each in a run of its own"""
    against_run: AgainstRun4 | None = None
    """the run whose answers those of parent_run are compared with"""
    stopping: Stopping | None = None
    """when a task is known well enough to stop early; null: it runs whole"""
    model_published: str | None = None
    """when the model was published, YYYY-MM or YYYY-MM-DD: data that are older may have been seen; else its card says"""
    no_truncation: bool = False
    """fail over a request that the model's window would truncate"""
    model_licences: list[str] = []
    """SPDX ids: a model under any other licence is refused; none: all are taken"""
    data_licences: list[str] = []
    """SPDX ids: a task whose data are under any other licence is refused; none: all are taken"""
    non_commercial: bool = False
    """take data whose licence is for non-commercial use alone, which are refused else"""
    adaptive: int | None = None
    """ask so many documents of each task, and estimate the whole by other models' runs; null: it asks all"""
    audit_of: AuditOf | None = None
    """the run that an audit runs again; `POST /v1/runs/{run_id}/audits` asks for one"""
    audit_ratio: float | None = None
    """the share of its documents that are asked again, drawn by its seal; null: all"""
    limit: int | None = None
    """the first so many samples of each task that has no limit of its own"""
    limit_ratio: float | None = None
    """that share of each task's samples, where it has no limit of its own"""
    run_id: Annotated[
        str | None,
        Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ] = None
    """a UUIDv7, the idempotency key; drawn where it is left out"""
    model: ModelRef


class Run(Shape):
    """A run with all that is known of it."""

    run_id: str
    state: Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"]
    reason_code: str | None
    message: str | None
    model: str
    model_sha: str
    engine: str
    suite: str
    submitter: str
    organisation_id: str
    visibility: Literal["public", "organisation", "private"]
    """private: its prompts and answers are told nowhere but in the log"""
    jobs: int
    expected: int
    perf_requests: int | None
    parameters: int | None
    requested_us: int
    planned_us: int
    changed_us: int
    progress: float
    tasks: list[TaskProgress]
    flags: list[str]
    """signs of contamination that were found, in words (docs/contamination.md)"""
    model_published: ModelPublished | None
    """null where neither its request nor its card says it"""
    exposure: list[str]
    """whether the model may have seen the data, in words (docs/contamination.md)"""
    unscored: str | None
    """how many of its samples cannot be scored, in words; null where none is"""
    why_unscored: list[Unscored]
    """the three commonest reasons of those"""
    scores: list[Score]
    groups: list[GroupScore]
    """a group has one once each of its tasks has its main metric"""
    performance: Speed | None
    skipped: list[Skipped]
    suite_version: str | None
    """the version of the suite that brought the tasks"""
    warnings: list[str]
    """in what its tasks differ from what they are pinned to, and what could not be worked out"""
    waits_for: str | None
    """what it waits for, in words; null where it does not wait"""
    subject: Whom | None
    """whose answers it judges; null where it judges nobody's"""
    against: Whom | None
    """with whose answers it compares them"""
    chat: ChatOutput
    """how prompts are dressed"""
    server: Server | None
    """who answers for its model elsewhere; weights, dtype and hardware are unknown"""
    revision: str | None
    """the commit that a hub's model is pinned to"""
    licence: str | None
    """the model's, as its card names it; null where it does not"""
    data_licences: list[str]
    """those of its tasks' data, as far as they are known"""
    origin: Origin | None
    """null where its model is from no hub, or not loaded yet"""
    placement: Placement | None
    """where its model goes; null where no agent was known as it was planned, or the model has no files"""
    waits_code: str | None
    """no-dispatcher, no-agent, no-fit, busy or retry"""
    jobs_ahead: int | None
    """jobs that go first, or the step below: 5, 10, 20, 50 …"""
    seal: Seal | None
    """null while it is not sealed; `assay verify` proves what it says (docs/trust.md)"""
    retraction: Retraction | None
    """null where it counts"""
    forgotten: Forgotten | None
    """null where its texts are in the log still"""
    quarantined: int
    """events that were said of it after its seal, and are no part of it"""
    late: list[LateEvent]
    """the first twenty of them"""
    audited: Audited | None
    """null where no audit of it was compared; `GET /v1/audits` tells each"""
    audit_of: str | None
    """the run that it runs again; null where it is no audit"""
