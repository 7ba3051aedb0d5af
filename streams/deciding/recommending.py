"""A recommendation: who is left after the hard constraints, who of them is the right choice and how surely, and who was refused and why.

It follows from its inputs alone, seed included, so that it can be reckoned again later and compared.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from schemas.requirements import Requirement
from streams.deciding.candidates import Candidate, TaskScores
from streams.deciding.confidence import Places
from streams.deciding.conflicts import conflict, nearest
from streams.deciding.constraints import Constraint, Flags, Refusal, refusals
from streams.deciding.drawing import DRAWS, SEED, Worlds, oriented
from streams.deciding.front import front_probability, knee
from streams.deciding.measuring_next import Offer, Worth, worths
from streams.deciding.methods import Methods, methods
from streams.deciding.screening import Decision, Screened, decision, screened
from streams.statistics.spreads import Floats

FORMULA_VERSION: Final = "decision-4"
Offers = Callable[[Decision], Sequence[Offer]]


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
class Recommendation:
    """All of it. `decided`: the first choice's confidence reaches the threshold; otherwise `next` says what to measure, the best first.

    Where nobody is left, `conflict` is the smallest set of constraints that nobody keeps, and `nearest` who comes nearest. `made` has the
    draws: each figure's interval, and who would be right where.
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
    made: Decision | None = field(default=None, compare=False)


def recommend(
    requirement: Requirement, candidates: Sequence[Candidate], scores: Sequence[TaskScores] = (), *, offers: Offers = lambda _: (),
    draws: int = DRAWS, seed: int = SEED,
) -> Recommendation:  # fmt: skip
    """The recommendation for a requirement; `offers` says what could be measured, and is asked only where nothing is decided.

    Raises: Invalid where a task or a figure that counts has been measured for nobody.
    """
    found = screened(requirement, candidates, scores, draws=draws, seed=seed)
    out = np.setdiff1d(np.arange(len(found.worlds.candidates)), found.left)
    refused, made = _refused(found, out), decision(requirement, found)
    if made is None:
        return _nobody(found, refused)
    told = _recommendation(requirement, made)
    return replace(told, refused=refused, next=() if told.decided else worths(made.confidence, offers(made)))


def _recommendation(requirement: Requirement, made: Decision) -> Recommendation:
    left, sure, keeps = made.worlds, made.confidence, made.keeps
    figures = [one.figure for one in made.weights]
    fronts = front_probability(oriented(left.drawn, figures), made.able)
    choices = tuple(
        Choice(left.candidates[n], float(sure.feasible[n]), float(fronts[n]), float(sure.chosen[n]), float(sure.loss[n]))
        for n in sure.order
    )
    order = [(step.figure, step.tolerance) for step in requirement.preference.order]
    decided = choices[0].confidence >= requirement.threshold_ratio
    return Recommendation(
        choices, (), decided, _words(choices, decided), methods(left, made.weights, keeps, order),
        _knee(left, oriented(left.points, figures), keeps), (), None, (), made,
    )  # fmt: skip


def _knee(left: Worlds, values: Floats, keeps: Flags) -> str | None:
    place = knee(np.where(keeps[:, None], values, np.nan)) if keeps.any() else None
    return left.candidates[place].key if place is not None else None


def _words(choices: Sequence[Choice], decided: bool) -> str:
    first = choices[0]
    if decided or len(choices) == 1 or not choices[1].confidence:
        lead = "" if decided else "not sure enough: "
        return f"{lead}{first.candidate.name}, {100 * first.confidence:.0f} % sure{_as_good(choices)}"
    second = choices[1]
    names = f"{first.candidate.name} or {second.candidate.name}"
    return f"undecided: {names}: {100 * first.confidence:.0f}/{100 * second.confidence:.0f}"


def _as_good(choices: Sequence[Choice]) -> str:
    """Those who lose nothing beside the first: of such, one must come first."""
    first = choices[0]
    names = [
        one.candidate.name for one in choices[1:] if math.isclose(one.loss, first.loss, abs_tol=1e-12) and one.feasible == first.feasible
    ]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"; {names[0]}{more} {'are' if more else 'is'} as good by what counts" if names else ""


def _refused(found: Screened, places: Places) -> tuple[Refused, ...]:
    broken, chance = refusals(found.constraints, found.worlds, found.kept, map(int, places)), found.chance
    return tuple(Refused(found.worlds.candidates[place], float(chance[place]), own) for place, own in broken.items())


def _nobody(found: Screened, refused: tuple[Refused, ...]) -> Recommendation:
    """Nobody keeps all: which constraints conflict, and who comes nearest."""
    clash, place = tuple(found.constraints[n] for n in conflict(found.kept)), nearest(found.constraints, found.worlds, found.kept)
    closest = None if place is None else refused[place]
    told = "; ".join(one.words for one in clash)
    words = "there are no candidates" if closest is None else f"nobody keeps these together: {told}" if told else "nobody surely keeps all"
    return Recommendation((), refused, False, words, None, None, clash, closest, ())
