"""Who cannot be ranked with the others of a board: it lacks a figure there, or every sample that they share.

What ranks runs is the samples that all of them have. Where there is none, whoever lacks the sample that most of them have stands apart: so
one run whose answers could not be scored costs its own place, and nobody else's.
"""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from streams.boards.results import Result

Ordinals = NDArray[np.int32]


def apart(runs: Sequence[Result], tasks: Sequence[str]) -> dict[str, str]:
    """Run → what it lacks, in words, of those of these runs that cannot be ranked with the others by these tasks."""
    lacking = {run.run_id: f"a figure of {task}" for task in reversed(tasks) for run in runs if not _has_figure(run, task)}
    for task in tasks:
        left = [run for run in runs if run.run_id not in lacking]
        lacking |= {run_id: f"a sample of {task} that the others have" for run_id in _alone(left, task)}
    return lacking


def _has_figure(run: Result, task: str) -> bool:
    """The run has something to be ranked by: values of samples, and where its own figure counts, that."""
    planned, figure = run.planned(task), run.figure(task)
    own = bool(planned and planned.setups) or run.stopped(task) or run.part(task) is not None
    return len(run.documents[task].ordinals) > 0 and (
        not own or (figure is not None and figure.value is not None and math.isfinite(figure.value))
    )


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
