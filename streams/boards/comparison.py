"""Two runs on the samples that both have: which is better, by how much, and how surely.

Samples are the same where their build and ordinal are. Of each task the main metric is compared, where more samples make its mean more
sure. A run is called better where Holm's p over the tasks is 0.05 at most and the difference's interval leaves out 0.

Tasks are what is tested, and Holm's family is all tasks that are compared, each of a group's too. A group's difference and that over all
are joined from the tasks' by the weights of rankings (weighing.py), with the interval that follows from the tasks' as a ranking's
does; they are not tested: an interval is one of its own, and not corrected for how many there are.

Where both runs ask in several set-ups, the difference is one over all that might be asked: what it varies with them widens its interval.
"""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from streams.boards.weighing import Counted, greatest, weights
from streams.errors import Invalid
from streams.quality.ranges import countable, width_of
from streams.statistics.components import crossed
from streams.statistics.differences import (
    Difference,
    difference,
    equivalent,
    holm,
    mean_of_differences,
    over_setups,
)
from streams.statistics.intervals import Interval
from streams.statistics.joining import Part, alike, shared
from streams.statistics.power import detectable, needed
from streams.statistics.spreads import Floats

LEVEL = 0.05
Side = Literal["a", "b"]
Parts = Mapping[str, Part]  # of each task


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample's value in one run: the mean over its repeats. Samples of one cluster share a passage.

    `by_setup`: the mean of its repeats in each set-up, where the run varies how the task is asked.
    """

    doc_id: int
    value: float
    cluster: str | None = None
    by_setup: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """A task as one run has it: what it was built from, its main metric, and that metric's value of each sample by ordinal.

    `planned` is how many samples the run was to have, where that is not as many as it has; tasks of one `group` count as one. Tasks of the
    same `documents` ask about the same ones, in the same order, or, of each ordinal, at that of `places`. `by_size`: in its group it counts
    by its samples. `adaptive`: what its figure is estimated from, where only a part was asked.
    """

    build_id: str
    metric: str
    filter: str
    higher_is_better: bool
    aggregation: str
    samples: Mapping[int, Sample]
    group: str | None = None
    planned: int | None = None
    documents: str | None = None
    adaptive: str | None = None
    by_size: bool = True
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Differing:
    """A sample on which the runs differ."""

    ordinal: int
    doc_id: int
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class TaskCompared:
    """A task's means over the shared samples, and their difference a - b. `better` is None where no difference is shown.

    `weight` is its part of the difference over all tasks. `detectable` is the smallest true difference that these samples find with power
    0.8, among all tasks that are compared; `needed` how many samples find the difference that was asked for; `p_equivalent` is the p-value
    that the runs are apart by the margin that was asked for or more. All three are None where nothing tells.
    """

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
    group: str | None
    weight: float
    detectable: float | None = None
    needed: int | None = None
    p_equivalent: float | None = None
    by_size: bool = True


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked beside whether runs differ: how many samples find a true `difference`, and whether they are within a `margin`."""

    difference: float | None = None
    margin: float | None = None


NOTHING = Asking()


@dataclass(frozen=True, slots=True)
class GroupCompared:
    """A group's tasks joined: its means, and their difference a - b. `ahead` is None where the interval holds 0.

    `by_size`: its tasks count by their samples; else each alike.
    """

    group: str
    tasks: int
    metric: str
    filter: str
    higher_is_better: bool
    a: float
    b: float
    difference: float
    interval: Interval | None
    ahead: Side | None
    n: int
    differing: int
    by_size: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """All tasks that could be compared; those that could not, each with its reason; their groups; and all joined.

    `overall` is the mean over tasks, groups as one, in ratios, positive where a is better. A group of one task has no row, and none a
    group whose tasks have several metrics.
    """

    tasks: tuple[TaskCompared, ...]
    groups: tuple[GroupCompared, ...]
    skipped: Mapping[str, str]
    overall: float
    overall_interval: Interval | None

    @property
    def units(self) -> int:
        """How many count: tasks, and groups as one."""
        return len({one.group or one.task for one in self.tasks})


