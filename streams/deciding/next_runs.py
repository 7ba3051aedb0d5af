"""The next measurements on offer between those who contend, each with its price and the commands that ask for it; and what nobody measured.

Documents of a task are offered as many again as the contenders have answered, where the task has more of them. A run asks all of its
documents, for it takes no answers from others: those that are answered already are paid for once more, with the new ones. A document costs
what the runs that answered it before cost, over their documents; a speed run costs the hours that its requests take at the rate measured.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from schemas.decisions import NextRun
from schemas.requirements import Requirement
from streams.deciding import commands
from streams.deciding.candidates import FIGURES, Candidate, TaskScores
from streams.deciding.drawing import QUALITY
from streams.deciding.evidence import ELSEWHERE, Evidence, known_tasks
from streams.deciding.measured import Field, Origin
from streams.deciding.measuring_next import Offer, worths
from streams.deciding.offering import BY_SPEED, as_many_again, contenders, documents, models_of, speed_run
from streams.deciding.recommending import Recommendation
from streams.deciding.screening import Decision
from streams.errors import Invalid
from streams.money.scenarios import S_PER_HOUR

MOST: Final = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of runs: what each cost, which asked all documents that there are, and with how many examples each asked a task."""

    usd: Mapping[str, float] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()
    fewshots: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, and what it is answered from."""

    requirement: Requirement
    evidence: Evidence
    own: Field
    asked: Asked = field(default_factory=Asked)

    def origin(self, candidate: Candidate) -> Origin:
        """Where a candidate comes from."""
        return self.own.origins[candidate.key]

    def usd_per_document(self, run_id: str) -> float | None:
        """What a document cost in a run; None where that is not known."""
        count = sum(task.documents for task in self.evidence.results[run_id].tasks.values())
        return self.asked.usd[run_id] / count if self.asked.usd.get(run_id) and count else None


@dataclass(frozen=True, slots=True)
class Buyable:
    """An offer, and what gives the commands that carry it out so many times."""

    offer: Offer
    commands: Callable[[int], tuple[str, ...]]


def runs_of(made: Decision, own: Field) -> tuple[str, ...]:
    """The runs of those who contend: what `Asked` must know."""
    keys = [made.worlds.candidates[place].key for place in contenders(made)]
    return tuple(sorted({run_id for key in keys for run_id in own.origins[key].runs.values()}))


def next_runs(told: Recommendation, question: Question) -> tuple[NextRun, ...]:
    """What to measure next: where nothing is decided what is expected to decide, the best for a dollar first; then what nobody measured."""
    worth_it = _worth_it(told.made, question) if told.made and not told.decided else ()
    return (*worth_it, *_missing(told, question))[:MOST]


def _worth_it(made: Decision, question: Question) -> Iterator[NextRun]:
    found = [*(one for parts in _asked(question) for one in _documents(made, parts, question)), *_speeds(made, question)]
    by_offer = {id(one.offer): one for one in found}
    for worth in worths(made.confidence, [one.offer for one in found]):
        if worth.gain > 0:
            what = worth.offer.name if worth.times == 1 else f"{worth.times} × {worth.offer.name}"
            typed = by_offer[id(worth.offer)].commands(worth.times)
            yield NextRun(what=what, usd=worth.usd, confidence=worth.confidence, gain=worth.gain, words=worth.words, commands=typed)


def _asked(question: Question) -> list[tuple[TaskScores, ...]]:
    """The scores by what was asked for: those of a task by itself, those of a suite together."""
    found: dict[str, list[TaskScores]] = {}
    for one in question.own.scores:
        found.setdefault(one.asked, []).append(one)
    return [tuple(parts) for parts in found.values()]


def _documents(made: Decision, parts: Sequence[TaskScores], question: Question) -> Iterator[Buyable]:
    """As many documents of a task or a suite again as there are, answered by all who contend; nothing where there are no more."""
    scores = parts[0]
    places = [place for place in contenders(made) if made.worlds.candidates[place].model in scores.models]
    origins = [question.origin(made.worlds.candidates[place]) for place in models_of(made, places).values()]
    runs = [one.runs[scores.task] for one in origins]
    usd = [each for run_id in runs if (each := question.usd_per_document(run_id))]
    if not usd or len(usd) < len(runs) or question.asked.whole & set(runs) or not all(map(_can_say, origins)):
        return
    mean = sum(usd) / len(usd)
    try:
        offer = (
            as_many_again(made, parts, usd_per_document=mean, places=places) if scores.part
            else documents(made, scores, scores.values.shape[1], usd_per_document=mean, places=places)
        )  # fmt: skip
    except Invalid:  # they share no documents: nothing is known of their noise
        return
    whole = max(one.values.shape[1] for one in parts)
    tasks = len(parts) if scores.part else len(known_tasks(question.evidence.results.values())[scores.task])
    each = whole if scores.part else math.ceil(whole / tasks)
    asked = each * tasks * sum(usd)  # for as many as there are, of all models; of a suite whose tasks have not all so many it is the most
    offer = replace(offer, usd=asked, once_usd=asked)
    fewshots = [question.asked.fewshots.get((run_id, scores.task)) for run_id in runs]
    yield Buyable(offer, lambda times: tuple(
        _command(one, scores, question, limit=(1 + times) * each, fewshot=fewshot) for one, fewshot in zip(origins, fewshots, strict=True)
    ))  # fmt: skip


def _command(origin: Origin, scores: TaskScores, question: Question, *, limit: int, fewshot: int | None = None) -> str:
    """The command that asks the first so many documents of a task, or of each of the tasks of the suite that it is a part of."""
    model, weights = origin.deployed.model, origin.deployed.weights
    if scores.part is None:
        return commands.submit(model, weights, chat=origin.chat, task=scores.task, limit=limit, fewshot=fewshot)
    run_id = next(own.runs[scores.task] for own in question.own.origins.values() if scores.task in own.runs)
    plan = question.evidence.results[run_id].plan
    tasks = () if plan.suite_version else dict.fromkeys(one.group or one.task for one in plan.tasks)
    return commands.ask(model, weights, chat=origin.chat, suite=scores.asked, tasks=tuple(tasks), limit=limit)


def _speeds(made: Decision, question: Question) -> Iterator[Buyable]:
    """A speed run of each who contends, where its speed counts."""
    counted = any(name in made.worlds.drawn for name in BY_SPEED)
    for place in contenders(made):
        candidate = made.worlds.candidates[place]
        origin = question.origin(candidate)
        if counted and origin.point is not None and candidate.usd_per_hour and _can_say(origin):
            usd = candidate.usd_per_hour * commands.REQUESTS / origin.point.rate_per_s / S_PER_HOUR
            typed = _load(origin, question, concurrency=origin.point.places)
            offer = speed_run(made, place, usd=usd, relative_error=1 / math.sqrt(commands.REQUESTS))
            yield Buyable(offer, _repeated(typed))


def _load(origin: Origin, question: Question, *, concurrency: int = commands.WARMED) -> str:
    """The command that puts a load on it, as long as the traffic's requests."""
    deployed = origin.deployed
    return commands.perf(deployed.model, deployed.weights, traffic=question.requirement.traffic, concurrency=concurrency)


