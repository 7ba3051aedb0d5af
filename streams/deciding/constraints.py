"""What a choice must keep: bounds on figures and on traits; who breaks one is told why, and by how much it would have to give."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streams.deciding.candidates import FIGURES, Candidate, Trait
from streams.deciding.drawing import Worlds
from streams.statistics.spreads import Floats

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
        return f"{self.name} {self.rule} {told(self.bound, self.unit)}"

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
        return f"{one.name} is {told(self.own, one.unit)}; wanted is {one.rule} {told(one.bound, one.unit)}"

    @property
    def change(self) -> str:
        """The nearest change that would admit it."""
        one, own = self.constraint, self.own
        if own is None:
            return f"measure or state {one.name}"
        if isinstance(one.bound, frozenset):
            names = own if isinstance(own, frozenset) else frozenset({str(own)})
            return f"do without {told(one.bound - names)}" if one.rule == "all of" else f"allow {told(names)}"
        if one.subject == "owned_ratio":
            return f"own {told(own)} times as many of its devices"
        return f"{'lower' if one.rule == 'at least' else 'raise'} the bound from {told(one.bound, one.unit)} to {told(own, one.unit)}"


def told(value: "float | str | frozenset[str] | None", unit: str = "") -> str:
    """A value as people read it."""
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "not measured"
    number = (
        f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1e4 else f"{value:,.0f}" if isinstance(value, float | int) else value
    )
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
