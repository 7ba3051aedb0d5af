"""Models that were scored, as predictions of scores learn from them, and what a run scored.

A score is quality as decisions have it (streams/deciding/scoring.py): of a group that of all its tasks, and everybody's on the same
documents.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from schemas.requirements import Requirement
from streams.boards.results import Result
from streams.boards.weighing import greatest
from streams.deciding.evidence import Evidence, Weights, known_tasks, weights_of
from streams.deciding.scoring import Scored, scores_of
from streams.errors import Invalid
from streams.predicting.evidence import Size
from streams.predicting.families import family_of, parameters_of
from streams.predicting.scores import Known
from streams.quality.ranges import range_of


def known_of(evidence: Evidence, sizes: Mapping[str, Size]) -> list[Known]:
    """Every model whose size is known, in each precision and dress that it was scored in, with its scores."""
    scores: dict[tuple[Weights, str], dict[str, float]] = defaultdict(dict)
    runs: dict[tuple[Weights, str], dict[str, str]] = defaultdict(dict)
    variants, parameters = {label: variant for variant, label in evidence.labels.items()}, _parameters(evidence, sizes)
    for task, (told, by) in _scored(evidence):
        for label, row in zip(told.models, told.values, strict=True):
            scores[variants[label]][task] = float(np.nanmean(row))
            runs[variants[label]][task] = by[label]
    return [
        Known(one[0].uri, one[0].model_sha, family_of(one[0].uri), parameters[one[0]], own, runs[one])
        for one, own in sorted(scores.items(), key=repr) if one[0] in parameters
    ]  # fmt: skip


def tasks_of(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """What can be predicted, groups with their tasks: metrics from 0 to 1 (or 100)."""
    metrics = {planned.task: planned.main_metric for run in evidence.results.values() for planned in run.plan.tasks}
    known = known_tasks(evidence.results.values())
    return {name: tasks for name, tasks in sorted(known.items()) if all(_is_ratio(metrics[task]) for task in tasks)}


def groups_of(evidence: Evidence) -> dict[str, str]:
    """The group of each task that is in one."""
    return {planned.task: planned.group for run in evidence.results.values() for planned in run.plan.tasks if planned.group}


def runs_of(evidence: Evidence, name: str, sha: str | None) -> Iterator[Result]:
    """The runs of a model, by its files' hash where that is told, else by its name, whole or without its folder; the oldest first."""
    for run in sorted(evidence.results.values(), key=lambda one: (one.latest_us, one.run_id)):
        weights = weights_of(run)
        if weights.model_sha == sha if sha else name in (weights.uri, weights.uri.rstrip("/").rpartition("/")[2]):
            yield run


def score_of(run: Result, tasks: Sequence[str]) -> float | None:
    """The run's score of these tasks, each by its documents, as a ratio; None where it lacks one, or asked a part of it."""
    found = [told for task in tasks if (told := _weighed(run, task))]
    return sum(score * count for score, count in found) / sum(count for _, count in found) if found and len(found) == len(tasks) else None


def _weighed(run: Result, task: str) -> tuple[float, int] | None:
    """The task's main figure as a ratio, and how many documents it is of."""
    planned, settled, figure = run.planned(task), run.tasks.get(task), run.figure(task)
    if planned is None or settled is None or run.part(task) is not None or figure is None or figure.value is None:
        return None
    return figure.value / greatest(planned.main_metric), settled.documents


def _is_ratio(metric: str) -> bool:
    return range_of(metric) == (0, greatest(metric))


def _scored(evidence: Evidence) -> Iterator[tuple[str, Scored]]:
    """The scores of every task, but of one that is no mean of which more is better."""
    for task in tasks_of(evidence):
        try:
            yield task, scores_of(Requirement(tasks={task: 1.0}), evidence)[task]
        except Invalid:
            continue


def _parameters(evidence: Evidence, sizes: Mapping[str, Size]) -> dict[Weights, float]:
    """How many each of the weights has: as a run's engine said when it loaded them, else as their name says."""
    found: dict[Weights, float] = {}
    for run in evidence.results.values():
        weights, size = weights_of(run), sizes.get(run.run_id)
        if told := (size.parameters if size and size.parameters else None) or (parameters_of(weights.uri) or 0):
            found.setdefault(weights, float(told))
    return found
