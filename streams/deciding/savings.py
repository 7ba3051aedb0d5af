"""What would save: measured alternatives to what runs now, each with what it saves a month under the load, and what of quality it costs.

All are drawn jointly (drawing.py): of two that share a measurement its error cancels, and of the same documents what makes them hard.

- saved: the month of what runs now less the alternative's, replicas and all (loads.py), in each draw.
- as good: the alternative's quality is at most the margin lower.
- chance: the share of draws in which it is cheaper, keeps all constraints and is as good. What does so in less than half is not listed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.requirements import Requirement
from streams.deciding.candidates import Candidate, TaskScores
from streams.deciding.drawing import DRAWS, SEED
from streams.deciding.screening import screened
from streams.errors import Invalid
from streams.money.prices import NANO, OtherHour
from streams.statistics.spreads import Floats

MARGIN: Final = 0.01
LEAST_CHANCE: Final = 0.5
USD, QUALITY = "usd_per_month", "quality"


@dataclass(frozen=True, slots=True)
class Span:
    """A figure as measured, and the 2.5 % and 97.5 % percentiles of its draws."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Saving:
    """An alternative: what of model, engine and hardware it changes (nothing: how the engine runs), and what it saves and costs.

    `saved_usd_per_month` and `quality_difference` (its quality less that of what runs now) are differences.
    """

    candidate: Candidate
    changes: tuple[str, ...]
    saved_usd_per_month: Span
    saved_ratio: float
    quality_difference: Span
    replicas: int
    chance: float


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What runs now, paid on spot or under a reservation: its month, by what prices that is, and which share of the work is done again."""

    way: str
    usd_per_month: float
    redone_ratio: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Savings:
    """What runs now, what a month of it costs, and what would save, the most first. `unlikely`: cheaper ones that are not listed.

    `otherwise`: the same, paid in another way.
    """

    now: Candidate
    usd_per_month: Span
    quality: Span
    replicas: int
    found: tuple[Saving, ...]
    unlikely: int
    otherwise: tuple[Otherwise, ...] = ()


def savings(
    requirement: Requirement, candidates: Sequence[Candidate], scores: Sequence[TaskScores], *, now: str, margin: float = MARGIN,
    draws: int = DRAWS, seed: int = SEED,
) -> Savings:  # fmt: skip
    """What would save against the candidate of the key `now`.

    Raises: Invalid where its month or its quality is not known, or a task that counts was measured of nobody.
    """
    found = screened(requirement, candidates, scores, draws=draws, seed=seed)
    every = found.worlds
    here = next(n for n, one in enumerate(every.candidates) if one.key == now)
    _check(requirement, every.points, every.candidates[here], here)
    saved = {name: _less(every.points[name], every.drawn[name], here) for name in (USD, QUALITY)}
    better, drawn = (0.0 - one for one in saved[QUALITY])
    good = drawn >= -margin
    cheaper = saved[USD][1] > 0
    chance = np.mean(cheaper & good & found.able, axis=0)
    named = [n for n in range(len(every.candidates)) if n != here and saved[USD][0][n] > 0]
    listed = sorted((n for n in named if chance[n] >= LEAST_CHANCE), key=lambda n: (-saved[USD][0][n], every.candidates[n].key))
    one, replicas = every.candidates[here], every.points["replicas"]

    def saving(n: int) -> Saving:
        other = every.candidates[n]
        difference = _span(better, drawn, n)
        ratio = float(saved[USD][0][n] / every.points[USD][here])
        return Saving(other, _changes(one, other), _span(*saved[USD], n), ratio, difference, int(replicas[n]), float(chance[n]))

    usd, quality = (_span(every.points[name], every.drawn[name], here) for name in (USD, QUALITY))
    return Savings(one, usd, quality, int(replicas[here]), tuple(map(saving, listed)), len(named) - len(listed))


def paid_otherwise(found: Savings, hours: Sequence[OtherHour]) -> tuple[Otherwise, ...]:
    """A month of what runs now by each other way to pay: the same replicas, at that way's hour. The cheapest first."""
    now = found.now.usd_per_hour
    if not now:
        return ()
    made = [
        Otherwise(
            one.way, found.usd_per_month.value * float(one.usd_nano / NANO) / now, float(one.redone),
            tuple(dict.fromkeys(price.source for price in one.prices)),
        )
        for one in hours
    ]  # fmt: skip
    return tuple(sorted(made, key=lambda one: (one.usd_per_month, one.way)))


def _less(points: Floats, drawn: Floats, here: int) -> tuple[Floats, Floats]:
    """The figure of what runs now less everybody's, as measured and drawn."""
    return points[here] - points, drawn[:, [here]] - drawn


def _check(requirement: Requirement, points: Mapping[str, Floats], one: Candidate, here: int) -> None:
    if requirement.traffic is None:
        raise Invalid("what would save hangs on the load; state traffic: rate, input and output", code="no-traffic")
    if QUALITY not in points or np.isnan(points[QUALITY][here]):
        raise Invalid(f"the quality of {one.name} is not known; state tasks that it was scored on", code="no-quality")
    if USD not in points or np.isnan(points[USD][here]):
        what = "no price is known for its hardware; `assay prices` lists what is" if one.usd_per_hour is None else (
            "no load was measured on it that suits this traffic and latency; measure one: `assay perf`"
        )  # fmt: skip
        raise Invalid(f"what a month of {one.name} costs is not known: {what}", code="no-month")


def _span(points: Floats, drawn: Floats, place: int) -> Span:
    low, high = np.percentile(drawn[:, place], [2.5, 97.5]).tolist()
    return Span(float(points[place]), low, high)


def _changes(now: Candidate, other: Candidate) -> tuple[str, ...]:
    return tuple(name for name in ("model", "engine", "hardware") if getattr(now, name) != getattr(other, name))
