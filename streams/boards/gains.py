"""What a run gains and loses beside its quality: speed, memory, energy and cost, as multiples of a reference's.

Only what was measured on one machine under one load is set beside one another: tokens/s, TTFT and memory go with the load, and a token's
energy and price with both. Where that is not so there is no quotient but the reason. Energy is that of the same meters, prices those of
one version.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, Literal

from schemas.results import Figure
from streams.boards import speeds
from streams.boards.running import Machine
from streams.speed.sensors import words
from streams.statistics.intervals import Interval
from streams.statistics.quotients import quotient

Better = Literal["more", "less"]
NOTHING: Final = "not measured: ask for a workload, `assay perf`"
NS: Final = 1e9
UJ_PER_J: Final = 1e6


@dataclass(frozen=True, slots=True)
class Load:
    """A load that was measured: its run, what was asked (as text; None where that is not known), its figures, and $/1M tokens in it.

    `prices`: the version of the price book; `peak_bytes`: the most memory that the engine's process, or the device, had in that run.
    """

    run_id: str
    asked: str | None
    figures: Mapping[str, Figure]
    usd_per_1m_tokens: float | None = None
    prices: str | None = None
    peak_bytes: int | None = None

    @property
    def hindered(self) -> bool:
        """The client was the bottleneck: the figures are not the model's."""
        told = self.figures.get("client_overloaded")
        return bool(told and told.value)


@dataclass(frozen=True, slots=True)
class Gain:
    """A figure of both, and how many times the reference's the other's is, with a 95 % interval where both have one; `why` there is none.

    `better`: whether more or less of it is better.
    """

    name: str
    better: Better
    reference: float | None
    other: float | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Gains:
    """All of them, and the runs whose loads they were measured in; None where no load was."""

    figures: tuple[Gain, ...]
    reference_run: str | None
    other_run: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """A figure of a load: its value and interval, of what kind it is (only equal kinds are compared), and why it is not there."""

    value: float | None = None
    interval: Interval | None = None
    kind: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that is compared, whether more or less of it is better, and what it means that two are of other kinds."""

    name: str
    better: Better
    read: Callable[[Load], Told]
    apart: str = ""


def gains(reference: Sequence[Load], other: Sequence[Load], *, machines: tuple[Machine, Machine]) -> Gains:
    """The other's figures beside the reference's, by the newest loads that are alike. Loads come the newest first, machines as they do."""
    ours, theirs = _pair(reference, other)
    why = _why_not(ours, theirs, machines)
    figures = tuple(_gain(measure, ours, theirs, why) for measure in (_rate(ours, theirs), *MEASURES))
    return Gains(figures, ours.run_id if ours else None, theirs.run_id if theirs else None)


def _rate(*loads: Load | None) -> Measure:
    """Tokens/s as both can be told: at capacity, else at the concurrency of a closed load."""
    told = [speeds.at_concurrency(load.figures) for load in loads if load]
    return CONCURRENT if any(one and one.value is not None for one in told) else CAPACITY


def _pair(reference: Sequence[Load], other: Sequence[Load]) -> tuple[Load | None, Load | None]:
    """The newest loads that can be compared; where none can, the newest of each."""
    fitting = ((ours, theirs) for theirs, ours in product(other, reference) if _hindrance(ours, theirs) is None)
    return next(fitting, (next(iter(reference), None), next(iter(other), None)))


def _why_not(ours: Load | None, theirs: Load | None, machines: tuple[Machine, Machine]) -> str | None:
    """Why nothing of two loads is compared; None where it is."""
    if ours is None or theirs is None:
        return NOTHING if ours is theirs else f"of {'this run' if theirs is None else 'the reference'} {NOTHING}"
    if unknown := next((one.why for one in machines if one.name is None), None):
        return f"not compared: {unknown}"
    if machines[0] != machines[1]:
        return "not compared: measured on another machine than the reference's"
    return _hindrance(ours, theirs)


def _hindrance(ours: Load, theirs: Load) -> str | None:
    if ours.asked is None or ours.asked != theirs.asked:
        return "not compared: measured under another load than the reference's"
    if ours.hindered or theirs.hindered:
        return f"not compared: the load's sender was the bottleneck of {'the reference' if ours.hindered else 'this run'}"
    return None


def _gain(measure: Measure, ours: Load | None, theirs: Load | None, why: str | None) -> Gain:
    first, second = (measure.read(load) if load else Told() for load in (ours, theirs))
    bare = Gain(measure.name, measure.better, first.value, second.value, why=why or _missing(measure, first, second))
    if bare.why or first.value is None or second.value is None:
        return bare
    ratio, interval = quotient(second.value, first.value, intervals=(second.interval, first.interval))
    return replace(bare, ratio=ratio, low=interval[0] if interval else None, high=interval[1] if interval else None)


def _missing(measure: Measure, first: Told, second: Told) -> str | None:
    """Why one figure alone is not compared."""
    for who, told in (("the reference", first), ("this run", second)):
        if told.value is None:
            return f"not measured in {who}" + (f": {told.why}" if told.why else "")
        if told.value <= 0:
            return f"it is {told.value:g} in {who}, and nothing is a multiple of that"
    return f"not compared: {measure.apart} ({second.kind}; the reference: {first.kind})" if first.kind != second.kind else None


def _figure(figure: Figure | None, *, by: float = 1.0, kind: str | None = None) -> Told:
    """A figure over `by`."""
    if figure is None or figure.value is None:
        return Told(why=figure.why_undefined if figure else None)
    ends = (figure.low / by, figure.high / by) if figure.low is not None and figure.high is not None else None
    return Told(figure.value / by, ends, kind)


def _energy(load: Load) -> Told:
    figure = speeds.energy(load.figures)
    return _figure(figure, by=UJ_PER_J, kind=words(figure.origin) if figure else None)


def _concurrent(load: Load) -> Told:
    many = load.figures.get("concurrency")
    return _figure(speeds.at_concurrency(load.figures), kind=f"{many.value:g} at a time" if many and many.value else None)


def _memory(load: Load) -> Told:
    return Told(load.peak_bytes, why="the engine did not tell its memory")


def _cost(load: Load) -> Told:
    return Told(load.usd_per_1m_tokens, kind=load.prices, why="no price is known" if load.usd_per_1m_tokens is None else None)


CAPACITY: Final = Measure("capacity_tokens_per_s", "more", lambda load: _figure(speeds.capacity(load.figures)))
CONCURRENT: Final = Measure("concurrent_tokens_per_s", "more", _concurrent, "measured at other concurrencies")
MEASURES: Final = (
    Measure("ttft_s", "less", lambda load: _figure(speeds.ttft(load.figures), by=NS)),
    Measure("memory_bytes", "less", _memory),
    Measure("joules_per_token", "less", _energy, "metered otherwise"),
    Measure("usd_per_1m_tokens", "less", _cost, "by other prices"),
)