def _can_say(origin: Origin) -> bool:
    return commands.can_say(origin.deployed.model, origin.chat)


def _repeated(command: str) -> Callable[[int], tuple[str, ...]]:
    return lambda times: (command if times == 1 else f"{command}  # {times} times",)


def lacking(told: Recommendation) -> dict[str, tuple[str, ...]]:
    """The figures that count and that nobody measured, of each who is left and lacks any, by its key."""
    if told.made is None:
        return {}
    worlds, names = told.made.worlds, [swing.figure for swing in told.made.weights]
    unknown = {name: np.isnan(worlds.points[name]) for name in names}
    found = ((one.key, tuple(name for name in names if unknown[name][n])) for n, one in enumerate(worlds.candidates))
    return {key: own for key, own in found if own}


def _missing(told: Recommendation, question: Question) -> Iterator[NextRun]:
    """What must be measured before somebody can be chosen at all: of those who are left, then of those who are refused for nothing else."""
    lacks = lacking(told)
    for one in told.choices:
        if names := lacks.get(one.candidate.key):
            yield from _unknown(one.candidate, names, question)
    for other in told.refused:
        if other.refusals and all(refusal.own is None and refusal.constraint.measured for refusal in other.refusals):
            yield from _unknown(other.candidate, [refusal.constraint.subject for refusal in other.refusals], question)


def _unknown(candidate: Candidate, names: Sequence[str], question: Question) -> Iterator[NextRun]:
    if typed := first_measurement(candidate, names, question):
        told = ", ".join(FIGURES[name].words if name in FIGURES else name.replace(QUALITY, "quality of ") for name in names)
        words = f"{candidate.name} cannot be chosen before it is measured: {told}"
        yield NextRun(what=f"a first measurement of {candidate.name}", usd=None, confidence=None, gain=None, words=words, commands=typed)


def first_measurement(candidate: Candidate, names: Sequence[str], question: Question) -> tuple[str, ...]:
    """The commands that measure these figures of a candidate; none where no run would tell them, as where a price is missing, and where
    no command can ask for just what it is."""
    return tuple(_asking(candidate, names, question))


def _asking(candidate: Candidate, names: Sequence[str], question: Question) -> Iterator[str]:
    origin = question.origin(candidate)
    if not _can_say(origin):
        return
    for parts in _asked(question):
        if candidate.model not in parts[0].models and any(name in ("quality", QUALITY + parts[0].asked) for name in names):
            first, whole = parts[0], max(one.values.shape[1] for one in parts)
            yield _command(origin, first, question, limit=whole)
    if origin.point is None and any(not name.startswith("quality") for name in names):
        yield _load(origin, question)


def what_is_missing(question: Question) -> str | None:
    """What to do first where a figure that counts is known of nobody: a command; None where everybody has a speed and a price."""
    own = [one for one in question.own.candidates if question.origin(one).deployed.place != ELSEWHERE]
    for candidate in own:
        if question.origin(candidate).point is None:
            return f"Measure it: {_load(question.origin(candidate), question)}"
    priceless = sorted({candidate.hardware for candidate in own if candidate.usd_per_hour is None})
    return f"No price of {priceless[0]} is known: `assay prices import FILE` publishes it" if priceless else None
