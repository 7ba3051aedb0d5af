"""What the same weights lose and gain when they are run otherwise: each run held to a reference, task by task.

Differences are the other's value less the reference's, on the documents that both have (comparison.py). Holm's family is all runs times
their shared tasks, for p and for that of the two one-sided tests at the margin alike: the chance that any of them is called worse, or as
good, without being so is 5 % at most. The margin is in ratios: of a metric of 0 to 100 it is a hundred times as much.

Over all tasks a run is as good where the whole 95 % interval of the joined difference lies within the margin, which is a test at 2.5 % and
stricter than two one-sided ones; it is not corrected for how many runs are held. Speed, memory, energy and cost: gains.py.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from schemas.jobs import EnvironmentSeen
from streams.boards.comparison import LEVEL, Comparison, Measured, TaskCompared, compare
from streams.boards.gains import Gains, Load, gains
from streams.boards.results import Result
from streams.boards.running import Fact, differing, machine_of, unlike_weights
from streams.boards.weighing import greatest
from streams.errors import Invalid
from streams.statistics.differences import Difference, equivalent, holm
from streams.statistics.intervals import Interval
from streams.statistics.power import equals_found, needed

MARGIN: Final = 0.01
MOST_OTHERS: Final = 20
Verdict = Literal["as-good", "better", "worse", "unknown"]


@dataclass(frozen=True, slots=True)
class Side:
    """A completed run: what it came to, its tasks' values, the loads that say how fast it is (the newest first), and what to warn of."""

    run: Result
    tasks: Mapping[str, Measured]
    loads: Sequence[Load] = ()
    warnings: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id


@dataclass(frozen=True, slots=True)
class TaskHeld:
    """A task's means over the shared documents, and their difference other - reference, with what it means at the margin.

    `margin` is in the metric's unit; `p` and `p_equivalent` are after Holm's correction over all runs and tasks, `p_equivalent` None where
    nothing tells. `needed`, of what is not known: how many documents would tell equal runs to be as good, and runs that are the margin
    apart to differ, each with power 0.8; None where no number does. `changed`: documents that the two score differently, of `n`.
    """

    task: str
    metric: str
    filter: str
    higher_is_better: bool
    reference: float
    other: float
    difference: Difference
    margin: float
    p: float
    p_equivalent: float | None
    verdict: Verdict
    needed: int | None
    changed: int
    group: str | None


@dataclass(frozen=True, slots=True)
class Overall:
    """The mean over tasks of other - reference, groups as one, in ratios, positive where the other is better. It is not tested."""

    value: float
    interval: Interval | None
    verdict: Verdict
    units: int


@dataclass(frozen=True, slots=True)
class Row:
    """A run held to the reference. `skipped`: tasks that could not be compared, each with its reason."""

    run_id: str
    differs: tuple[Fact, ...]
    tasks: tuple[TaskHeld, ...]
    skipped: Mapping[str, str]
    overall: Overall
    gains: Gains
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Of its task, where it has one; else of all joined."""
        return self.tasks[0].verdict if len(self.tasks) == 1 else self.overall.verdict


@dataclass(frozen=True, slots=True)
class Parity:
    """All runs held to one, at a margin in ratios; `tests`: over how many p is corrected."""

    margin: float
    tests: int
    rows: tuple[Row, ...]


def check(reference: str, others: Sequence[str]) -> None:
    """Raises: Invalid, saying what to change, where the runs that are named are none to hold to one another."""
    if len(others) > MOST_OTHERS:
        raise Invalid(
            f"{len(others)} runs are more than the {MOST_OTHERS} that are held to one at a time: name fewer", code="too-many-runs"
        )
    if not others:
        raise Invalid(f"run {reference} alone has nothing to be held to: name one run or more beside it", code="one-run")
    if twice := next((run_id for run_id, count in Counter([reference, *others]).items() if count > 1), None):
        raise Invalid(f"run {twice} is named twice: a run is as good as itself; name each run once", code="run-twice")


def parity(reference: Side, others: Sequence[Side], *, seen: Mapping[str, EnvironmentSeen], margin: float = MARGIN) -> Parity:
    """Every other run held to the reference. `seen`: environments by their hashes.

    Raises: Invalid where the runs are none to hold to one another, and for one that shares no task's data with the reference.
    """
    check(reference.run_id, [other.run_id for other in others])
    found = [_compared(reference, other) for other in others]
    own = [(one, margin * greatest(one.metric)) for comparison in found for one in comparison.tasks]
    p = holm([one.difference.p for one, _ in own])
    equal = _corrected([equivalent(one.difference, margin=within) for one, within in own])
    tests = len(own)
    held = iter([_held(*told, first, second, tests=tests) for told, first, second in zip(own, p, equal, strict=True)])
    rows = [
        _row(reference, other, comparison, tuple(next(held) for _ in comparison.tasks), seen=seen, margin=margin)
        for other, comparison in zip(others, found, strict=True)
    ]
    return Parity(margin, tests, tuple(rows))


def _compared(reference: Side, other: Side) -> Comparison:
    try:
        return compare(other.tasks, reference.tasks, sides=(f"run {other.run_id}", "the reference"))
    except Invalid as error:
        raise Invalid(f"run {other.run_id} cannot be held to run {reference.run_id}: {error}", code=error.code) from error


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """After Holm's correction; where nothing tells it is one of the tests, and tells nothing."""
    adjusted = holm([1.0 if p is None else p for p in p_values])
    return [None if own is None else told for own, told in zip(p_values, adjusted, strict=True)]


