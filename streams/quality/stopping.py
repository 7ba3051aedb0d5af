"""When a task is known well enough to stop: in which order its samples count, which figures must be known, and after how many they are.

Data sets are sorted, and quick answers come first: to look at whatever is there would be to look at a part that is not like the rest. So
the order is fixed by the build's id before anything is asked, the same for every model, and only that stretch of it counts in which nothing
is missing. Where a task ends thus follows from its scores alone, whatever came when and whoever looked.

The sequence of a figure (sequences.py) holds at whichever sample the task ends; so it needs no share of the error for the other
figures on which the end depends too: like every interval here, each holds with 95 % for itself.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.requests import EvaluationRequested, Stopping
from schemas.runs import ExpectedMetric, PlannedTask
from streams.errors import Invalid
from streams.quality.ranges import RATIOS
from streams.quality.scores import Key, TaskScores
from streams.statistics.intervals import Interval
from streams.statistics.sequences import sequence
from streams.statistics.spreads import Floats


@dataclass(frozen=True, slots=True)
class Known:
    """After so many samples of the order every figure is known to ±half_width or better."""

    samples: int
    half_width: float


def check(request: EvaluationRequested) -> None:
    """Raises: Invalid, saying what to change, where nothing can be known like that."""
    rule = request.stopping
    if rule is None:
        return
    if not request.tasks:
        raise Invalid("stopping is for tasks: name at least one, or leave stopping out", code="stopping")
    if not 0 < rule.half_width < 0.5:
        raise Invalid(f"stopping.half_width {rule.half_width:g}: give a number above 0 and below 0.5, such as 0.02", code="stopping")
    if not 0.5 <= rule.confidence < 1:
        raise Invalid(f"stopping.confidence {rule.confidence:g}: give a number from 0.5 to below 1, such as 0.95", code="stopping")


def rule_of(rule: Stopping | None, expected: Sequence[ExpectedMetric], *, main: Key) -> Stopping | None:
    """The rule, where the task can stop by it: where its main metric is a mean of values from 0 to 1."""
    return rule if main in _bounded(expected) else None


def told_of(rule: Stopping | None, tasks: Sequence[PlannedTask]) -> Iterator[str]:
    """What a run that may stop says of tasks and figures that it does not wait for. Raises: Invalid, where no task can stop."""
    if rule is None:
        return
    if not any(task.stopping for task in tasks):
        told = ", ".join(f"{task.main_metric} of {task.task}" for task in tasks)
        raise Invalid(f"no task can stop early: {told} is no mean of values from 0 to 1; leave stopping out", code="stopping")
    for task in tasks:
        if task.stopping is None:
            yield f"{task.task} is run whole: its main metric {task.main_metric} is no mean of values from 0 to 1"
        elif others := sorted({one.metric for one in task.expected} - {metric for _, metric in _bounded(task.expected)}):
            why = "it is no mean of values from 0 to 1"
            yield f"{task.task} may stop before {', '.join(others)} is known, and then gives it no interval: {why}"


def _bounded(expected: Sequence[ExpectedMetric]) -> list[Key]:
    return [(one.filter, one.metric) for one in expected if one.aggregation == "mean" and one.metric in RATIOS]


@functools.lru_cache(maxsize=64)
def order(build_id: str, samples: int) -> tuple[int, ...]:
    """The first `samples` ordinals of a build in the order in which they count: by the SHA-256 of build and ordinal."""
    return tuple(sorted(range(samples), key=lambda ordinal: hashlib.sha256(f"{build_id}/{ordinal}".encode()).digest()))


def stretch(scores: TaskScores, planned: PlannedTask) -> tuple[int, ...]:
    """The ordinals of the order up to the first of which something is missing."""
    ordinals = order(planned.build_id, planned.samples)
    whole = (all(scores.settled((ordinal, repeat)) for repeat in range(planned.repeats)) for ordinal in ordinals)
    return ordinals[: next((place for place, there in enumerate(whole) if not there), len(ordinals))]


def known(scores: TaskScores, planned: PlannedTask) -> Known | None:
    """Where the task ends; None where it is not known well enough yet. A figure that no sample has had so far holds up nothing."""
    rule, ordinals = planned.stopping, stretch(scores, planned)
    if rule is None or not ordinals:
        return None
    main = (planned.main_filter, planned.main_metric)
    widths = np.max([
        _widths(scores, key, ordinals, planned, unknown=np.inf if key == main else 0.0)
        for key in _bounded(planned.expected)
    ], 0)  # fmt: skip
    enough = widths <= 2 * rule.half_width
    place = int(enough.argmax())
    return Known(place + 1, float(widths[place]) / 2) if enough[place] else None


def _widths(scores: TaskScores, key: Key, ordinals: Sequence[int], planned: PlannedTask, *, unknown: float) -> Floats:
    """How wide a figure's interval is after each of the ordinals; `unknown` before the first that has a value."""
    assert planned.stopping is not None
    there, found = _bounds(scores, key, ordinals, planned, confidence=planned.stopping.confidence)
    widths: Floats = np.where(np.cumsum(there) > 0, found[1] - found[0], unknown) if found else np.full(len(ordinals), np.inf)
    return widths


def _bounds(
    scores: TaskScores, key: Key, ordinals: Sequence[int], planned: PlannedTask, *, confidence: float = 0.95
) -> tuple[NDArray[np.bool_], tuple[Floats, Floats] | None]:
    """Which of the ordinals have a value, and a figure's lows and highs after each of them; None where values are not from 0 to 1.

    It is about the task's own samples, of which there are so many. One that cannot be scored counts as 0 in the lows and as 1 in the highs:
    each end errs in half of the cases that the sequence may. Where samples have no value for another reason nobody knows how many will: it
    is without an end, and stays where it is at these.
    """
    assert planned.stopping is not None
    known, unscored = scores.values(key), {ordinal for ordinal, _ in scores.not_scored}
    values = np.array([known.get(ordinal, np.nan) for ordinal in ordinals])
    there = ~np.isnan(values)
    if bool(((values[there] < 0) | (values[there] > 1)).any()):
        return there, None
    of = functools.partial(sequence, half_width=planned.stopping.half_width, confidence=confidence)
    if all(ordinal in known or ordinal in unscored for ordinal in ordinals):
        lows, highs = of(np.where(there, values, 0.0), population=planned.samples)
        return there, (lows, highs if there.all() else of(np.where(there, values, 1.0), population=planned.samples)[1])
    lows, highs = of(values[there])
    place = np.cumsum(there)
    return there, (np.concatenate([[0.0], lows])[place], np.concatenate([[1.0], highs])[place])


def intervals(scores: TaskScores, planned: PlannedTask, ordinals: Sequence[int]) -> Mapping[Key, Interval]:
    """The 95 % intervals of a task that stopped after these ordinals, of the figures that have one: of what all samples would have given.

    A task that was run to its end has any other task's intervals, about documents of the kind, with what clusters and repeats cost: when it
    ended nobody chose.
    """
    found = dict[Key, Interval]()
    for key in _bounded(planned.expected):
        there, bounds = _bounds(scores, key, ordinals, planned)
        if bounds and there.any():
            found[key] = float(bounds[0][-1]), float(bounds[1][-1])
    return found
