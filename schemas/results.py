"""What is derived: scores of samples and runs, speed, cost, rankings. All of it can be rebuilt from the log."""

from typing import ClassVar, Literal

from schemas.event import Double, Event, Finite, Record, RunId
from schemas.requests import Chat, Objective

# A step of a sweep was kept, missed its service level, saturated the server, failed, or was more than the client can send.
Verdict = Literal["kept", "missed", "saturated", "failed", "void"]


class JudgeUsed(Record):
    """The model that judged, and at which position the answer stood."""

    model: str
    position: int


class SampleScored(Event):
    """One metric of one sample under one filter. `parts_json` is what the task's aggregation takes.

    `metrics` says how many such events the sample has in all: only with the last of them is it scored. Samples of one `cluster` are about
    one passage, and depend on one another. `sandbox`: the walls behind which a program that the model wrote was run.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "task", "ordinal", "repeat", "scorer_version", "filter", "metric")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    task: str
    ordinal: int
    doc_id: int
    repeat: int
    scorer_version: str
    filter: str
    metric: str
    value: Double | None
    parts_json: str | None = None
    metrics: int = 1
    judge: JudgeUsed | None = None
    cluster: str | None = None
    sandbox: str | None = None


class SampleNotScored(Event):
    """A sample that cannot be scored, and why."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "task", "ordinal", "repeat", "scorer_version")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    task: str
    ordinal: int
    repeat: int
    scorer_version: str
    reason: str
    dead_letter_ref: str | None = None


class Figure(Record):
    """A derived number. `low` and `high` bound it with 95 % confidence, by `method`; an undefined value says why.

    Of a task's scores `n` counts documents, each of which was asked `repeats` times. `between` and `within`: the variance from document to
    document, and that of one answer to the same one, where several were asked for. Where repeats were asked in several `setups` (few-shot
    examples, prompt formats), `within` is of a document's mean under one, and `between_setups` the variance from one to another.

    `sequential`: they are a confidence sequence's, which holds however often it was looked at before the samples ended.
    """

    metric: str
    filter: str = "none"
    value: Double | None
    stderr: Double | None = None
    low: Double | None = None
    high: Double | None = None
    n: int
    not_scored: int = 0
    unit: str | None = None
    origin: str | None = None
    why_undefined: str | None = None
    sequential: bool = False
    repeats: int = 1
    method: str | None = None
    between: Double | None = None
    within: Double | None = None
    setups: int = 1
    between_setups: Double | None = None


class Histogram(Record):
    """Counts in fixed integer buckets: `counts[i]` values lie below or at `bounds[i]`, the last above them all."""

    metric: str
    unit: str
    bounds: tuple[int, ...]
    counts: tuple[int, ...]


class Documents(Record):
    """The main metric of every document of a task, the mean over its repeats: what boards are made from.

    `ordinals` are the zlib-compressed little-endian int32, `values` float64 in the same order, without documents that have no value.
    `clusters`: zlib-compressed JSON, a list with the cluster of each; null where every document stands for itself. Many documents are
    `packed` (streams/settling/documents.py says how), and the others are empty.
    """

    ordinals: bytes
    values: bytes
    clusters: bytes | None = None
    packed: bytes | None = None


class RunScored(Event):
    """The figures of one task of a run. Provisional until `complete`; only then it has its `documents`."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "task", "scorer_version", "inputs_digest")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    task: str
    scorer_version: str
    complete: bool
    scored: int
    expected: int
    inputs_digest: str
    figures: tuple[Figure, ...]
    documents: Documents | None = None


class TaskStopped(Event):
    """A task is known well enough: its figures are those of the first `samples` of its order, and no more of it is asked.

    `planned` is how many there would have been, `not_scored` how many of the `samples` could not be scored; all count a repeat as one.
    `half_width` is the widest of its figures', with that `confidence`.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "task")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    task: str
    scorer_version: str
    samples: int
    planned: int
    not_scored: int
    half_width: Finite
    confidence: Finite


class LoadStep(Record):
    """A step of a sweep, at that rate; null: one stream alone. `why`, where it was not kept, in words."""

    step: int
    rate_per_s: Finite | None
    verdict: Verdict
    why: str | None = None
    figures: tuple[Figure, ...]


class PerformanceSummarised(Event):
    """The speed, and the energy where a meter is, of a run's workload; of a sweep the figures of its best step.

    `slo` is what it was held to.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "formula_version", "inputs_digest")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    formula_version: str
    complete: bool
    inputs_digest: str
    figures: tuple[Figure, ...]
    histograms: tuple[Histogram, ...] = ()
    steps: tuple[LoadStep, ...] = ()
    slo: Objective | None = None


class CostSummarised(Event):
    """What a run cost, under one version of the price book."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "formula_version", "price_version", "inputs_digest")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    formula_version: str
    price_version: str
    complete: bool
    inputs_digest: str
    figures: tuple[Figure, ...]


class RankingRow(Record):
    """A model's place. A row without a rank lacks a task of the board; `missing` names it. `speed_run`: whose speed is joined.

    `sequential`: a task of it may have stopped early, and its interval is a confidence sequence's. `data_age`: whether the board's data are
    older than the model, newer, or unknown (streams/quality/exposure.py). `run_count`: of so many runs of the model on this board
    its is the newest; whoever picks the best of many sees chance. `adaptive`: what its score is estimated from, in words: it
    has no rank then. `method`: what made the interval (docs/rigor.md).
    """

    model: str
    model_sha: str
    engine: str
    hardware: str
    run_id: RunId
    rank: int | None
    score: Double | None
    low: Double | None
    high: Double | None
    rank_low: int | None
    rank_high: int | None
    samples: int
    output_tokens_per_s: Double | None = None
    ttft_p50_ns: int | None = None
    joules_per_token: Double | None = None
    energy_grade: str | None = None
    missing: tuple[str, ...] = ()
    sealed: bool = False
    audited: bool = False
    environment_sha: str | None = None
    speed_run: RunId | None = None
    chat: Chat = Chat()
    chat_template_sha: str | None = None
    sequential: bool = False
    data_age: str = "unknown"
    run_count: int = 1
    adaptive: str | None = None
    method: str | None = None


class RankingChanged(Event):
    """A board's order as of the runs named, in `parts` events of one digest. A task's own board is called `task:<name>`."""

    identity: ClassVar[tuple[str, ...]] = ("board", "version", "inputs_digest", "part")
    key: ClassVar[tuple[str, ...]] = ("board",)

    board: str
    version: str
    tasks: tuple[str, ...]
    runs: tuple[RunId, ...]
    inputs_digest: str
    provisional: bool
    rows: tuple[RankingRow, ...]
    part: int = 0
    parts: int = 1


class PricePublished(Event):
    """A price, from when on it holds, and who says so."""

    identity: ClassVar[tuple[str, ...]] = ("item", "region", "version", "valid_from_us")
    key: ClassVar[tuple[str, ...]] = ("item",)

    item: str
    region: str
    currency: str
    amount_nano: int
    unit: str
    valid_from_us: int
    valid_to_us: int | None
    source: str
    version: str