def compare(
    a: Mapping[str, Measured], b: Mapping[str, Measured], *, asking: Asking = NOTHING, sides: tuple[str, str] = ("run A", "run B")
) -> Comparison:
    """Both runs' tasks compared. `sides`: what reasons call the runs. Raises: Invalid where they share no sample."""
    reasons = {task: reason for task in sorted(a.keys() | b.keys()) if (reason := _why_not(a.get(task), b.get(task), sides))}
    both = [task for task in sorted(a.keys() & b.keys()) if task not in reasons]
    if not both:
        told = "; ".join(f"{task}: {reason}" for task, reason in reasons.items()) or "neither has a task"
        raise Invalid(
            f"the two runs share no sample, so they cannot be compared ({told}); run both on the same tasks, or compare their loads "
            "(`assay compare A B --speed`)",
            code="nothing-shared",
        )
    parts = weights([_counted(task, a[task], b[task]) for task in both])
    found = [replace(_compared(task, a[task], b[task]), weight=part) for task, part in zip(both, parts, strict=True)]
    adjusted = holm([one.difference.p for one in found])
    tasks = tuple(_judged(_asked(replace(one, p_holm=p), asking, tests=len(found))) for one, p in zip(found, adjusted, strict=True))
    together = {task: _part(a[task], b[task]) for task in both}
    return Comparison(tasks, tuple(_groups(tasks, together)), reasons, *_overall(tasks, together))


def _part(a: Measured, b: Measured) -> Part:
    """The task's differences, as they share documents and set-ups with other tasks'."""
    ordinals = _paired(a, b)
    pairs = [(a.samples[one], b.samples[one]) for one in ordinals]
    named = [one.cluster or other.cluster for one, other in pairs]
    clusters = [name or ordinal for name, ordinal in zip(named, ordinals, strict=True)] if any(named) else None
    # A run of more tasks may tell more of what a task shares: of the same build either is right.
    told = b if b.places and not a.places else a
    at = np.array([told.places[ordinal] for ordinal in ordinals] if told.places else ordinals, dtype=np.intp)
    return Part(np.array([one.value - other.value for one, other in pairs]), at, clusters, told.documents, _table(pairs))


def _counted(task: str, a: Measured, b: Measured) -> Counted:
    """The task as it counts: by the samples that both runs were to have."""
    samples = min(len(one.samples) if one.planned is None else one.planned for one in (a, b))
    return Counted(task, _group(a, b), samples, a.by_size and b.by_size)


def _group(a: Measured, b: Measured) -> str | None:
    """The group that either run names; None where they name two."""
    named = {one.group for one in (a, b) if one.group}
    return named.pop() if len(named) == 1 else None


def _why_not(a: Measured | None, b: Measured | None, sides: tuple[str, str]) -> str | None:
    """Why a task cannot be compared; None where it can."""
    if a is None or b is None:
        return f"only {sides[0] if a else sides[1]} has it"
    if a.build_id != b.build_id:
        return "built differently (other data, few-shot examples, seed, chat template or version)"
    if (a.metric, a.filter) != (b.metric, b.filter):
        return f"other main metrics, {a.metric} ({a.filter}) and {b.metric} ({b.filter})"
    if told := a.adaptive or b.adaptive:
        whose = sides[0] if a.adaptive else sides[1]
        return f"{told} ({whose}): the documents were chosen, and their difference says nothing of the whole task's"
    if a.aggregation != "mean":
        return f"{a.metric} is not a mean over samples" + (f" but {a.aggregation}" if a.aggregation != a.metric else "")
    if not a.samples or not b.samples:
        return f"{sides[1] if a.samples else sides[0]} has no scores yet"
    return None if _paired(a, b) else "no sample has a value in both runs"


def _paired(a: Measured, b: Measured) -> list[int]:
    """Ordinals of the samples that have a value in both which statistics can take in."""
    both = sorted(a.samples.keys() & b.samples.keys())
    return [one for one in both if countable(a.samples[one].value) and countable(b.samples[one].value)]


