"""The scores of one task of a run: a fold over its samples, and the figures that follow.

Of several events about one (sample, filter, metric) the first counts. A sample is settled when it has as many scores as it says,
or is said to be not scorable; the task is complete when every expected sample is settled, never because time has passed.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from schemas.results import Figure, SampleNotScored, SampleScored
from streams.errors import Permanent
from streams.quality.ranges import CONSISTENT, EXPONENTIAL, clipped, countable, range_of
from streams.statistics.components import Crossed, components, crossed, table_of
from streams.statistics.intervals import ANY, RATIO, Z95, Interval, Mean, Ratio, joint_interval, mean, mean_of, of_error, t95, wilson

LARGEST_LOGARITHM: Final = 700.0  # of what a float can hold
HAIR: Final = 1e-12  # by which sums of the same numbers may differ

Sample = tuple[int, int]  # ordinal, repeat
Key = tuple[str, str]  # filter, metric
Opened = Callable[[Key, Sample, str], str]  # the parts of a sample as they were before they were sealed
Aggregate = Callable[[Key, list[str]], tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One score. `value`: None where it is none, or statistics cannot take it in; the parts tell it all the same."""

    value: float | None
    parts_json: str | None
    cluster: str | None = None


@dataclass(slots=True)
class Tally:
    """Sums of a metric's values, as they come: what a provisional mean is told from, however many there are.

    `least` and `greatest` value. `repeats`: how often a document was asked at most; `documents` are counted by their first answers.
    `shares`: some belong to clusters.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    binary: bool = True
    repeats: int = 1
    documents: int = 0
    shares: bool = False
    least: float = math.inf
    greatest: float = -math.inf

    def add(self, value: float | None, *, repeat: int = 0, cluster: str | None = None) -> None:
        """Counts a value; a sample without one counts nothing."""
        if value is None:
            return
        self.n, self.total, self.squares = self.n + 1, self.total + value, self.squares + value * value
        self.binary = self.binary and value in (0.0, 1.0)
        self.repeats, self.documents = max(self.repeats, repeat + 1), self.documents + (repeat == 0)
        self.shares = self.shares or cluster is not None
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)

    @property
    def mean(self) -> float | None:
        """The mean so far."""
        return self.total / self.n if self.n else None

    def interval(self, within: Interval) -> tuple[str, Interval | None]:
        """The method's name and its 95 % interval, of values of that range, as intervals.mean_of has it, but for what sums do not tell.

        Of values without a range that is their skewness; and none where values depend on each other.
        """
        if self.n < 2 or self.mean is None or self.repeats > 1 or self.shares:
            return "none", None
        if self.binary and within in (ANY, RATIO):
            return "Wilson", wilson(self.mean, self.n)
        spread, (low, high) = max(0.0, self.squares / self.n - self.mean**2), within
        if math.isfinite(wide := high - low) and low <= self.least and self.greatest <= high:
            bottom, top = joint_interval([Ratio((self.mean - low) / wide, spread / self.n / wide**2, self.n)], [1.0])
            return "Wilson, known range", (low + bottom * wide, low + top * wide)
        half = t95(self.n - 1) * math.sqrt(spread / (self.n - 1))
        told = math.isfinite(half) and half > HAIR * max(1.0, abs(self.mean))
        return ("Student", (self.mean - half, self.mean + half)) if told else ("none", None)


@dataclass(slots=True)
class TaskScores:
    """What is known of a task's scores under one scorer version. `tallies` are sums over all of its cells."""

    cells: dict[Key, dict[Sample, Cell]] = field(default_factory=dict)
    not_scored: dict[Sample, str] = field(default_factory=dict)
    missing: dict[Sample, int] = field(default_factory=dict)
    latest_us: int = 0
    scored: int = 0  # samples with all of their scores
    tallies: dict[Key, Tally] = field(default_factory=dict)

    def add(self, event: SampleScored | SampleNotScored) -> None:
        """Folds an event in."""
        sample = (event.ordinal, event.repeat)
        if isinstance(event, SampleNotScored):
            if sample not in self.missing:
                self.not_scored.setdefault(sample, event.reason)
            self.latest_us = max(self.latest_us, event.occurred_us)
        elif sample not in self.cells.setdefault((event.filter, event.metric), {}):
            value = event.value if countable(event.value) else None
            self.cells[event.filter, event.metric][sample] = Cell(value, event.parts_json, event.cluster)
            self.tallies.setdefault((event.filter, event.metric), Tally()).add(value, repeat=event.repeat, cluster=event.cluster)
            self.missing[sample] = left = self.missing.get(sample, event.metrics) - 1
            self.scored += left == 0
            self.not_scored.pop(sample, None)
            self.latest_us = max(self.latest_us, event.occurred_us)  # of a sample that is answered once more the first time stays

    def settled(self, sample: Sample) -> bool:
        """The sample has all of its scores, or is said to be not scorable."""
        return self.missing.get(sample, 1) <= 0 or sample in self.not_scored

    def taken(self) -> "TaskScores":
        """What is known now; what comes later changes nothing of it."""
        cells = {key: dict(cells) for key, cells in self.cells.items()}
        tallies = {key: replace(tally) for key, tally in self.tallies.items()}
        return TaskScores(cells, dict(self.not_scored), dict(self.missing), self.latest_us, self.scored, tallies)

    def of(self, ordinals: Collection[int]) -> "TaskScores":
        """What is known of these samples alone."""
        missing = {sample: left for sample, left in self.missing.items() if sample[0] in ordinals}
        return TaskScores(
            {key: {sample: cell for sample, cell in cells.items() if sample[0] in ordinals} for key, cells in self.cells.items()},
            {sample: reason for sample, reason in self.not_scored.items() if sample[0] in ordinals},
            missing, self.latest_us, sum(1 for left in missing.values() if left <= 0),
        )  # fmt: skip

    @property
    def settled_samples(self) -> int:
        """Samples that have all of their scores, or are said to be not scorable."""
        return self.scored + len(self.not_scored)

    def complete(self, expected: int) -> bool:
        """Every expected sample is settled."""
        return self.settled_samples >= expected

    def digest(self) -> str:
        """A name of exactly these inputs."""
        hashed = hashlib.sha256()
        for key in sorted(self.cells):
            for sample, cell in sorted(self.cells[key].items()):
                hashed.update(repr((key, sample, cell.value, cell.parts_json, *filter(None, [cell.cluster]))).encode())
        hashed.update(repr(sorted(self.not_scored.items())).encode())
        return hashed.hexdigest()

    def values(self, key: Key) -> dict[int, float]:
        """Ordinal → value, the mean over repeats; samples without a value are left out."""
        return {ordinal: value for ordinal, values in self.repeated(key).items() if (value := mean(values)) is not None}

    def repeated(self, key: Key) -> dict[int, list[float]]:
        """Ordinal → the value of each repeat; those without a value are left out."""
        by_ordinal: dict[int, list[float]] = {}
        for (ordinal, _), cell in sorted(self.cells.get(key, {}).items()):
            if cell.value is not None:
                by_ordinal.setdefault(ordinal, []).append(cell.value)
        return by_ordinal

    def crossed(self, key: Key, setups: Sequence[int]) -> Crossed | None:
        """Where the values' variance comes from. `setups`: the number of the set-up in which each repeat was asked."""
        found: dict[int, list[list[float]]] = {}
        for (ordinal, repeat), cell in sorted(self.cells.get(key, {}).items()):
            if cell.value is not None:
                found.setdefault(ordinal, [[] for _ in set(setups)])[setups[repeat]].append(cell.value)
        return crossed(table_of(list(found.values())))

    def clusters(self, key: Key) -> dict[int, Hashable]:
        """Ordinal → what it shares with others of its cluster; a sample that belongs to none is its own."""
        return {ordinal: cell.cluster or ordinal for (ordinal, _), cell in self.cells.get(key, {}).items()}

    def provisional(self, *, means: Collection[Key]) -> tuple[Figure, ...]:
        """A figure for each filter and metric from what is here by now: of `means` the mean; else none."""
        return tuple(self._provisional(key, tally if key in means else Tally()) for key, tally in sorted(self.tallies.items()))

    def _provisional(self, key: Key, tally: Tally) -> Figure:
        value, (method, interval) = tally.mean, tally.interval(range_of(key[1]))
        low, high = clipped(interval, key[1], about=value) if interval and value is not None else (None, None)
        return Figure(
            metric=key[1], filter=key[0], value=value, low=low, high=high, method=method if interval else None,
            n=tally.documents or tally.n, repeats=tally.repeats,
            not_scored=len(self.not_scored), why_undefined=None if tally.n else "known only when all samples are",
        )  # fmt: skip

    def parts(self, *, means: Collection[Key] = (), opened: Opened | None = None) -> dict[Key, list[str]]:
        """The parts, in the order of samples, of each filter and metric that a task's own function aggregates: of all but plain means.

        `opened`: what opens those that are sealed.
        """

        def read(key: Key, sample: Sample, told: str) -> str:
            return opened(key, sample, told) if opened else told

        return {
            key: [read(key, sample, cell.parts_json) for sample, cell in sorted(cells.items()) if cell.parts_json is not None]
            for key, cells in self.cells.items() if not (key in means and _are_numbers(cells.values()))
        }  # fmt: skip

    def groups(self, key: Key) -> list[int] | None:
        """The group of each of the parts: of one are those of a document, or of the documents of a cluster. None where each is its own."""
        cells = [(sample, cell) for sample, cell in sorted(self.cells[key].items()) if cell.parts_json is not None]
        numbers = dict[Hashable, int]()
        found = [numbers.setdefault(cell.cluster or ordinal, len(numbers)) for (ordinal, _), cell in cells]
        return found if len(numbers) < len(found) else None

    def figures(
        self,
        aggregate: Aggregate,
        *,
        means: Collection[Key] = (),
        sequential: Mapping[Key, Interval] | None = None,
        setups: Sequence[int] = (),
    ) -> tuple[Figure, ...]:
        """A figure for each filter and metric. `means` are those whose value is the mean of their samples'.

        Of any other `aggregate` gives value and standard error of its parts in the order of samples; where it raises Permanent, the figure
        has no value, and says why. `sequential`: the intervals of a task that may stop early; what has none there has none. `setups`: the
        number of the set-up in which each repeat was asked, where there are several: what they leave open is in the means' intervals, and
        other figures have none.
        """
        parts = self.parts(means=means)
        return tuple(self._figure(key, aggregate, parts.get(key), sequential, setups) for key in sorted(self.cells))

    def _figure(
        self, key: Key, aggregate: Aggregate, parts: list[str] | None, sequential: Mapping[Key, Interval] | None, setups: Sequence[int]
    ) -> Figure:
        told, why, varied = _Told(), "the metric has no value here", self.crossed(key, setups) if setups else None
        if found := self._mean(key, self.values(key), varied):
            told = _Told(found.value) if setups and not varied else _Told.of(found)
        if parts is not None:
            try:
                value, error = aggregate(key, parts)
                told = told.aggregated(key[1], value, None if setups else error)
            except Permanent as refused:
                told, why = _Told(), str(refused)
        if told.value is not None and not math.isfinite(told.value):
            told, why = _Told(), f"it is infinite ({told.value})"
        if sequential is not None:
            told = told.stopped(sequential.get(key))
        low, high = told.interval or (None, None)
        return Figure(
            metric=key[1], filter=key[0], value=told.value, stderr=told.stderr, low=low, high=high,
            n=len({ordinal for (ordinal, _), cell in self.cells[key].items() if cell.parts_json is not None}),
            repeats=1 + max((repeat for _, repeat in self.cells[key]), default=0), method=told.method if told.interval else None,
            not_scored=len(self.not_scored), why_undefined=None if told.value is not None else why,
            sequential=sequential is not None and told.interval is not None, **self._parted(key, varied, setups),
        )  # fmt: skip

    def _parted(self, key: Key, varied: Crossed | None, setups: Sequence[int]) -> dict[str, Any]:
        """The parts of a figure's variance, as it has them."""
        if setups:
            known = {"between": varied.between, "within": varied.within, "between_setups": varied.apart} if varied else {}
            return {"setups": len(set(setups)), **known}
        found = components(list(self.repeated(key).values()))
        return {"between": found.between, "within": found.within} if found else {}

    def _mean(self, key: Key, values: Mapping[int, float], varied: Crossed | None) -> Mean | None:
        """The mean over documents, each the mean over its repeats, with what its clusters and set-ups leave of its certainty."""
        if not values:
            return None
        clusters = self.clusters(key)
        return mean_of(list(values.values()), [clusters[ordinal] for ordinal in values], within=range_of(key[1]), varied=varied)


