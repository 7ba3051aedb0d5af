"""A recommendation as it is said: the event with its choices, refusals, trade-offs, sizes and guides, of long lists the first."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from schemas.decisions import Contender, DrawnFigure, NextRun, RecommendationMade, Rejected, Sized, Tradeoff, Ways
from schemas.event import derive_id
from schemas.requirements import Requirement
from streams.deciding.candidates import FIGURES, Candidate
from streams.deciding.capacity import Replica, capacity, longest_wait_s
from streams.deciding.constraints import told as in_words
from streams.deciding.deploying import guide_of
from streams.deciding.drawing import DRAWS
from streams.deciding.measured import Field
from streams.deciding.next_runs import Question, lacking
from streams.deciding.recommending import FORMULA_VERSION, Choice, Recommendation, Refused
from streams.deciding.requiring import is_air_gapped
from streams.deciding.screening import Decision
from streams.errors import Invalid

MOST_CHOICES: Final = 50
MOST_GUIDES: Final = 5
MOST_REJECTED: Final = 200
LONGEST_REASON: Final = 500  # characters: a record holds them all


def answer(question: Question, told: Recommendation, next_runs: Sequence[NextRun], *, header: Mapping[str, Any]) -> RecommendationMade:
    """The event; `header` has also who asks, the seed, and by which prices. Its id follows from what it rests on: the same question of
    an organisation to the same measurements is the same event."""
    requirement, own, closest, digest = question.requirement, question.own, told.nearest, digest_of(question.own)
    about = (requirement.model_dump_json(), digest, FORMULA_VERSION, header["seed"], DRAWS)
    identity = derive_id("Recommendation", header["organisation_id"], *about)
    return RecommendationMade.model_validate({
        **header, "recommendation_id": identity, "requirement": requirement, "formula_version": FORMULA_VERSION, "draws": DRAWS,
        "inputs_digest": digest, "input_runs": own.runs, "considered": len(own.candidates), "contending": len(told.choices),
        "refused": len(told.refused), "decided": told.decided, "words": told.words, "choices": _contenders(told, own, requirement),
        "rejected": _rejected(told.refused, own), "tradeoffs": tuple(_tradeoffs(told)), "methods": _ways(told), "knee": told.knee,
        "conflict": tuple(one.words for one in told.conflict), "nearest": _refused(closest, own) if closest else None,
        "next": tuple(next_runs),
    })  # fmt: skip


def digest_of(own: Field) -> str:
    """A name of all that was measured and is asked about."""
    parts = hashlib.sha256()
    for one in sorted(own.candidates, key=lambda candidate: candidate.key):
        traits = sorted((name, sorted(value) if isinstance(value, frozenset) else value) for name, value in one.traits.items())
        told = (one.key, one.model, sorted(one.figures.items()), traits, one.usd_per_hour, one.purchase_usd, one.places, one.service_s)
        parts.update(repr(told).encode())
    for scores in own.scores:
        parts.update(repr((scores.task, scores.models, scores.values.shape)).encode() + scores.values.tobytes())
        parts.update(repr(scores.part).encode() if scores.part else b"")
    return parts.hexdigest()


def _contenders(told: Recommendation, own: Field, requirement: Requirement) -> tuple[Contender, ...]:
    if told.made is None:
        return ()
    places = {one.key: place for place, one in enumerate(told.made.worlds.candidates)}
    shown = told.choices[:MOST_CHOICES]
    drawn, lacks = _drawn(told.made, [places[one.candidate.key] for one in shown]), lacking(told)
    return tuple(
        _contender(one, figures, lacks.get(one.candidate.key, ()), own, requirement, guided=n < MOST_GUIDES)
        for n, (one, figures) in enumerate(zip(shown, drawn, strict=True))
    )


def _drawn(made: Decision, places: Sequence[int]) -> Iterator[tuple[DrawnFigure, ...]]:
    for told in made.figures(places):
        yield tuple(
            DrawnFigure(figure=name, unit=unit_of(name), value=value, low=low, high=high) for name, (value, low, high) in told.items()
        )


def unit_of(figure: str) -> str:
    """A figure's unit; quality and a task's are ratios, replicas are counted."""
    return FIGURES[figure].unit if figure in FIGURES else "1" if figure == "replicas" else "ratio"


def _contender(
    one: Choice, figures: tuple[DrawnFigure, ...], missing: tuple[str, ...], own: Field, requirement: Requirement, *, guided: bool
) -> Contender:
    candidate, origin = one.candidate, own.origins[one.candidate.key]
    return Contender(
        candidate=candidate.key, model=candidate.model, engine=candidate.engine, hardware=candidate.hardware, feasible=one.feasible,
        pareto=one.front, confidence=one.confidence, loss=one.loss, why=_why(one, missing), figures=figures, lacks=missing,
        measured_by=tuple(sorted(set(origin.runs.values()))), usd_per_hour=candidate.usd_per_hour,
        capacity=_sized(candidate, requirement) if guided else None,
        guide=guide_of(candidate, origin, requirement.latency, air_gapped=is_air_gapped(requirement)) if guided else None,
    )  # fmt: skip


def _why(one: Choice, missing: Sequence[str]) -> str:
    kept = f"keeps all constraints in {_share(one.feasible)} of what the measurements allow"
    if missing:
        names = ", ".join(FIGURES[name].words for name in missing)
        return f"{kept}, but cannot be chosen: {names} {'is' if len(missing) == 1 else 'are'} not known"
    return f"{kept}, is on the front in {_share(one.front)}, and is the best in {_share(one.confidence)}"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _sized(candidate: Candidate, requirement: Requirement) -> Sized | None:
    """The replicas for the day's peak; None without traffic, or where nothing was measured to reckon with."""
    traffic, goodput, ttft = requirement.traffic, candidate.figures.get("goodput_per_s"), candidate.figures.get("ttft_p95_s")
    if traffic is None or goodput is None or candidate.places is None or candidate.service_s is None:
        return None
    wait = longest_wait_s(requirement.latency.ttft_p95_s, ttft.value if ttft else None)
    replica = Replica(goodput.value, candidate.places, candidate.service_s)
    try:
        found = capacity(max(traffic.curve_per_s), replica, headroom_ratio=traffic.headroom_ratio, longest_wait_s=wait)
    except Invalid:  # no number of replicas is enough, which the refusals say
        return None
    return Sized(
        replicas=found.replicas, by_rate=found.by_rate, by_queue=found.by_queue, goodput_per_s=replica.goodput_per_s, places=replica.places,
        service_s=replica.service_s, busy_ratio=found.busy_ratio, waiting_ratio=found.waiting_ratio, too_long_ratio=found.too_long_ratio,
        longest_wait_s=wait, mean_wait_s=found.mean_wait_s if math.isfinite(found.mean_wait_s) else None,
    )  # fmt: skip


