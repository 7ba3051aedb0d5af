"""How a run and its audit compare, sample by sample, and what is said of it. Pure; infra/auditing.py reads both.

Of the audit's samples what is compared is held, packed; the run's pass by them, then the same of scores. Runs of more than half a million
samples are compared in parts. Of several events of one sample the first counts, and of scorers the one that the result names.
"""

import heapq
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.measurements import SampleAnswered
from schemas.results import SampleNotScored, SampleScored
from schemas.runs import Plan
from schemas.trust import EnvironmentDiffers, MetricDiffers, SampleDiffers
from streams.trust.answers import Difference, alike, differs, fails_in_both, figure, held

AT_ONCE: Final = 500_000  # samples of the audit that are held
FACTS: Final = 8  # facts of where they ran that a sentence names
TOLD: Final = 100  # differing samples that are named
KINDS: Final = ("prompt", "error", "text", "likelihood", "greedy", "score")
UNSCORED: Final = "not scored"
BITS: Final = 32  # of a number, where several make one
MET: Final = b""  # in the place of an answer, or of a score, that the run's was compared with
Sampled = SampleAnswered | SampleScored | SampleNotScored
Place = tuple[str, int, int]  # task, ordinal, repeat


@dataclass(slots=True)
class Findings:
    """What came of the parts so far. `samples`: those that were compared, without the `failed`, which failed in both.

    `first`: the differing samples that come first, by their places.
    """

    samples: int = 0
    equal: int = 0
    failed: int = 0
    unmatched: int = 0
    by: Counter[str] = field(default_factory=Counter)
    first: list[SampleDiffers] = field(default_factory=list)

    @property
    def equal_ratio(self) -> float | None:
        """The share of equal samples; None where nothing was compared."""
        return self.equal / self.samples if self.samples else None


@dataclass(slots=True)
class Names:
    """Numbers of names that come again and again, in the order in which they came."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """That of a name."""
        return self.numbers.setdefault(name, len(self.numbers))


@dataclass(slots=True)
class Part:
    """Samples that are compared together. `part` of `parts`: which these are follows from their places alone.

    `whole`: tasks that both runs have whole scores of: there a score that one of them lacks is a difference.
    """

    part: int
    parts: int
    whole: frozenset[str]
    answers: dict[int, bytes] = field(default_factory=dict)
    scores: dict[int, float | bytes | None] = field(default_factory=dict)
    matched: int = 0
    failed: set[int] = field(default_factory=set)
    wrong: dict[int, int] = field(default_factory=dict)
    words: dict[Place, dict[str, list[str]]] = field(default_factory=dict)
    _tasks: Names = field(default_factory=Names)
    _metrics: Names = field(default_factory=Names)

    def _id(self, event: Sampled) -> int | None:
        """A number of the sample; None where another part has it."""
        if zlib.crc32(f"{event.task}/{event.ordinal}/{event.repeat}".encode()) % self.parts != self.part:
            return None
        return (self._tasks.number(event.task) << BITS | event.ordinal) << BITS | event.repeat

    def hold(self, event: Sampled) -> None:
        """Takes in what the audit says of a sample."""
        if (sample := self._id(event)) is None:
            return
        if isinstance(event, SampleAnswered):
            self.answers.setdefault(sample, held(event))
        else:
            self.scores.setdefault(sample << BITS | self._metrics.number(_metric(event)), _value(event))

    def meet(self, event: Sampled) -> None:
        """Compares what the run says of a sample with what the audit does; what comes again was compared before."""
        if (sample := self._id(event)) is None:
            return
        if not isinstance(event, SampleAnswered):
            self._meet_score(sample, event)
        elif audit := self.answers.get(sample):
            self.answers[sample], own = MET, held(event)
            self.matched += 1
            self._note(sample, _place(event), differs(own, audit))
            if fails_in_both(own, audit):
                self.failed.add(sample)

    def _meet_score(self, sample: int, event: SampleScored | SampleNotScored) -> None:
        name, own = _metric(event), _value(event)
        place = sample << BITS | self._metrics.number(name)
        if self.answers.get(sample) != MET:
            return
        if place in self.scores:
            audit = self.scores[place]
            if isinstance(audit, bytes):
                return
            told = [] if alike(own, audit) else [("score", f"{name}: {figure(own)} and {figure(audit)}")]
        else:
            told = [("score", f"{name}: only in the run")] if event.task in self.whole else []
        self.scores[place] = MET
        self._note(sample, _place(event), told)

    def _note(self, sample: int, place: Place, told: Iterable[Difference]) -> None:
        for kind, words in told:
            self.wrong[sample] = self.wrong.get(sample, 0) | 1 << KINDS.index(kind)
            self.words.setdefault(place, {}).setdefault(kind, []).append(words)
        if len(self.words) > 2 * TOLD:  # those that are never named are only counted
            self.words = {one: self.words[one] for one in heapq.nsmallest(TOLD, self.words)}

    def close(self, findings: Findings) -> None:
        """Adds what was found."""
        self._note_left()
        failed = len(self.failed - self.wrong.keys())
        findings.samples += self.matched - failed
        findings.failed += failed
        findings.equal += self.matched - failed - len(self.wrong)
        findings.unmatched += len(self.answers) - self.matched
        findings.by.update(kind for kinds in self.wrong.values() for place, kind in enumerate(KINDS) if kinds >> place & 1)
        told = [*findings.first, *(_told(place, by) for place, by in self.words.items())]
        findings.first = heapq.nsmallest(TOLD, told, key=lambda one: (one.task, one.ordinal, one.repeat))

    def _note_left(self) -> None:
        """The audit's scores that the run has not."""
        tasks, metrics = list(self._tasks.numbers), list(self._metrics.numbers)
        for place, value in self.scores.items():
            sample, low = place >> BITS, (1 << BITS) - 1
            task = tasks[sample >> 2 * BITS]
            if value != MET and task in self.whole and self.answers.get(sample) == MET:
                name = metrics[place & low]
                self._note(sample, (task, sample >> BITS & low, sample & low), [("score", f"{name}: only in the audit")])


