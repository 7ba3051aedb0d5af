"""People's labels of answers: on which scale each judgement is, what a person may write, which answers to ask about, and what is new.

A label is about one answer: of a task, a sample (`ordinal`), a repeat, a request and a draw. It is on the scale of a metric of a derived
task, so that a judge's values can be held to it.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.labels import AnswerLabelled
from streams.errors import Invalid
from streams.numbers import real
from streams.quality.judging import COMPARING, PAIRWISE, derived_name
from streams.revisions import next_revision
from streams.statistics.intervals import RATIO, Interval

POINTS: Final[Interval] = (1.0, 10.0)
RUBRIC: Final = ("rating", "coherence", "creativity", "style", "prompt_following")
# What a person can say, by derived task: its metrics with their scales, the usual one first. Bits per byte nobody can say.
SCALES: Final[Mapping[str, Mapping[str, Interval]]] = {
    "assay_judge_writing": dict.fromkeys(RUBRIC, POINTS),
    PAIRWISE: {"preference": RATIO},
    "assay_judge_refusals": {"acc": RATIO},
    "assay_judge_toxicity": {"toxicity": RATIO, "toxic": RATIO},
}
VERDICTS: Final[Mapping[str, float]] = {"first": 1.0, "tie": 0.5, "second": 0.0}
LONGEST_NOTE: Final = 10_000
LARGEST: Final = 2**31


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One answer of a run."""

    task: str
    ordinal: int
    repeat: int = 0
    request: int = 0
    draw: int = 0

    def __str__(self) -> str:
        return f"task {self.task}, sample {self.ordinal}, repeat {self.repeat}, request {self.request}, draw {self.draw}"


@dataclass(frozen=True, slots=True)
class Scale:
    """A metric of a derived task that people can label, and the least and greatest value."""

    judgement: str
    metric: str
    within: Interval

    @property
    def compares(self) -> bool:
        """Two answers are compared: a label is first, second or tie."""
        return self.judgement in COMPARING

    def told(self) -> str:
        """What a person may write."""
        low, high = self.within
        return "first, second or tie" if self.compares else f"a number of {low:g} to {high:g}"


def scale_of(judgement: str, metric: str = "") -> Scale:
    """The scale of a derived task's metric, the usual one where none is named. Raises: Invalid."""
    name = derived_name(judgement)
    if name not in SCALES:
        raise Invalid(
            f"judgement {judgement!r} is none that people can label; those that are: {', '.join(SCALES)}", code="no-such-judgement"
        )
    metrics = SCALES[name]
    chosen = metric or next(iter(metrics))
    if chosen not in metrics:
        raise Invalid(
            f"judgement {name} has no metric {metric!r} that people can label; it has: {', '.join(metrics)}", code="no-such-metric"
        )
    return Scale(name, chosen, metrics[chosen])


def value_of(label: str, scale: Scale, *, swapped: bool) -> float:
    """What a person's word is on the scale; of compared answers what the run's own is worth. Raises: Invalid."""
    word = label.strip().lower()
    if scale.compares:
        if word not in VERDICTS:
            raise Invalid(f"label {label!r}: write {scale.told()}", code="label")
        return 1 - VERDICTS[word] if swapped else VERDICTS[word]
    try:
        value = real(word)
    except ValueError:
        value = math.nan
    low, high = scale.within
    if not low <= value <= high:
        raise Invalid(f"label {label!r}: write {scale.told()}", code="label")
    return value


def word_of(value: float, scale: Scale, *, swapped: bool) -> str:
    """What a person wrote, of the value that it is."""
    worth = 1 - value if swapped else value
    return next(word for word, own in VERDICTS.items() if own == worth) if scale.compares else f"{value:g}"


def _rank(seed: int, run_id: str, place: Place) -> bytes:
    told = "\x1f".join(map(str, (seed, run_id, place.task, place.ordinal, place.repeat, place.request, place.draw)))
    return hashlib.sha256(told.encode()).digest()


def drawn(places: Iterable[Place], *, run_id: str, seed: int, count: int) -> list[tuple[Place, bool]]:
    """A random sample of answers by that seed, each with whether the two of a comparison change places, which is random too.

    More of one seed are the same and more.
    """
    ranked = sorted((_rank(seed, run_id, place), place) for place in places)
    return [(place, rank[-1] % 2 == 1) for rank, place in ranked[:count]]


def new_of(asked: Iterable[AnswerLabelled], known: Iterable[AnswerLabelled]) -> list[AnswerLabelled]:
    """The labels that say something new; one that corrects its person's has another revision. The same again is nothing.

    `known` is in the order of the log.
    """
    said: dict[str, dict[int, AnswerLabelled]] = {}
    for one in known:
        said.setdefault(_revised(one, 0).event_id, {}).setdefault(one.revision, one)
    told = []
    for one in asked:
        before = said.setdefault(one.event_id, {})
        newest = next(reversed(before.values()), None)
        if newest is None or (newest.value, newest.swapped, newest.note) != (one.value, one.swapped, one.note):
            revision = next_revision(before)
            before[revision] = _revised(one, revision)
            told.append(before[revision])
    return told


def _revised(label: AnswerLabelled, revision: int) -> AnswerLabelled:
    return AnswerLabelled.model_validate(dict(label) | {"event_id": "", "revision": revision})
