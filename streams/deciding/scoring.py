"""The scores that quality rests on: every variant's value of every document of the tasks that count, from runs on the same data.

Of a task those runs count that stand on its own board: the newest of each model, on the data of the newest run. A group's documents are
those of all of its tasks, so that its score is theirs weighed by their samples, as lm-eval has it. Of a suite those runs count that stand
on its own board, and it means that board's score: its tasks' means, corrected by chance, each group as one.
"""

import difflib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from schemas.requirements import Requirement
from schemas.runs import PlannedTask
from streams.boards.ranking import Chosen, Entry, adds_up, as_planned, boards_of, chosen, corrected
from streams.boards.results import Result
from streams.boards.standing import of_figure, over_setups
from streams.boards.weighing import greatest
from streams.deciding.candidates import Part, TaskScores
from streams.deciding.evidence import Evidence, known_tasks, weights_of
from streams.errors import Invalid
from streams.quality.matching import places_of
from streams.statistics.intervals import Ratio
from streams.statistics.spreads import Clusters, Floats, spread

TASK: Final = "task:"  # what the name of a task's board begins with
NAMED: Final = 8  # tasks that a refusal names
Scored = tuple[TaskScores, dict[str, str]]  # and the run of each model


def tasks_of(requirement: Requirement) -> tuple[str, ...]:
    """The names whose scores a requirement is about."""
    return tuple(dict.fromkeys([*requirement.tasks, *(name for name in requirement.floors if name != "quality")]))


def wants_quality(requirement: Requirement) -> bool:
    """Quality as a whole is bounded or preferred by."""
    preference = requirement.preference
    return "quality" in {*requirement.floors, *preference.points, *(step.figure for step in preference.order)}


def scores_of(requirement: Requirement, evidence: Evidence) -> dict[str, Scored]:
    """The scores of the tasks that count, by name; a suite's tasks each, as `<task> of <suite>`.

    Raises: Invalid for one that nobody was scored on, and where none is named.
    """
    known, names = known_tasks(evidence.results.values()), tasks_of(requirement)
    suites = suites_of(evidence) if any(name not in known for name in names) else set()
    if not names and wants_quality(requirement) and known:
        raise Invalid(
            f"quality of what? name the tasks that count, as tasks: {{{next(iter(known))}: 1}}; measured are {_some(known)}", code="no-task"
        )
    for name in names:
        if name not in known and name not in suites:
            there = [*known, *sorted(suites)]
            near = difflib.get_close_matches(name, there, n=3) or sorted(there)
            raise Invalid(f"nobody has scores of {name}; there are {_some(near)}" if near else f"nobody has scores of {name}, nor of any "
                          "other task: `assay submit` measures them", code="no-task")  # fmt: skip
    found = dict[str, Scored]()
    for name in names:
        found |= {name: _joined(name, [_of_task(task, evidence) for task in known[name]])} if name in known else _of_suite(name, evidence)
    return found


def suites_of(evidence: Evidence) -> set[str]:
    """The names of the boards of suites, and of what was asked together, that runs stand on."""
    return {name for run in evidence.results.values() for name in boards_of(run) if not name.startswith(TASK)}


def _some(names: Iterable[str]) -> str:
    told = list(names)
    return ", ".join(told[:NAMED]) + (", …" if len(told) > NAMED else "")


def _of_task(task: str, evidence: Evidence) -> Scored:
    """One task's scores; those of models that nobody can tell the better of raise."""
    board = _board(f"{TASK}{task}", evidence)
    own = _by_label(board.full if board else (), [task], evidence)
    planned = next((found for one in own.values() if (found := one.run.planned(task))), None)
    if planned is not None and not adds_up(planned):
        raise Invalid(f"{task} is measured by {planned.main_metric}, which is no mean of which more is better, and cannot be a part of "
                      "quality; leave it out", code="no-task")  # fmt: skip
    return _scores(task, own, planned), {label: one.run.run_id for label, one in own.items()}


def _of_suite(name: str, evidence: Evidence) -> dict[str, Scored]:
    """A suite's tasks, each as a part of it; of the runs that stand on its board with all of its data."""
    board = _board(name, evidence)
    own = _by_label(board.full, board.tasks, evidence) if board else {}
    if board is None or not own:
        raise Invalid(f"nobody has all of {name}; `assay submit --suite` asks it", code="no-task")
    planned = [as_planned(tuple(own.values()), task) for task in board.tasks]
    runs = {label: one.run.run_id for label, one in own.items()}
    scores = [_scores(one.task, own, one) for one in planned]
    parts = (Part(name, scale, taken) for scale, taken in zip(*corrected(planned), strict=True))
    named = [replace(one, task=f"{one.task} of {name}", part=part) for one, part in zip(scores, parts, strict=True)]
    return {one.task: (one, runs) for one in named}