def _rejected(refused: Sequence[Refused], own: Field) -> tuple[Rejected, ...]:
    """Those who are refused, those who are nearest to being admitted first."""
    nearest = sorted(refused, key=lambda one: (len(one.refusals), sum(refusal.distance for refusal in one.refusals), one.candidate.key))
    return tuple(_refused(one, own) for one in nearest[:MOST_REJECTED])


def _refused(one: Refused, own: Field) -> Rejected:
    candidate = one.candidate
    reasons = "; ".join(refusal.reason for refusal in one.refusals)[:LONGEST_REASON]
    return Rejected(
        candidate=candidate.key, model=candidate.model, engine=candidate.engine, hardware=candidate.hardware, feasible=one.feasible,
        reason=reasons or "keeps all constraints as measured, but in hardly any draw of what the measurements allow",
        changes=tuple(refusal.change[:LONGEST_REASON] for refusal in one.refusals),
        measured_by=tuple(sorted(set(own.origins[candidate.key].runs.values()))),
    )  # fmt: skip


def _tradeoffs(told: Recommendation) -> Iterator[Tradeoff]:
    """The first less the runner-up, figure by figure, in the same draws."""
    if told.made is None or len(told.choices) < 2:
        return
    worlds = told.made.worlds
    places = {one.key: place for place, one in enumerate(worlds.candidates)}
    first, second = (places[one.candidate.key] for one in told.choices[:2])
    for name, kind in FIGURES.items():
        if name not in worlds.drawn or not math.isfinite(difference := float(worlds.points[name][first] - worlds.points[name][second])):
            continue
        low, high = (float(end) for end in np.percentile(worlds.drawn[name][:, first] - worlds.drawn[name][:, second], [2.5, 97.5]))
        if difference or low or high:
            better = "better" if kind.better * difference > 0 else "worse"
            words = f"{kind.words}: {in_words(abs(difference), kind.unit)} {better}" + (
                "" if low > 0 or high < 0 else ", which may be chance"
            )
            yield Tradeoff(figure=name, unit=kind.unit, difference=difference, low=low, high=high, words=words)


def _ways(told: Recommendation) -> Ways | None:
    if told.methods is None or told.made is None:
        return None
    keys = [one.key for one in told.made.worlds.candidates]
    found = {name: getattr(told.methods, name) for name in ("swing", "topsis", "lexicographic")}
    chosen = {name: None if place is None else keys[place] for name, place in found.items()}
    return Ways(**chosen, agree=told.methods.agree, words=told.methods.words)
