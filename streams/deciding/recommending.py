"""A recommendation: who is left after the hard constraints, who of them is the right choice and how surely, and who was refused and why.

It follows from its inputs alone, seed included, so that it can be reckoned again later and compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from schemas.requirements import Requirement
from streams.deciding.candidates import FIGURES, Candidate, TaskScores
from streams.deciding.confidence import Confidence, confidence
from streams.deciding.conflicts import conflict, nearest
from streams.deciding.constraints import Constraint, Flags, Refusal, feasible, kept_as_measured, refusals
from streams.deciding.drawing import DRAWS, SEED, Worlds, oriented, worlds
from streams.deciding.front import front_probability, knee
from streams.deciding.loads import under
from streams.deciding.measuring_next import Offer, Worth, worths
from streams.deciding.methods import Methods, methods
from streams.deciding.preferring import Swing, swings
from streams.deciding.requiring import constraints_of, load_of
from streams.errors import Invalid
from streams.statistics.spreads import Floats

FORMULA_VERSION: Final = "decision-1"
LEAST_FEASIBLE: Final = 0.05
Offers = Callable[["Decision"], Sequence[Offer]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Somebody who may be chosen: the chances of keeping all constraints, of the front and of being right; what choosing it would lose."""

    candidate: Candidate
    feasible: float
    front: float
    confidence: float
    loss: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody who is refused, with what it breaks, the nearest first; nothing where it keeps all as measured, but in hardly any draw."""

    candidate: Candidate
    feasible: float
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What offers of measurements are made from: the worlds of those who are left, and how sure the choice among them is.

    `able`, [draws, candidates], is who keeps all constraints in which draw; `keeps` who does as measured.
    """

    worlds: Worlds
    weights: tuple[Swing, ...]
    able: Flags
    keeps: Flags
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Recommendation:
    """All of it. `decided`: the first choice's confidence reaches the threshold; otherwise `next` says what to measure, the best first.

    Where nobody is left, `conflict` is the smallest set of constraints that nobody keeps, and `nearest` who comes nearest.
    """

    choices: tuple[Choice, ...]
    refused: tuple[Refused, ...]
    decided: bool
    words: str
    methods: Methods | None
    knee: str | None
    conflict: tuple[Constraint, ...]
    nearest: Refused | None
    next: tuple[Worth, ...]


def recommend(
    requirement: Requirement, candidates: Sequence[Candidate], scores: Sequence[TaskScores] = (), *, offers: Offers = lambda _: (),
    draws: int = DRAWS, seed: int = SEED,
) -> Recommendation:  # fmt: skip
    """The recommendation for a requirement; `offers` says what could be measured, and is asked only where nothing is decided.

    Raises: Invalid where a task or a figure that counts has been measured for nobody.
    """
    constraints, load = constraints_of(requirement), load_of(requirement)
    ordered = sorted(candidates, key=lambda one: one.key)
    if twice := next((one.key for one, other in pairwise(ordered) if one.key == other.key), None):
        raise Invalid(f"two candidates are called {twice}; give each a key of its own", code="candidate")
    every = worlds(ordered, scores, weights=requirement.tasks, wanted=_wanted(requirement, constraints), draws=draws, seed=seed)
    every = under(load, every) if load else every
    able, kept = feasible(constraints, every), kept_as_measured(constraints, every)
    chance = np.asarray(able.mean(axis=0))
    out, left = np.flatnonzero(chance < LEAST_FEASIBLE), np.flatnonzero(chance >= LEAST_FEASIBLE)
    refused = _refused(refusals(constraints, every, kept, map(int, out)), every, chance)
    if not len(left):
        return _nobody(constraints, every, kept, refused)
    decision = _decision(requirement, every.kept(left), able[:, left], np.asarray(kept[:, left].all(axis=0)))
    told = _recommendation(requirement, decision)
    return replace(told, refused=refused, next=() if told.decided else worths(decision.confidence, offers(decision)))


def _wanted(requirement: Requirement, constraints: Sequence[Constraint]) -> set[str]:
    """The figures that the decision hangs on. Raises: Invalid where a preference is about none."""
    preferred = {*requirement.preference.points, *(step.figure for step in requirement.preference.order)}
    if unknown := sorted(preferred - set(FIGURES)):
        raise Invalid(f"there is no figure {unknown[0]!r} to prefer by; there are {', '.join(FIGURES)}", code="no-figure")
    return {"goodput_per_s", *preferred, *(one.subject for one in constraints)}


def _decision(requirement: Requirement, left: Worlds, able: Flags, keeps: Flags) -> Decision:
    if missing := sorted(name for name in requirement.preference.points if name not in left.points):
        raise Invalid(f"{FIGURES[missing[0]].words} was measured of nobody; measure it, or leave it out of prefer", code="no-figure")
    weights = swings(requirement.preference.points, left.points, keeps if keeps.any() else np.asarray(able.any(axis=0)))
    return Decision(left, weights, able, keeps, confidence(left, able, weights))


def _recommendation(requirement: Requirement, decision: Decision) -> Recommendation:
    left, sure, keeps = decision.worlds, decision.confidence, decision.keeps
    figures = [one.figure for one in decision.weights]
    fronts = front_probability(oriented(left.drawn, figures), decision.able)
    choices = tuple(
        Choice(left.candidates[n], float(sure.feasible[n]), float(fronts[n]), float(sure.chosen[n]), float(sure.loss[n]))
        for n in sure.order
    )
    order = [(step.figure, step.tolerance) for step in requirement.preference.order]
    decided = choices[0].confidence >= requirement.threshold_ratio
    return Recommendation(
        choices, (), decided, _words(choices, decided), methods(left, decision.weights, keeps, order),
        _knee(left, oriented(left.points, figures), keeps), (), None, (),
    )  # fmt: skip


def _knee(left: Worlds, values: Floats, keeps: Flags) -> str | None:
    place = knee(np.where(keeps[:, None], values, np.nan)) if keeps.any() else None
    return left.candidates[place].key if place is not None else None


def _words(choices: Sequence[Choice], decided: bool) -> str:
    first = choices[0]
    if decided or len(choices) == 1 or not choices[1].confidence:
        lead = "" if decided else "not sure enough: "
        return f"{lead}{first.candidate.name}, {100 * first.confidence:.0f} % sure"
    second = choices[1]
    names = f"{first.candidate.name} or {second.candidate.name}"
    return f"undecided: {names}: {100 * first.confidence:.0f}/{100 * second.confidence:.0f}"


def _refused(found: Mapping[int, tuple[Refusal, ...]], every: Worlds, chance: Floats) -> tuple[Refused, ...]:
    return tuple(Refused(every.candidates[place], float(chance[place]), own) for place, own in found.items())


def _nobody(constraints: Sequence[Constraint], every: Worlds, kept: Flags, refused: tuple[Refused, ...]) -> Recommendation:
    """Nobody keeps all: which constraints conflict, and who comes nearest."""
    clash, place = tuple(constraints[n] for n in conflict(kept)), nearest(constraints, every, kept)
    closest = None if place is None else refused[place]
    told = "; ".join(one.words for one in clash)
    words = "there are no candidates" if closest is None else f"nobody keeps these together: {told}" if told else "nobody surely keeps all"
    return Recommendation((), refused, False, words, None, None, clash, closest, ())
