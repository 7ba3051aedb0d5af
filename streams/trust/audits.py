"""How a run and its audit compare: sample by sample, by each task's main metric, and in where they ran. Pure; infra/auditing.py reads both.

Samples are taken in parts, so that memory does not go with a run's size: of each part the audit's answers are held, and the run's pass
by them; then the same of scores. Of several events of one sample the first counts, and of scorers the one that the result names.
"""

import hashlib
import heapq
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from schemas.jobs import EngineUsed, EnvironmentSeen
from schemas.measurements import Answer, SampleAnswered
from schemas.results import RunScored, SampleScored
from schemas.settled import RunSettled
from schemas.trust import EnvironmentDiffers, MetricDiffers, SampleDiffers
from streams.quality.ranges import countable, range_of
from streams.settling.documents import unpacked
from streams.statistics.differences import difference

TOLERANCE: Final = 1e-4  # of log-likelihoods and scores: absolute, or of the greater of the two
AT_ONCE: Final = 50_000  # samples of the audit that are held
TOLD: Final = 100  # differing samples that are named
KINDS: Final = ("prompt", "error", "text", "likelihood", "score")
Place = tuple[str, int, int]  # task, ordinal, repeat
Given = tuple[str, tuple[tuple[int, int, float | None, bytes | None, bool], ...]]
Scored = dict[tuple[str, str], float | None]  # (filter, metric) → value


def alike(one: float | None, other: float | None) -> bool:
    """Whether two figures are the same within the tolerance; two that are not there are."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _given(event: SampleAnswered) -> Given:
    """What of an answered sample is compared: of a text its hash."""
    return event.arguments_sha, tuple(sorted(map(_answer, event.answers), key=lambda one: one[:2]))


def _answer(one: Answer) -> tuple[int, int, float | None, bytes | None, bool]:
    text = hashlib.sha256(one.output.bytes).digest()[:16] if one.output else None
    return one.request_index, one.draw, one.loglikelihood, text, one.error is not None


@dataclass(slots=True)
class Findings:
    """What came of the parts so far. `first`: the differing samples that come first, by their places."""

    samples: int = 0
    equal: int = 0
    unmatched: int = 0
    by: Counter[str] = field(default_factory=Counter)
    first: list[SampleDiffers] = field(default_factory=list)

    @property
    def equal_ratio(self) -> float | None:
        """The share of equal samples; None where nothing was compared."""
        return self.equal / self.samples if self.samples else None


@dataclass(slots=True)
class Part:
    """Samples that are compared together. `part` of `parts`: which these are follows from their places alone."""

    part: int
    parts: int
    answers: dict[Place, Given] = field(default_factory=dict)
    scores: dict[Place, Scored] = field(default_factory=dict)
    matched: set[Place] = field(default_factory=set)
    wrong: dict[Place, dict[str, list[str]]] = field(default_factory=dict)

    def _place(self, event: SampleAnswered | SampleScored) -> Place | None:
        place = event.task, event.ordinal, event.repeat
        return place if zlib.crc32(repr(place).encode()) % self.parts == self.part else None

    def hold(self, event: SampleAnswered | SampleScored) -> None:
        """Takes in what the audit says of a sample."""
        if (place := self._place(event)) is None:
            return
        if isinstance(event, SampleAnswered):
            self.answers.setdefault(place, _given(event))
        else:
            self.scores.setdefault(place, {}).setdefault((event.filter, event.metric), event.value)

    def meet(self, event: SampleAnswered | SampleScored) -> None:
        """Compares what the run says of a sample with what the audit does; what comes again was compared before."""
        if (place := self._place(event)) is None:
            return
        if isinstance(event, SampleAnswered):
            if held := self.answers.pop(place, None):
                self.matched.add(place)
                self._note(place, _answers_differ(_given(event), held))
        elif place in self.matched and (event.filter, event.metric) in self.scores.get(place, ()):
            value = self.scores[place].pop((event.filter, event.metric))
            if not alike(event.value, value):
                name = event.metric if event.filter == "none" else f"{event.metric} ({event.filter})"
                self._note(place, [("score", f"{name}: {_figure(event.value)} and {_figure(value)}")])

    def _note(self, place: Place, told: "list[tuple[str, str]]") -> None:
        for kind, words in told:
            self.wrong.setdefault(place, {}).setdefault(kind, []).append(words)

    def close(self, findings: Findings, *, both_scored: frozenset[str]) -> None:
        """Adds what was found. `both_scored`: tasks that both runs have whole scores of: there a score that one lacks is a difference."""
        for place, left in self.scores.items():
            if place in self.matched and place[0] in both_scored:
                self._note(place, [("score", f"{metric}: only in the audit") for _, metric in left])
        findings.samples += len(self.matched)
        findings.equal += len(self.matched) - len(self.wrong)
        findings.unmatched += len(self.answers)
        for by in self.wrong.values():
            findings.by.update(by.keys())
        told = [*findings.first, *(_told(place, by) for place, by in self.wrong.items())]
        findings.first = heapq.nsmallest(TOLD, told, key=lambda one: (one.task, one.ordinal, one.repeat))


def _told(place: Place, by: Mapping[str, list[str]]) -> SampleDiffers:
    task, ordinal, repeat = place
    what = tuple(words for kind in KINDS for words in by.get(kind, ()))
    return SampleDiffers(task=task, ordinal=ordinal, repeat=repeat, what=what)


def _answers_differ(run: Given, audit: Given) -> list[tuple[str, str]]:
    """In what two answers to one sample differ: by kind, in words. Those to other prompts are not looked at."""
    if run[0] != audit[0]:
        return [("prompt", "asked otherwise")]
    if [one[:2] for one in run[1]] != [one[:2] for one in audit[1]]:
        return [("error", f"{len(run[1])} answers and {len(audit[1])}")]
    return [told for own, other in zip(run[1], audit[1], strict=True) for told in _answer_differs(own, other)]


def _answer_differs(
    run: tuple[int, int, float | None, bytes | None, bool], audit: tuple[int, int, float | None, bytes | None, bool]
) -> Iterator[tuple[str, str]]:
    name = f"request {run[0]}" + (f", draw {run[1]}" if run[1] else "")
    if run[4] != audit[4]:
        yield "error", f"{name} failed in the {'run' if run[4] else 'audit'} alone"
    if run[3] != audit[3]:
        yield "text", f"the text of {name}"
    if not alike(run[2], audit[2]):
        yield "likelihood", f"the log-likelihood of {name}: {_figure(run[2])} and {_figure(audit[2])}"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def parts_of(result: RunSettled) -> int:
    """In how many parts the audit of that result is compared."""
    samples = sum(task.samples * task.repeats for task in result.plan.tasks) if result.plan else 0
    return max(1, math.ceil(samples / AT_ONCE))


# --- Metrics


def metrics(run: Mapping[str, RunScored], audit: Mapping[str, RunScored], result: RunSettled) -> Iterator[MetricDiffers]:
    """The main metric of each task that both have scored, over the documents of both. `result`: the audit's."""
    for planned in result.plan.tasks if result.plan else ():
        one, other = run.get(planned.task), audit.get(planned.task)
        if one and other and one.documents and other.documents:
            a, b = unpacked(one.documents), unpacked(other.documents)
            shared, mine, its = np.intersect1d(a.ordinals, b.ordinals, assume_unique=True, return_indices=True)
            first, second = a.values[mine], b.values[its]
            there = [place for place in range(len(shared)) if countable(first[place]) and countable(second[place])]
            if there:
                low, high = range_of(planned.main_metric)
                clusters = [a.clusters[place] for place in mine[there]] if a.clusters else None
                width = high - low if math.isfinite(high - low) else None
                found = difference(first[there].tolist(), second[there].tolist(), clusters, width=width)
                yield MetricDiffers(
                    task=planned.task, metric=planned.main_metric, filter=planned.main_filter, run=float(first[there].mean()),
                    audit=float(second[there].mean()), difference=found.value, low=found.low, high=found.high, n=found.n,
                )  # fmt: skip


