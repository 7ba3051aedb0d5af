"""Who cannot be ranked with the others of a board: it lacks a figure there, or most of the samples that they share.

What ranks runs is the samples that all of them have. Whoever lacks more than half of those that most runs have stands apart, and where all
that are left share none, whoever lacks the sample that most of them have: so one run whose answers could not be scored costs its own
place, and nobody else's. Who stopped early is ranked by its own figure, and lacks nothing.
"""

import math
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from streams.boards.results import Result

Ordinals = NDArray[np.int32]


def apart(runs: Sequence[Result], tasks: Sequence[str]) -> dict[str, str]:
    """Run → what it lacks, in words, of those of these runs that cannot be ranked with the others by these tasks."""
    lacking = {run.run_id: f"a figure of {task}" for task in reversed(tasks) for run in runs if not _has_figure(run, task)}
    for task in tasks:
        lacking |= dict.fromkeys(_lacks_most(_left(runs, lacking), task), f"most of the samples of {task} that the others have")
        lacking |= dict.fromkeys(_alone(_left(runs, lacking), task), f"a sample of {task} that the others have")
    return lacking


def _left(runs: Sequence[Result], lacking: Mapping[str, str]) -> list[Result]:
    return [run for run in runs if run.run_id not in lacking]


def _has_figure(run: Result, task: str) -> bool:
    """The run has something to be ranked by: values of samples, and where its own figure counts, that."""
    planned, figure = run.planned(task), run.figure(task)
    own = bool(planned and planned.setups) or run.stopped(task) or run.part(task) is not None
    return len(run.documents[task].ordinals) > 0 and (
        not own or (figure is not None and figure.value is not None and math.isfinite(figure.value))
    )


def _lacks_most(runs: Sequence[Result], task: str) -> list[str]:
    """The runs that lack more than half of the samples which more than half of the runs have."""
    own = [run.documents[task].ordinals for run in runs]
    if all(np.array_equal(own[0], one) for one in own):
        return []
    ordinals, holders = np.unique(np.concatenate(own), return_counts=True)
    usual = ordinals[2 * holders > len(runs)]
    return [
        run.run_id for run, one in zip(runs, own, strict=True)
        if not run.stopped(task) and 2 * len(np.intersect1d(one, usual, assume_unique=True)) < len(usual)
    ]  # fmt: skip


def _alone(runs: Sequence[Result], task: str) -> list[str]:
    """The runs that lack the sample which most have, where all of them share none."""
    if not runs or len(common(runs, task)):
        return []
    ordinals, holders = np.unique(np.concatenate([run.documents[task].ordinals for run in runs]), return_counts=True)
    most = ordinals[holders.argmax()]
    return [run.run_id for run in runs if most not in run.documents[task].ordinals]


def common(runs: Sequence[Result], task: str) -> Ordinals:
    """The samples of a task that all of these runs have, ascending."""
    return reduce(_both, [run.documents[task].ordinals for run in runs])


def _both(left: Ordinals, right: Ordinals) -> Ordinals:
    return left if np.array_equal(left, right) else np.intersect1d(left, right, assume_unique=True)