@dataclass(frozen=True, slots=True)
class _Told:
    """A figure's value with what is known of its certainty."""

    value: float | None = None
    stderr: float | None = None
    interval: Interval | None = None
    method: str = "none"

    @classmethod
    def of(cls, found: Mean | None) -> Self:
        return cls(found.value, found.stderr, found.interval, found.method) if found else cls()

    def stopped(self, interval: Interval | None) -> "_Told":
        """Of a task that stopped early: its sequence's interval, and half its width over z; s/√n knows no end of the data."""
        error = (interval[1] - interval[0]) / 2 / Z95 if interval else None
        return replace(self, stderr=error, interval=interval, method="confidence sequence")

    def aggregated(self, metric: str, value: float | None, error: float | None) -> "_Told":
        """By a task's own function: of what is the documents' mean all the same, the mean's certainty stays."""
        if self.value is not None and value is not None and abs(self.value - value) <= HAIR * max(1.0, abs(value)):
            return replace(self, value=value)
        if not error or error <= HAIR * max(1.0, abs(value or 0.0)):  # draws that all agree do not tell how far the value may be off
            return _Told(value)
        method, interval = interval_by_error(metric, value, error)
        return _Told(value, error, interval, method)


def _are_numbers(cells: Iterable[Cell]) -> bool:
    return all(cell.value is not None for cell in cells if cell.parts_json is not None)