def _metric(event: SampleScored | SampleNotScored) -> str:
    if isinstance(event, SampleNotScored):
        return UNSCORED
    return event.metric if event.filter == "none" else f"{event.metric} ({event.filter})"


def _value(event: SampleScored | SampleNotScored) -> float | None:
    return event.value if isinstance(event, SampleScored) else None


def _place(event: Sampled) -> Place:
    return event.task, event.ordinal, event.repeat


def _told(place: Place, by: Mapping[str, list[str]]) -> SampleDiffers:
    task, ordinal, repeat = place
    what = tuple(words for kind in KINDS for words in by.get(kind, ()))
    return SampleDiffers(task=task, ordinal=ordinal, repeat=repeat, what=what)


def asked(plan: Plan) -> int:
    """How many samples a plan asks, repeats included."""
    return sum(task.samples * task.repeats for task in plan.tasks)


def parts_of(samples: int) -> int:
    """In how many parts an audit of so many samples is compared."""
    return max(1, math.ceil(samples / AT_ONCE))


def sentences(
    found: Findings, metrics: Iterable[MetricDiffers], environment: Sequence[EnvironmentDiffers], *, asked: int, unscored: Iterable[str]
) -> Iterator[str]:
    """What differs, and what was not compared; nothing where nothing is to be said. `unscored`: tasks without whole scores of both."""
    if wrong := found.samples - found.equal:
        kinds = ", ".join(f"{found.by[kind]:,} by {kind}" for kind in KINDS if found.by[kind])
        yield f"{wrong:,} of {found.samples:,} samples differ: {kinds}"
    yield from _not_compared(found, asked, unscored)
    for one in metrics:
        if one.difference:
            interval = f" ({one.low:.4g} to {one.high:.4g})" if one.low is not None and one.high is not None else ""
            yield f"{one.metric} of {one.task}: {one.run:.4g} and {one.audit:.4g}, difference {one.difference:.4g}{interval}"
    if environment:
        more = f" and {len(environment) - FACTS} more" if len(environment) > FACTS else ""
        yield f"where they ran differs in {', '.join(one.what for one in environment[:FACTS])}{more}"


def _not_compared(found: Findings, asked: int, unscored: Iterable[str]) -> Iterator[str]:
    if found.unmatched:
        yield f"{found.unmatched:,} samples that the audit answered have no answer in the run"
    if (missing := asked - found.samples - found.failed - found.unmatched) > 0:
        yield f"{missing:,} of {asked:,} samples that were asked again have no answer in the audit"
    if found.failed:
        yield f"{found.failed:,} samples failed in both, which proves nothing: they are not counted"
    for task in unscored:
        yield f"not all scores of {task} were compared: the run and the audit have not both scored it whole"
