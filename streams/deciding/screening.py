"""From a requirement to those who are left and how sure the choice among them is: the part of a decision that is reckoned in draws."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.requirements import Requirement
from streams.deciding.candidates import FIGURES, Candidate, TaskScores
from streams.deciding.confidence import Confidence, Places, confidence
from streams.deciding.constraints import Constraint, Flags, feasible, kept_as_measured
from streams.deciding.drawing import DRAWS, SEED, Worlds, worlds
from streams.deciding.loads import on_owned, under
from streams.deciding.preferring import Swing, swings
from streams.deciding.requiring import constraints_of, load_of
from streams.errors import Invalid
from streams.statistics.spreads import Floats

LEAST_FEASIBLE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Screened:
    """Every candidate under the hard constraints.

    `able`, [draws, candidates]: who keeps all in which draw; `kept`, [constraints, candidates]: who keeps which as measured.
    """

    constraints: tuple[Constraint, ...]
    worlds: Worlds
    able: Flags
    kept: Flags

    @property
    def chance(self) -> Floats:
        """Each one's share of draws in which it keeps all."""
        return np.asarray(self.able.mean(axis=0))

    @property
    def left(self) -> Places:
        """The places of those who keep all often enough to be chosen from."""
        return np.flatnonzero(self.chance >= LEAST_FEASIBLE)


@dataclass(frozen=True, slots=True)
class Decision:
    """Those who are left, what counts, and how sure the choice among them is: what measurements on offer are weighed by.

    `able`, [draws, candidates]: who keeps all constraints in which draw; `keeps`: who does as measured.
    """

    worlds: Worlds
    weights: tuple[Swing, ...]
    able: Flags
    keeps: Flags
    confidence: Confidence

    def figures(self, places: Sequence[int]) -> list[dict[str, tuple[float, float, float]]]:
        """Every known figure of the candidates at those places: as measured, and the 2.5 % and 97.5 % percentiles of its draws."""
        found: list[dict[str, tuple[float, float, float]]] = [{} for _ in places]
        for name, drawn in self.worlds.drawn.items():
            ends = np.percentile(drawn[:, list(places)], [2.5, 97.5], axis=0)
            for own, place, low, high in zip(found, places, *ends.tolist(), strict=True):
                if np.isfinite(value := float(self.worlds.points[name][place])):
                    own[name] = (value, low, high)
        return found


def screened(
    requirement: Requirement, candidates: Sequence[Candidate], scores: Sequence[TaskScores] = (), *, draws: int = DRAWS, seed: int = SEED
) -> Screened:
    """All candidates with their draws: by what a replica's hour costs, then by key, so that of equal ones the cheaper hour comes first.

    Raises: Invalid where a task that counts was measured of nobody.
    """
    constraints, load = constraints_of(requirement), load_of(requirement)
    if twice := next((key for key, count in Counter(one.key for one in candidates).items() if count > 1), None):
        raise Invalid(f"two candidates are called {twice}; give each a key of its own", code="candidate")
    ordered = sorted(candidates, key=lambda one: (math.inf if one.usd_per_hour is None else one.usd_per_hour, one.key))
    wanted = {"goodput_per_s", *_preferred(requirement), *(one.subject for one in constraints)}
    every = worlds(ordered, scores, weights=requirement.tasks, wanted=wanted, draws=draws, seed=seed)
    every = on_owned(requirement.allowed.owned, under(load, every) if load else every)
    return Screened(constraints, every, feasible(constraints, every), kept_as_measured(constraints, every))


def _preferred(requirement: Requirement) -> tuple[str, ...]:
    preference = requirement.preference
    return (*preference.points, *(step.figure for step in preference.order))


def decision(requirement: Requirement, found: Screened) -> Decision | None:
    """The choice among those who are left; None where nobody is. Raises: Invalid where a preference is about what nobody has."""
    if not len(found.left):
        return None
    left, able = found.worlds.kept(found.left), found.able[:, found.left]
    keeps = np.asarray(found.kept[:, found.left].all(axis=0))
    for name in _preferred(requirement):
        _check(name, left)
    weights = swings(requirement.preference.points, left.drawn, able)
    return Decision(left, weights, able, keeps, confidence(left, able, weights))


def _check(name: str, left: Worlds) -> None:
    if name not in FIGURES:
        raise Invalid(f"there is no figure {name!r} to prefer by; there are {', '.join(FIGURES)}", code="no-figure")
    if name not in left.points or np.isnan(left.points[name]).all():
        what = "state the traffic, and measure goodput" if name.startswith("usd_per") else "measure it"
        raise Invalid(f"{FIGURES[name].words} is known of nobody who is left; {what}, or leave it out of prefer", code="no-figure")