def interval_by_error(metric: str, value: float | None, stderr: float | None) -> tuple[str, Interval | None]:
    """The interval of a standard error: of an exponential the normal one on the scale of its logarithm; of a metric with a range Wilson's,

    on as many samples as have that error. A calibration error's is the normal one all the same: where the bins are consistent with no
    error, it reaches 0 (infra/harness/metrics/certainty.py).
    """
    if value is None or stderr is None or not math.isfinite(stderr):
        return "none", None
    if metric in EXPONENTIAL and value > 0:
        reach = Z95 * stderr / value
        if reach + abs(math.log(value)) > LARGEST_LOGARITHM:
            return "none", None
        return "normal of the logarithm", clipped((value / math.exp(reach), value * math.exp(reach)), metric, about=value)
    low, high = range_of(metric)
    if math.isfinite(high - low) and low <= value <= high and metric not in CONSISTENT:
        bottom, top = of_error((value - low) / (high - low), stderr / (high - low))
        return "Wilson, by the standard error", (low + bottom * (high - low), low + top * (high - low))
    return "normal", clipped((value - Z95 * stderr, value + Z95 * stderr), metric, about=value)


def settled_by(every: Iterable[TaskScores]) -> set[Sample]:
    """The samples of a task that any of several scorers has settled."""
    return {sample for scores in every for sample in (*scores.missing, *scores.not_scored) if scores.settled(sample)}