def _compared(task: str, a: Measured, b: Measured) -> TaskCompared:
    ordinals = _paired(a, b)
    pairs = [(a.samples[one], b.samples[one]) for one in ordinals]
    first, second = [one.value for one, _ in pairs], [other.value for _, other in pairs]
    clusters: list[Hashable] = [one.cluster or other.cluster or number for number, (one, other) in enumerate(pairs)]
    differing = [
        Differing(number, one.doc_id, one.value, other.value)
        for number, (one, other) in zip(ordinals, pairs, strict=True) if one.value != other.value
    ]  # fmt: skip
    found = difference(first, second, clusters, width=width_of(a.metric))
    table = _table(pairs)
    if table is not None and (varied := crossed(table)):
        found = over_setups(found, varied)
    return TaskCompared(
        task, a.metric, a.filter, a.higher_is_better, math.fsum(first) / len(first), math.fsum(second) / len(second),
        found, 1.0, None, tuple(sorted(differing, key=_most_first)),
        len(a.samples) - len(ordinals), len(b.samples) - len(ordinals), _group(a, b), 0.0, by_size=a.by_size and b.by_size,
    )  # fmt: skip


def _table(pairs: Sequence[tuple[Sample, Sample]]) -> Floats | None:
    """The differences in each set-up, [samples, set-ups]; None where runs do not vary, or a sample was not asked in all set-ups."""
    lengths = {len(side.by_setup) for pair in pairs for side in pair}
    if len(lengths) != 1 or lengths == {0}:
        return None
    first, second = (np.array([side.by_setup for side in sides], dtype=np.float64) for sides in zip(*pairs, strict=True))
    return first - second


def _asked(one: TaskCompared, asking: Asking, *, tests: int) -> TaskCompared:
    own = one.difference
    return replace(
        one, detectable=detectable(own, tests=tests),
        needed=needed(own, difference=asking.difference, tests=tests) if asking.difference else None,
        p_equivalent=equivalent(own, margin=asking.margin) if asking.margin else None,
    )  # fmt: skip


def _most_first(one: Differing) -> tuple[float, int]:
    return -abs(one.a - one.b), one.ordinal


def _judged(one: TaskCompared) -> TaskCompared:
    own = one.difference
    apart = own.low is not None and own.high is not None and not own.low <= 0 <= own.high
    if one.p_holm > LEVEL or not apart:
        return one
    return replace(one, better="a" if (own.value > 0) == one.higher_is_better else "b")


def _overall(tasks: Sequence[TaskCompared], together: Parts) -> tuple[float, Interval | None]:
    """The weighted mean of the differences as ratios, positive where a is better."""
    scales = [(1 if one.higher_is_better else -1) / greatest(one.metric) for one in tasks]
    return _joined(tasks, [one.weight for one in tasks], scales, together)


def _joined(
    tasks: Sequence[TaskCompared], parts: Sequence[float], scales: Sequence[float], together: Parts
) -> tuple[float, Interval | None]:
    """The weighted mean of the tasks' differences, each times its scale; None for an interval where a task has none.

    What no sample showed, tasks over the same documents may have on the same ones: what is added for it counts as one.
    """
    values, intervals = list[float](), list[Interval]()
    for one, scale in zip(tasks, scales, strict=True):
        own = one.difference
        values.append(scale * own.value)
        if own.low is not None and own.high is not None:
            intervals.append((min(scale * own.low, scale * own.high), max(scale * own.low, scale * own.high)))
    whole = math.fsum(part * value for part, value in zip(parts, values, strict=True))
    if len(intervals) < len(values):
        return whole, None
    sharing, factors = [together[one.task] for one in tasks], [part * scale for part, scale in zip(parts, scales, strict=True)]
    rare = [abs(factor) * one.difference.rare for factor, one in zip(factors, tasks, strict=True)]
    covariance = shared(sharing, factors) + alike(rare, [part.documents or one.task for part, one in zip(sharing, tasks, strict=True)])
    return whole, mean_of_differences(values, intervals, parts, covariance=covariance)