def _board(name: str, evidence: Evidence) -> Chosen | None:
    """Who stands on a board, of those runs that are evidence; None where nobody does."""
    entries = [entry for entry in evidence.books.entries(name) if entry.run.run_id in evidence.results]
    return chosen(name, entries) if entries else None


def _by_label(entries: Iterable[Entry], tasks: Sequence[str], evidence: Evidence) -> dict[str, Entry]:
    """Those that have the documents of all of the tasks, by what each variant is called."""
    whole = [one for one in entries if all(task in one.run.documents for task in tasks)]
    return {evidence.label(weights_of(one.run), one.run.plan.chat): one for one in whole}


def _scores(task: str, own: Mapping[str, Entry], planned: PlannedTask | None) -> TaskScores:
    return _unsure(_aligned(task, own, planned), [one.run for one in own.values()], most=_most(planned))


def _most(planned: PlannedTask | None) -> float:
    return greatest(planned.main_metric) if planned else 1.0


def _unsure(scores: TaskScores, runs: Sequence[Result], *, most: float) -> TaskScores:
    """The same, with what its figures' intervals have beside what documents tell, as boards count it."""
    figures = [run.figure(scores.task) for run in runs]
    beside = [
        _beside(of_figure(figure, most)[2], row, scores.clusters) if run.stopped(scores.task) else 0.0
        for run, figure, row in zip(runs, figures, scores.values, strict=True)
    ]  # fmt: skip
    return replace(scores, over_setups=np.array([over_setups(figure, most) for figure in figures]), beside=np.array(beside))


def _beside(told: Ratio | None, row: Floats, clusters: Clusters | None) -> float:
    there = ~np.isnan(row)
    own = spread(row[there], None if clusters is None else [clusters[place] for place in np.flatnonzero(there)]) if there.any() else None
    return told.variance - own.variance if told and own else 0.0


def _aligned(task: str, own: Mapping[str, Entry], planned: PlannedTask | None) -> TaskScores:
    """Every document that any of them answered."""
    most = _most(planned)
    columns = [one.run.documents[task] for one in own.values()]
    every = np.unique(np.concatenate([column.ordinals for column in columns])) if columns else np.zeros(0, dtype=np.int32)
    found, clusters = np.full((len(columns), len(every)), np.nan), dict[int, Hashable]()
    for row, column in zip(found, columns, strict=True):
        row[np.searchsorted(every, column.ordinals)] = column.values / most
        clusters |= dict(zip(column.ordinals.tolist(), column.clusters or (), strict=False))
    named = [clusters.get(ordinal, ordinal) for ordinal in every.tolist()] if clusters else None
    at = places_of(planned, every) if planned else every.astype(np.intp)
    return TaskScores(task, tuple(own), found, at, named, (planned.documents or f"{task}@{planned.asked}") if planned else None)


def _joined(name: str, parts: Sequence[Scored]) -> Scored:
    """Several tasks' documents side by side, of the models that have them all."""
    if len(parts) == 1:
        scores, runs = parts[0]
        return replace(scores, task=name), runs
    models = sorted(set.intersection(*(set(scores.models) for scores, _ in parts)))
    columns = [[scores.models.index(model) for model in models] for scores, _ in parts]
    values = np.concatenate([scores.values[own] for (scores, _), own in zip(parts, columns, strict=True)], axis=1)
    told = TaskScores(name, tuple(models), values, clusters=_clusters([scores for scores, _ in parts]))
    shares = [len(own.ordinals) / max(1, values.shape[1]) for own, _ in parts if own.ordinals is not None]
    errors, beside = np.zeros(len(models)), np.zeros(len(models))
    for (scores, _), own, share in zip(parts, columns, shares, strict=True):
        errors += share * scores.over_setups[own] if scores.over_setups is not None else 0.0
        beside += share**2 * scores.beside[own] if scores.beside is not None else 0.0
    return replace(told, over_setups=errors, beside=beside), {model: parts[0][1][model] for model in models}


def _clusters(parts: Sequence[TaskScores]) -> list[Hashable] | None:
    """What the documents of several tasks, side by side, stand or fall with: their cluster, and the same document of another task."""
    families = [one.documents or one.task for one in parts]
    if len(set(families)) == len(parts) and all(one.clusters is None for one in parts):
        return None
    return [
        (family, place) for family, one in zip(families, parts, strict=True)
        for place in (one.places.tolist() if one.clusters is None else one.clusters)
    ]  # fmt: skip
