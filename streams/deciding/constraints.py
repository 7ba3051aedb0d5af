"""What a choice must keep: bounds on figures and on traits; who breaks one is told why, and by how much it would have to give."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from streams.deciding.candidates import FIGURES, Candidate, Trait
from streams.deciding.drawing import Worlds
from streams.statistics.spreads import Floats

DIGITS: Final = 4
EXACT: Final = 12  # digits of what people write: without what a binary fraction puts behind them
ALL: Final = 17  # digits that tell any two numbers apart
LARGE: Final = 1e4
Flags = NDArray[np.bool_]
Rule = Literal["at least", "at most", "one of", "all of"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A hard one. `subject` is a figure or a trait; `at least` and `at most` have a number, the others a set of names."""

    subject: str
    rule: Rule
    bound: float | frozenset[str]

    @property
    def name(self) -> str:
        """What people call its subject."""
        return FIGURES[self.subject].words if self.subject in FIGURES else self.subject.replace("_", " ").replace(":", " of ")

    @property
    def unit(self) -> str:
        """Its subject's."""
        return FIGURES[self.subject].unit if self.subject in FIGURES else "ratio" if self.measured else ""

    @property
    def words(self) -> str:
        """As people read it."""
        return f"{self.name} {self.rule} {self.limit}"

    @property
    def limit(self) -> str:
        """Its bound, as exactly as it was asked for."""
        return told(self.bound, self.unit, digits=EXACT)

    @property
    def measured(self) -> bool:
        """It is about a figure, which is uncertain, and not about a trait."""
        return self.subject in FIGURES or self.subject.startswith("quality:")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A constraint that a candidate breaks, and what it has instead; None where that is not known."""

    constraint: Constraint
    own: "Trait | None"

    @property
    def distance(self) -> float:
        """How far a bound would have to give, as a share of it; 1 for a set of names, infinite where nothing is known."""
        bound = self.constraint.bound
        if isinstance(bound, frozenset) or not isinstance(self.own, int | float):
            return 1.0 if self.own is not None else math.inf
        return abs(self.own - bound) / max(abs(bound), 1e-12)

    @property
    def reason(self) -> str:
        """What it has, and what is wanted."""
        one = self.constraint
        if self.own is None:
            return f"{one.name} is not known"
        shown = (told(self.own, one.unit, digits=digits) for digits in range(DIGITS, ALL + 1))
        apart = next((own for own in shown if own != one.limit), told(self.own, one.unit))
        return f"{one.name} is {apart}; wanted is {one.rule} {one.limit}"

    @property
    def change(self) -> str:
        """The nearest change that would admit it: a bound that what it has keeps, rounded away from it."""
        one, own = self.constraint, self.own
        if own is None:
            return f"measure or state {one.name}"
        if isinstance(one.bound, frozenset):
            names = own if isinstance(own, frozenset) else frozenset({str(own)})
            return f"do without {told(one.bound - names)}" if one.rule == "all of" else f"allow {told(names)}"
        assert isinstance(own, int | float)
        wider = told(outwards(own, up=one.rule == "at most"), one.unit)
        if one.subject == "owned_ratio":
            return f"own {wider} times as many of its devices"
        return f"{'lower' if one.rule == 'at least' else 'raise'} the bound from {one.limit} to {wider}"


def outwards(value: float, *, up: bool) -> float:
    """The value as `told` shows it, rounded up or down: of large ones to a whole number, of others to four digits."""
    exact = Decimal(value)
    place = Decimal(1) if abs(value) >= LARGE or not value else Decimal(1).scaleb(exact.adjusted() - DIGITS + 1)
    return float(exact.quantize(place, rounding=ROUND_CEILING if up else ROUND_FLOOR, context=Context(prec=400)))


def told(value: "float | str | frozenset[str] | None", unit: str = "", *, digits: int = DIGITS) -> str:
    """A value as people read it, a number to so many digits; of a large one all before the point."""
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "not measured"
    if isinstance(value, str):
        return f"{value} {unit}".strip()
    small = isinstance(value, float) and abs(value) < max(LARGE, 10.0 ** (digits - 1))
    number = f"{value:,.{digits}g}" if small else f"{value:,.0f}"
    return f"{number} {unit}".strip() if unit != "ratio" else number


def kept(constraint: Constraint, worlds: Worlds) -> Flags:
    """In which draws each candidate keeps it, shape [draws, candidates]; what has no value keeps nothing."""
    if constraint.measured:
        return _within(constraint, worlds.drawn.get(constraint.subject, np.full((worlds.draws, len(worlds.candidates)), np.nan)))
    own = np.array([_trait_kept(constraint, one) for one in worlds.candidates], dtype=bool)
    return np.broadcast_to(own, (worlds.draws, len(own)))


def feasible(constraints: Sequence[Constraint], worlds: Worlds) -> Flags:
    """In which draws each candidate keeps all of them, shape [draws, candidates]."""
    all_kept = np.ones((worlds.draws, len(worlds.candidates)), dtype=bool)
    for one in constraints:
        all_kept &= kept(one, worlds)
    return all_kept


def kept_as_measured(constraints: Sequence[Constraint], worlds: Worlds) -> Flags:
    """Which constraints each candidate keeps by what was measured, shape [constraints, candidates]."""
    rows = [_row(one, worlds) for one in constraints]
    return np.array(rows, dtype=bool).reshape(len(constraints), len(worlds.candidates))


def _row(constraint: Constraint, worlds: Worlds) -> Flags:
    if constraint.measured:
        return _within(constraint, worlds.points.get(constraint.subject, np.full(len(worlds.candidates), np.nan)))
    return np.array([_trait_kept(constraint, one) for one in worlds.candidates], dtype=bool)


def _within(constraint: Constraint, values: Floats) -> Flags:
    bound = constraint.bound
    assert not isinstance(bound, frozenset)
    return values >= bound if constraint.rule == "at least" else values <= bound


def _trait_kept(constraint: Constraint, candidate: Candidate) -> bool:
    own, bound = candidate.trait(constraint.subject), constraint.bound
    if own is None:
        return False
    if isinstance(bound, frozenset):
        names = own if isinstance(own, frozenset) else frozenset({str(own)})
        return bound <= names if constraint.rule == "all of" else any(is_named(name, wanted) for name in names for wanted in bound)
    assert isinstance(own, int | float)
    return own >= bound if constraint.rule == "at least" else own <= bound


def is_named(own: str, wanted: str) -> bool:
    """The wanted name is its own, or a part of it between spaces, slashes and hyphens: L40S of NVIDIA L40S, eu of eu-west-1."""
    return re.search(rf"(?:^|[\s/@-]){re.escape(wanted)}(?:$|[\s/@-])", own, re.IGNORECASE) is not None


def refusals(constraints: Sequence[Constraint], worlds: Worlds, kept: Flags, places: Iterable[int]) -> dict[int, tuple[Refusal, ...]]:
    """What the candidates at those places break by what was measured (`kept_as_measured`), the nearest first."""
    found = {}
    for place in places:
        broken = [Refusal(constraints[n], _own(constraints[n], worlds, place)) for n in np.flatnonzero(~kept[:, place])]
        found[place] = tuple(sorted(broken, key=lambda one: (one.distance, one.constraint.subject)))
    return found


def _own(constraint: Constraint, worlds: Worlds, place: int) -> "Trait | None":
    if not constraint.measured:
        return worlds.candidates[place].trait(constraint.subject)
    value = float(worlds.points[constraint.subject][place]) if constraint.subject in worlds.points else math.nan
    return None if math.isnan(value) else value
