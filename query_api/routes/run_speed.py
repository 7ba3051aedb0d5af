"""What a run's page tells of its speed: latencies, rates, what it was held to, and the steps of a sweep."""

from pydantic import Field

from query_api.operations.shapes import Shape
from schemas.results import Verdict


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
    unread_max: int | None = Field(default=None, description="so many answers waited to be read at most; null before this was told")
    unsent_max: int | None = Field(default=None, description="so many measurements waited at the agent for the log at most")


class Energy(Shape):
    """What it took, where a meter is: of the chips, the idle part of it apart, and of the whole machine."""

    grade: str | None = Field(description="how it is known: counter, integrated (power, over time) or estimated (rated power)")
    boundary: str | None = Field(description="of what it is: accelerator, processor, or both")
    joules: float | None
    joules_per_token: float | None = Field(description="of an output token")
    wh_per_1k_tokens: float | None = Field(description="of a thousand output tokens")
    idle_joules: float | None = Field(description="of joules, what the same chips draw over as long while no job runs")
    host_joules: float | None = Field(description="of the whole machine, where it has a meter of that; not of the chips alone")
    metering_ratio: float | None = Field(description="the share of a core that reading the meters took")
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
    unsteady: str | None = Field(default=None, description="the trend that a step had which was not saturated; null where it had none")


class Reached(Shape):
    """A rate that a sweep found, with its interval; null with its reason."""

    value: float | None
    low: float | None
    high: float | None
    why_undefined: str | None
    note: str | None = Field(description="what lies at its end, in words")
    method: str | None = Field(default=None, description="what made the interval; null without one")


class Sweep(Shape):
    """Loads at one rate after another, in the order in which they were taken, and what they came to (docs/speed.md)."""

    steps: tuple[SweepStep, ...]
    slo_rate_per_s: Reached | None = Field(description="the highest rate under the service level; null without one")
    knee_rate_per_s: Reached | None
    cliff_rate_per_s: Reached | None
    capacity_requests_per_s: Reached | None


class RuleCheck(Shape):
    """One of MLPerf's rules: whether the load kept it; null where there is nothing to hold it to."""

    rule: str
    kept: bool | None
    told: str


class Rules(Shape):
    """A load that follows MLPerf's rules for a scenario, and what it never is (docs/speed.md)."""

    scenario: str
    note: str
    checks: tuple[RuleCheck, ...]


class Steadiness(Shape):
    """Whether requests took as long at the window's end as at its beginning (Mann-Kendall over batch means, docs/speed.md)."""

    steady: bool | None = Field(description="null where there are too few requests, or it was not tested")
    why: str | None = Field(description="in which way they did not")


class Speed(Shape):
    """A run's measured speed, in its steady window. `undefined` says why a figure is not there, as a percentile that needs more values.

    `output_tokens_per_s` is what the load brought; `alone_tokens_per_s` is one stream's alone, `capacity_tokens_per_s` a full server's,
    `concurrent_tokens_per_s` a server's that had `concurrency` requests at a time, and may be able to do more.
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
    concurrent_tokens_per_s: float | None = Field(
        default=None, description="of a closed load of several at a time, which shows no capacity: what so many brought"
    )
    concurrency: int | None = Field(default=None, description="how many at a time that were; null of any other load")
    capacity_tokens_per_s: float | None = Field(description="where the load was surely more than the server could do")
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    text_tokens: int | None = Field(
        default=None, description="output tokens by the model's tokenizer, beside a usage; null where it is not here"
    )
    prompts_repeated: int | None = Field(
        default=None, description="requests with a data set's prompt that was sent before; null of a load with other prompts"
    )
    usage_contradicted: str | None = Field(
        default=None,
        description="how the tokens that the server counted contradict those of its texts; null where they do not, or are not known",
    )
    undefined: dict[str, str]
    ttft_s: Spread
    first_answer_s: Spread
    itl_s: Spread
    gap_s: Spread
    tpot_s: Spread
    e2e_s: Spread
    goodput_per_s: float | None = Field(description="requests a second that kept every limit; null without a service level")
    steady: Steadiness
    client: LoadSender
    energy: Energy
    slo: Level | None = Field(description="what the load was held to")
    sweep: Sweep | None = Field(description="null of a load at one rate")
    rules: Rules | None = Field(default=None, description="MLPerf's, where the load follows them; null elsewhere")