def _groups(tasks: Sequence[TaskCompared], together: Parts) -> Iterator[GroupCompared]:
    for name in sorted({one.group for one in tasks if one.group}):
        own = [one for one in tasks if one.group == name]
        if len(own) > 1 and len({(one.metric, one.filter, one.higher_is_better) for one in own}) == 1:
            yield _grouped(name, own, together)


def _grouped(name: str, own: Sequence[TaskCompared], together: Parts) -> GroupCompared:
    whole, first = math.fsum(one.weight for one in own), own[0]
    parts = [one.weight / whole for one in own]
    value, interval = _joined(own, parts, [1.0] * len(own), together)
    a, b = (
        math.fsum(part * mean for part, mean in zip(parts, means, strict=True))
        for means in ([one.a for one in own], [one.b for one in own])
    )
    apart = interval is not None and not interval[0] <= 0 <= interval[1]
    ahead: Side | None = ("a" if (value > 0) == first.higher_is_better else "b") if apart else None
    return GroupCompared(
        name, len(own), first.metric, first.filter, first.higher_is_better, a, b, value, interval, ahead,
        sum(one.difference.n for one in own), sum(len(one.differing) for one in own), all(one.by_size for one in own),
    )  # fmt: skip


def in_words(one: TaskCompared, asking: Asking = NOTHING) -> str:
    """The finding about a task as a sentence, and an answer to whatever was asked beside."""
    return "; ".join([_found(one), *_answers(one, asking)])


def _answers(one: TaskCompared, asking: Asking) -> Iterator[str]:
    """What samples like these can tell, where nothing is shown or it was asked; and whether the runs are within the margin."""
    if one.detectable is not None and (one.better is None or asking.difference):
        yield f"these samples find differences from {one.detectable:.3f} on"
    if asking.difference:
        many = f"{one.needed:,}" if one.needed else "nothing tells how many"
        yield f"{many} would find one of {asking.difference:g}"
    if asking.margin and one.p_equivalent is None:
        yield f"nothing tells whether they are within {asking.margin:g} of one another"
    elif asking.margin and one.p_equivalent is not None:
        shown = "as good as one another" if one.p_equivalent <= LEVEL else "not shown to be as good as one another"
        yield f"{shown} within {asking.margin:g}: p = {one.p_equivalent:.2g} in two one-sided tests"


def _found(one: TaskCompared) -> str:
    own = one.difference
    interval = f" ({own.low:.3f} to {own.high:.3f})" if own.low is not None and own.high is not None else ""
    if not one.differing:
        return f"the same on all {own.n} shared samples"
    p = f"p = {one.p_holm:.2g} after Holm"
    if one.better is None:
        return f"no difference is shown: A - B is {own.value:.3f}{interval}, {p}"
    turned = own.value < 0  # words give how far the better is ahead, whichever way the metric counts
    low, high = (-(own.high or 0), -(own.low or 0)) if turned else (own.low, own.high)
    lower = "" if one.higher_is_better else f" (lower {one.metric} is better)"
    return f"{one.better.upper()} is better by {abs(own.value):.3f} ({low:.3f} to {high:.3f}){lower}, {p}"


def by_their_samples(by_size: bool) -> str:
    """How a group's tasks count, in words."""
    return " by their samples" if by_size else ", each alike"


def of_group(one: GroupCompared) -> str:
    """The finding about a group as a sentence."""
    over = f"over its {one.tasks} tasks{by_their_samples(one.by_size)}"
    if not one.differing:
        return f"the same on all {one.n:,} shared samples {over}"
    if one.ahead is None or one.interval is None:
        interval = f" ({one.interval[0]:.3f} to {one.interval[1]:.3f})" if one.interval else ""
        return f"no difference is shown {over}: A - B is {one.difference:.3f}{interval}"
    low, high = sorted(map(abs, one.interval))
    lower = "" if one.higher_is_better else f", lower {one.metric} is better"
    return f"{one.ahead.upper()} is ahead by {abs(one.difference):.3f} ({low:.3f} to {high:.3f}) {over}{lower} (not tested)"
