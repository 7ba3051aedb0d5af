"""How a run and its audit compare, sample by sample, and what is said of it. Pure; infra/auditing.py reads both.

Samples are taken in parts, so that memory does not go with a run's size: of each part the audit's answers are held, and the run's pass
by them; then the same of scores. Of several events of one sample the first counts, and of scorers the one that the result names.
"""

import hashlib
import heapq
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from schemas.measurements import Answer, SampleAnswered
from schemas.results import SampleScored
from schemas.settled import RunSettled
from schemas.trust import EnvironmentDiffers, MetricDiffers, SampleDiffers

TOLERANCE: Final = 1e-4  # of log-likelihoods and scores: absolute, or of the greater of the two
AT_ONCE: Final = 50_000  # samples of the audit that are held
FACTS: Final = 8  # facts of where they ran that a sentence names
TEXT: Final = 16  # bytes of a text's hash that are held
TOLD: Final = 100  # differing samples that are named
KINDS: Final = ("prompt", "error", "text", "likelihood", "score")
Place = tuple[str, int, int]  # task, ordinal, repeat
Scored = dict[tuple[str, str], float | None]  # (filter, metric) → value


class Said(NamedTuple):
    """What of an answer is compared: of a text its hash."""

    request: int
    draw: int
    likelihood: float | None
    text: bytes | None
    failed: bool

    @property
    def name(self) -> str:
        """Which answer it is."""
        return f"request {self.request}" + (f", draw {self.draw}" if self.draw else "")


class Given(NamedTuple):
    """What of an answered sample is compared: the hash of its prompts, and its answers in their order."""

    prompts: str
    answers: tuple[Said, ...]


def alike(one: float | None, other: float | None) -> bool:
    """Whether two figures are the same within the tolerance; two that are not there are."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _given(event: SampleAnswered) -> Given:
    return Given(event.arguments_sha, tuple(sorted(map(_said, event.answers), key=lambda one: one[:2])))


def _said(one: Answer) -> Said:
    text = hashlib.sha256(one.output.bytes).digest()[:TEXT] if one.output else None
    return Said(one.request_index, one.draw, one.loglikelihood, text, one.error is not None)


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
        """Compares what the run says of a sample with what the audit does; what comes again was compared before.

        A metric that the run alone has is passed: it cannot be told from one that came again.
        """
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

    def _note(self, place: Place, told: Iterable[tuple[str, str]]) -> None:
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
    if run.prompts != audit.prompts:
        return [("prompt", "asked otherwise")]
    if [one[:2] for one in run.answers] != [one[:2] for one in audit.answers]:
        return [("error", f"{len(run.answers)} answers and {len(audit.answers)}")]
    return [told for own, other in zip(run.answers, audit.answers, strict=True) for told in _answer_differs(own, other)]


def _answer_differs(run: Said, audit: Said) -> Iterator[tuple[str, str]]:
    if run.failed != audit.failed:
        yield "error", f"{run.name} failed in the {'run' if run.failed else 'audit'} alone"
    if run.text != audit.text:
        yield "text", f"the text of {run.name}"
    if not alike(run.likelihood, audit.likelihood):
        yield "likelihood", f"the log-likelihood of {run.name}: {_figure(run.likelihood)} and {_figure(audit.likelihood)}"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def parts_of(result: RunSettled) -> int:
    """In how many parts the audit of that result is compared."""
    samples = sum(task.samples * task.repeats for task in result.plan.tasks) if result.plan else 0
    return max(1, math.ceil(samples / AT_ONCE))


def sentences(found: Findings, metrics: Iterable[MetricDiffers], environment: Sequence[EnvironmentDiffers]) -> Iterator[str]:
    """What differs; nothing where nothing does."""
    if wrong := found.samples - found.equal:
        kinds = ", ".join(f"{found.by[kind]:,} by {kind}" for kind in KINDS if found.by[kind])
        yield f"{wrong:,} of {found.samples:,} samples differ: {kinds}"
    if found.unmatched:
        yield f"{found.unmatched:,} samples that the audit answered have no answer in the run"
    for one in metrics:
        if one.difference:
            interval = f" ({one.low:.4g} to {one.high:.4g})" if one.low is not None and one.high is not None else ""
            yield f"{one.metric} of {one.task}: {one.run:.4g} and {one.audit:.4g}, difference {one.difference:.4g}{interval}"
    if environment:
        more = f" and {len(environment) - FACTS} more" if len(environment) > FACTS else ""
        yield f"where they ran differs in {', '.join(one.what for one in environment[:FACTS])}{more}"
