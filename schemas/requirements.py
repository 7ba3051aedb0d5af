"""What somebody who must choose asks for: quality, latency, traffic, spending, and what is allowed. Units are in the names."""

from typing import Literal

from pydantic import Field

from schemas.event import Finite, Record

ModelKind = Literal["base", "fine-tuned"]


class Latency(Record):
    """The service level at the 95th percentile, in seconds; null is no demand."""

    ttft_p95_s: Finite | None = None
    itl_p95_s: Finite | None = None
    e2e_p95_s: Finite | None = None


class Traffic(Record):
    """A day's load: requests a second in equal stretches from midnight, and how long requests and answers are."""

    curve_per_s: tuple[Finite, ...]
    input_tokens: int
    output_tokens: int
    headroom_ratio: Finite = 0.2


class Spending(Record):
    """The most that may be spent, in billionths of a USD; null is no limit."""

    per_month_usd_nano: int | None = None
    per_1m_tokens_usd_nano: int | None = None
    capital_usd_nano: int | None = None


class Emissions(Record):
    """The most energy and carbon; null is no limit."""

    j_per_token: Finite | None = None
    gco2_per_1m_tokens: Finite | None = None


class Allowed(Record):
    """What a choice may be and must have; empty is anything. `languages` must all be there, of the others one.

    `owned`: devices by name, and how many there are; a choice runs on these, all of its replicas.
    """

    models: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    kinds: tuple[ModelKind, ...] = ()
    context_tokens: int | None = None
    memory_bytes: int | None = None
    owned: dict[str, int] = Field(default_factory=dict)


class Step(Record):
    """A figure of a lexicographic order, and how much of it does not matter, in its unit."""

    figure: str
    tolerance: Finite = 0.0


class Preference(Record):
    """How those that are allowed are compared: points for the swing of each figure from its worst to its best, and an order."""

    points: dict[str, Finite] = Field(default_factory=lambda: {"quality": 100.0, "usd_per_month": 100.0})
    order: tuple[Step, ...] = ()


class Requirement(Record):
    """All of it. `tasks` weigh what quality is; `floors` are the least of a task's score, or of `quality` as a whole.

    Below `threshold_ratio` of confidence there is no choice, but what is left to choose from.
    """

    tasks: dict[str, Finite] = Field(default_factory=dict)
    floors: dict[str, Finite] = Field(default_factory=dict)
    latency: Latency = Latency()
    traffic: Traffic | None = None
    spending: Spending = Spending()
    emissions: Emissions = Emissions()
    allowed: Allowed = Allowed()
    preference: Preference = Preference()
    threshold_ratio: Finite = 0.8
