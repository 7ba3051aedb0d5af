"""Two runs on the samples that both have: which is better, by how much, and how surely.

Samples are the same where their build and ordinal are. Of each task the main metric is compared, where more samples make its mean more
sure. A run is called better where Holm's p over the tasks is 0.05 at most and the difference's interval leaves out 0.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from streams.differences import Difference, difference, holm
from streams.errors import Invalid
from streams.statistics import Interval, mean_of_independent

LEVEL = 0.05
Side = Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample's value in one run: the mean over its repeats. Samples of one cluster share a passage."""

    doc_id: int
    value: float
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A task as one run has it: what it was built from, its main metric, and that metric's value of each sample by ordinal."""

    build_id: str
    metric: str
    filter: str
    higher_is_better: bool
    aggregation: str
    samples: Mapping[int, Sample]


@dataclass(frozen=True, slots=True)
class Differing:
    """A sample on which the runs differ."""

    ordinal: int
    doc_id: int
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class TaskCompared:
    """A task's means over the shared samples, and their difference a - b. `better` is None where no difference is shown."""

    task: str
    metric: str
    filter: str
    higher_is_better: bool
    a: float
    b: float
    difference: Difference
    p_holm: float
    better: Side | None
    differing: tuple[Differing, ...]
    only_a: int
    only_b: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """All tasks that could be compared; those that could not, each with its reason; and the mean over tasks, positive where a is better."""

    tasks: tuple[TaskCompared, ...]
    skipped: Mapping[str, str]
    overall: float
    overall_interval: Interval | None


def compare(a: Mapping[str, Measured], b: Mapping[str, Measured]) -> Comparison:
    """Both runs' tasks compared. Raises: Invalid where they share no sample."""
    reasons = {task: reason for task in sorted(a.keys() | b.keys()) if (reason := _why_not(a.get(task), b.get(task)))}
    shared = [task for task in sorted(a.keys() & b.keys()) if task not in reasons]
    if not shared:
        told = "; ".join(f"{task}: {reason}" for task, reason in reasons.items()) or "neither has a task"
        raise Invalid(
            f"the two runs share no sample, so they cannot be compared ({told}); run both on the same tasks", code="nothing-shared"
        )
    found = [_compared(task, a[task], b[task]) for task in shared]
    adjusted = holm([one.difference.p for one in found])
    tasks = tuple(_judged(replace(one, p_holm=p)) for one, p in zip(found, adjusted, strict=True))
    return Comparison(tasks, reasons, *_overall(tasks))


def _why_not(a: Measured | None, b: Measured | None) -> str | None:
    """Why a task cannot be compared; None where it can."""
    if a is None or b is None:
        return f"only run {'A' if a else 'B'} has it"
    if a.build_id != b.build_id:
        return "built differently (other data, few-shot examples, seed, chat template or version)"
    if (a.metric, a.filter) != (b.metric, b.filter):
        return f"other main metrics, {a.metric} ({a.filter}) and {b.metric} ({b.filter})"
    if a.aggregation != "mean":
        return f"{a.metric} is not a mean over samples but {a.aggregation}"
    if not a.samples or not b.samples:
        return f"run {'B' if a.samples else 'A'} has no scores yet"
    return None if _paired(a, b) else "no sample has a value in both runs"


def _paired(a: Measured, b: Measured) -> list[int]:
    """Ordinals of the samples that have a finite value in both."""
    both = sorted(a.samples.keys() & b.samples.keys())
    return [one for one in both if math.isfinite(a.samples[one].value) and math.isfinite(b.samples[one].value)]


def _compared(task: str, a: Measured, b: Measured) -> TaskCompared:
    ordinals = _paired(a, b)
    pairs = [(a.samples[one], b.samples[one]) for one in ordinals]
    first, second = [one.value for one, _ in pairs], [other.value for _, other in pairs]
    clusters: list[Hashable] = [one.cluster or other.cluster or number for number, (one, other) in enumerate(pairs)]
    differing = [
        Differing(number, one.doc_id, one.value, other.value)
        for number, (one, other) in zip(ordinals, pairs, strict=True) if one.value != other.value
    ]  # fmt: skip
    return TaskCompared(
        task, a.metric, a.filter, a.higher_is_better, math.fsum(first) / len(first), math.fsum(second) / len(second),
        difference(first, second, clusters), 1.0, None, tuple(sorted(differing, key=_most_first)),
        len(a.samples) - len(ordinals), len(b.samples) - len(ordinals),
    )  # fmt: skip


def _most_first(one: Differing) -> tuple[float, int]:
    return -abs(one.a - one.b), one.ordinal


def _judged(one: TaskCompared) -> TaskCompared:
    own = one.difference
    apart = own.low is not None and own.high is not None and not own.low <= 0 <= own.high
    if one.p_holm > LEVEL or not apart:
        return one
    return replace(one, better="a" if (own.value > 0) == one.higher_is_better else "b")


def _overall(tasks: Sequence[TaskCompared]) -> tuple[float, Interval | None]:
    values, intervals = list[float](), list[Interval]()
    for one in tasks:
        own, sign = one.difference, 1 if one.higher_is_better else -1
        values.append(sign * own.value)
        if own.low is not None and own.high is not None:
            intervals.append((own.low, own.high) if sign > 0 else (-own.high, -own.low))
    return math.fsum(values) / len(values), mean_of_independent(values, intervals) if len(intervals) == len(values) else None


def in_words(one: TaskCompared) -> str:
    """The finding about a task as a sentence."""
    own = one.difference
    if not one.differing:
        return f"the same on all {own.n} shared samples"
    interval = f" ({own.low:.3f} to {own.high:.3f})" if own.low is not None and own.high is not None else ""
    p = f"p = {one.p_holm:.2g} after Holm"
    if one.better is None:
        more = f"; about {own.deciding:,} samples would decide a difference of this size" if own.deciding else ""
        return f"no difference is shown: A - B is {own.value:.3f}{interval}, {p}{more}"
    turned = own.value < 0  # words give how far the better is ahead, whichever way the metric counts
    low, high = (-(own.high or 0), -(own.low or 0)) if turned else (own.low, own.high)
    lower = "" if one.higher_is_better else f" (lower {one.metric} is better)"
    return f"{one.better.upper()} is better by {abs(own.value):.3f} ({low:.3f} to {high:.3f}){lower}, {p}"