# --- Where they ran


def environment(run: RunSettled, audit: RunSettled, seen: Mapping[str, EnvironmentSeen]) -> Iterator[EnvironmentDiffers]:
    """Each fact of engine, scorer and machine that is not the same for both. `seen`: environments by their hashes."""
    a, b = (_facts(result, seen) for result in (run, audit))
    for what in sorted(a.keys() | b.keys()):
        one, other = a.get(what, set()), b.get(what, set())
        if one != other:
            yield EnvironmentDiffers(what=what, run=_joined(one), audit=_joined(other))


def _joined(told: set[str]) -> str | None:
    return " / ".join(sorted(told)) or None


def _facts(result: RunSettled, seen: Mapping[str, EnvironmentSeen]) -> dict[str, set[str]]:
    facts: dict[str, set[str]] = {}
    told = [*_of_engine(result.engine), *(("scorer", f"{one.scorer_version}") for one in result.tasks)]
    for sha in result.environments:
        told += _of_machine(seen[sha]) if sha in seen else [("environment", sha)]
    for name, value in told:
        facts.setdefault(name, set()).add(value)
    return facts


def _of_engine(engine: EngineUsed | None) -> Iterator[tuple[str, str]]:
    if engine:
        yield from ((f"engine {name}", str(value)) for name, value in engine.model_dump().items() if value is not None)


def _of_machine(one: EnvironmentSeen) -> Iterator[tuple[str, str]]:
    yield from ((f"package {name}", version) for name, version in one.packages.items())
    yield from ((f"cpu flag {flag}", "there") for flag in one.cpu_flags)
    yield from (("device", device.name) for device in one.devices)
    for name in ("driver", "cpu", "cores", "memory_bytes", "os", "container_digest"):
        if (value := getattr(one, name)) is not None:
            yield name, str(value)


# --- In words


def sentences(found: Findings, metrics_: "list[MetricDiffers]", environment_: "list[EnvironmentDiffers]") -> Iterator[str]:
    """What differs; nothing where nothing does."""
    if wrong := found.samples - found.equal:
        kinds = ", ".join(f"{found.by[kind]:,} by {kind}" for kind in KINDS if found.by[kind])
        yield f"{wrong:,} of {found.samples:,} samples differ: {kinds}"
    if found.unmatched:
        yield f"{found.unmatched:,} samples that the audit answered have no answer in the run"
    for one in metrics_:
        if one.difference:
            interval = f" ({one.low:.4g} to {one.high:.4g})" if one.low is not None and one.high is not None else ""
            yield f"{one.metric} of {one.task}: {one.run:.4g} and {one.audit:.4g}, difference {one.difference:.4g}{interval}"
    if environment_:
        yield f"{len(environment_)} facts of where they ran differ: {', '.join(one.what for one in environment_[:8])}"