def _held(one: TaskCompared, margin: float, p: float, p_equivalent: float | None, *, tests: int) -> TaskHeld:
    verdict = _verdict(one, p, p_equivalent)
    return TaskHeld(
        one.task, one.metric, one.filter, one.higher_is_better, one.b, one.a, one.difference, margin, p, p_equivalent, verdict,
        _needed(one.difference, margin, tests) if verdict == "unknown" else None, len(one.differing), one.group,
    )  # fmt: skip


def _verdict(one: TaskCompared, p: float, p_equivalent: float | None) -> Verdict:
    """As good within the margin, also where a small difference is shown; else which is better, where that is."""
    if p_equivalent is not None and p_equivalent <= LEVEL:
        return "as-good"
    if p > LEVEL:
        return "unknown"
    own = one.difference
    return _side(own.value if one.higher_is_better else -own.value, (own.low, own.high))


def _side(value: float, ends: tuple[float | None, float | None]) -> Verdict:
    """By the sign of a difference whose interval leaves out 0."""
    low, high = ends
    if low is None or high is None or low <= 0 <= high:
        return "unknown"
    return "better" if value > 0 else "worse"


def _needed(found: Difference, margin: float, tests: int) -> int | None:
    """How many documents tell equal runs, and such as are the margin apart; None where no number tells both."""
    counts = (equals_found(found, margin=margin, tests=tests), needed(found, difference=margin, tests=tests))
    told = [count for count in counts if count is not None]
    return max(told) if len(told) == len(counts) else None


def _row(
    reference: Side, other: Side, found: Comparison, tasks: tuple[TaskHeld, ...], *, seen: Mapping[str, EnvironmentSeen], margin: float
) -> Row:
    unlike = unlike_weights(reference.run.plan, other.run.plan)
    machines = machine_of(reference.run, seen), machine_of(other.run, seen)
    return Row(
        other.run_id, differing(reference.run, other.run, seen), tasks, found.skipped, _overall(found, margin),
        gains(reference.loads, other.loads, machines=machines), (*other.warnings, *([unlike] if unlike else [])),
    )  # fmt: skip


def _overall(found: Comparison, margin: float) -> Overall:
    ends = found.overall_interval
    within = ends is not None and -margin < ends[0] <= ends[1] < margin
    return Overall(found.overall, ends, "as-good" if within else _side(found.overall, ends or (None, None)), found.units)


def in_words(one: TaskHeld) -> str:
    """The finding about a task as a sentence."""
    own, margin = one.difference, f"{one.margin:g}"
    interval = f" ({own.low:.3f} to {own.high:.3f})" if own.low is not None and own.high is not None else ""
    apart = f"{own.value:+.3f}{interval}"
    lower = "" if one.higher_is_better else f", lower {one.metric} is better"
    match one.verdict:
        case "as-good":
            return f"as good within {margin}: {apart}{lower}, p = {one.p_equivalent:.2g} in two one-sided tests after Holm"
        case "worse" | "better":
            return f"{one.verdict}: {apart}{lower}, p = {one.p:.2g} after Holm"
    return f"not known at {margin}: {apart}{lower}; {_would_tell(one)}"


def _would_tell(one: TaskHeld) -> str:
    if one.needed is None:
        return "no number of documents like these would tell"
    if one.needed <= one.difference.n:
        return f"{one.needed:,} documents tell equal runs and such as are the margin apart: what is true may lie between"
    return f"{one.needed:,} documents would tell, of which these are {one.difference.n:,}"


def of_row(row: Row, *, margin: float) -> str:
    """The finding about a run as a sentence: of its task, or of all joined with the tasks on which it is worse all the same."""
    if len(row.tasks) == 1:
        return in_words(row.tasks[0])
    worse = ", ".join(one.task for one in row.tasks if one.verdict == "worse")
    return _over_all(row.overall, margin=margin) + (f"; worse on {worse}" if worse else "")


def _over_all(one: Overall, *, margin: float) -> str:
    interval = f" ({one.interval[0]:.3f} to {one.interval[1]:.3f})" if one.interval else ""
    told = {
        "as-good": f"as good within {margin:g}", "worse": "worse", "better": "better", "unknown": f"not known at {margin:g}",
    }[one.verdict]  # fmt: skip
    return f"{told}: {one.value:+.3f}{interval} over {one.units} {'task' if one.units == 1 else 'tasks, groups as one'}"
