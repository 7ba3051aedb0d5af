"""How runs stand on one task: by the samples that all of them have, each with its interval, and what joins it to other tasks."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from schemas.results import Figure
from schemas.runs import PlannedTask
from streams.boards.apart import common
from streams.boards.reckoned import Reckoned
from streams.boards.results import Result
from streams.quality.matching import places_of
from streams.quality.ranges import range_of
from streams.statistics.components import Crossed
from streams.statistics.intervals import ANY, Interval, Ratio, mean_of, ratio, ratio_of
from streams.statistics.joining import Places, stretch
from streams.statistics.spreads import Clusters, Floats, numbered

Told = tuple[float, Interval | None, Ratio | None, str | None]  # score, interval, what joins it to other tasks', method


@dataclass(frozen=True, slots=True)
class Shared:
    """Values of the samples that all runs have, shape [runs, samples], and the cluster of each, where any is shared.

    `ordinals` says which they are, among all that tasks over the same documents ask; `name` is one of these samples and clusters.
    """

    values: Floats
    clusters: Clusters | None
    ordinals: Places
    name: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """How runs stand on a task: scores, shape [runs], their intervals, what joins them to other tasks', and the shared samples.

    `within`: the range that values can have. `over_setups`: the standard error from set-ups, 0 where there is one. `methods` made the
    intervals.
    """

    scores: Floats
    intervals: list[Interval | None]
    ratios: list[Ratio | None]
    shared: Shared
    within: Interval
    over_setups: list[float]
    methods: list[str | None]

    @property
    def width(self) -> float | None:
        """Of the range, infinite where it has no end; None where nothing is known of it, or a value lies outside of it."""
        low, high = self.within
        values = self.shared.values
        return high - low if self.within != ANY and bool(((values >= low) & (values <= high)).all()) else None


def standing(runs: Sequence[Result], planned: PlannedTask, known: Reckoned, *, most: float = 1.0) -> Standing:
    """How runs stand on a task: by the samples that all have (one at least: apart.py); who stopped early, asked a part, or varied set-ups,
    by the own figure.

    Places are of what all have.
    """
    task = planned.task
    whole = [] if planned.setups else [run for run in runs if not (run.stopped(task) or run.part(task))]
    every = _shared(runs, planned, most)
    shared = every if len(whole) == len(runs) else _shared(whole, planned, most) if whole else None
    told = zip(whole, shared.values, strict=True) if shared else ()
    low, high = range_of(planned.main_metric)
    within = low / most, high / most
    found = {
        run.run_id: known.of((run.run_id, run.digest, task, most, shared.name), partial(_of_values, row, shared, within))
        for run, row in told if shared
    }  # fmt: skip
    found |= {run.run_id: of_figure(run.figure(task), most) for run in runs if run.run_id not in found}
    scores, intervals, ratios, methods = zip(*(found[run.run_id] for run in runs), strict=True)
    errors = [over_setups(run.figure(task), most) for run in runs]
    return Standing(np.asarray(scores, dtype=np.float64), list(intervals), list(ratios), every, within, errors, list(methods))


def _of_values(row: Floats, shared: Shared, within: Interval) -> Told:
    found = mean_of(row.tolist(), shared.clusters, within=within)
    low, high = within
    is_ratio = bool(((row >= 0) & (row <= 1)).all()) and (within == ANY or (low >= 0 and high <= 1))
    joined = ratio(row, shared.clusters) if is_ratio else found.interval and ratio_of(float(row.mean()), found.interval)
    return float(row.mean()), found.interval, joined, found.method


def of_figure(figure: Figure | None, most: float) -> Told:
    """A figure's value (NaN for none) over the greatest that there is, its interval, what joins it to others', and what made it."""
    if figure is None or figure.value is None:
        return math.nan, None, None, None
    interval = (figure.low / most, figure.high / most) if figure.low is not None and figure.high is not None else None
    return figure.value / most, interval, interval and ratio_of(figure.value / most, interval), figure.method


def over_setups(figure: Figure | None, most: float) -> float:
    """√(t²/z²·added) of a figure over S set-ups (components.Crossed), over the greatest value that there is."""
    if figure is None or figure.setups < 2 or figure.between_setups is None:
        return 0.0
    known = figure.between or 0.0, figure.within or 0.0, figure.between_setups
    return math.sqrt(stretch(figure.setups) * Crossed(*known, documents=figure.n, setups=figure.setups).added) / most


def _shared(runs: Sequence[Result], planned: PlannedTask, most: float) -> Shared:
    """The main metric's values, over the greatest that there is, of the samples that all runs have."""
    columns, ordinals = [run.documents[planned.task] for run in runs], common(runs, planned.task)
    values = np.stack([column.values[np.searchsorted(column.ordinals, ordinals)] for column in columns])
    named = next((column for column in columns if column.clusters is not None), None)
    if named is None or named.clusters is None:
        return _named(values / most, places_of(planned, ordinals))
    clusters = numbered([named.clusters[place] for place in np.searchsorted(named.ordinals, ordinals).tolist()])
    return _named(values / most, places_of(planned, ordinals), clusters)


def _named(values: Floats, at: Places, clusters: Places | None = None) -> Shared:
    told = at.tobytes() + (clusters.tobytes() if clusters is not None else b"")
    return Shared(values, clusters, at, hashlib.sha256(told).digest())
