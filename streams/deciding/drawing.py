"""Worlds that the measurements allow: joint draws of every candidate's figures, seeded.

What was measured once is drawn once: a model's quality is the same on each device, a run's speed the same in each figure that follows from
it. Different figures of one run are drawn each by itself, for a run tells how sure each of them is and not how they vary together.
Documents are drawn for all models of a task together (the Bayesian bootstrap), so that what makes a task hard is shared: those of a
cluster together, and those of tasks that ask about the same ones alike. Beside them each model has half a document, or cluster, that it
has right, and half a one that it has wrong: with twenty of twenty right it is not sure to be always right, nor better than with nineteen.
A task that stopped early varies as its interval says, and one that was asked in several set-ups with these too: a model in all its tasks
the same way, as they may, and each model by itself.

Source: D. B. Rubin, The Bayesian Bootstrap, Ann. Statist. 9 (1981) 130-134; half a sample each way: H. Jeffreys, Proc. R. Soc. A 186
(1946) 453-461.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.deciding.candidates import FIGURES, Candidate, Estimate, TaskScores
from streams.deciding.shrinking import shrunk
from streams.errors import Invalid
from streams.statistics.joining import places
from streams.statistics.spreads import Floats, numbered

DRAWS: Final = 500
SEED: Final = 20261128
QUALITY: Final = "quality:"


@dataclass(frozen=True, slots=True)
class Worlds:
    """Figures by name: as measured, shape [candidates], and drawn, shape [draws, candidates]. NaN: the candidate has none.

    Single tasks, groups and suites are among them as `quality:<name>`.
    """

    candidates: tuple[Candidate, ...]
    points: Mapping[str, Floats]
    drawn: Mapping[str, Floats]
    draws: int

    def having(self, **more: tuple[Floats, Floats]) -> "Worlds":
        """The same with more figures, each as measured and as drawn."""
        points = {**self.points, **{name: point for name, (point, _) in more.items()}}
        drawn = {**self.drawn, **{name: draw for name, (_, draw) in more.items()}}
        return Worlds(self.candidates, points, drawn, self.draws)

    def kept(self, places: NDArray[np.intp]) -> "Worlds":
        """The candidates at these places alone."""
        points = {name: _placed(values, places) for name, values in self.points.items()}
        drawn = {name: _placed(values, places) for name, values in self.drawn.items()}
        return Worlds(tuple(self.candidates[n] for n in places), points, drawn, self.draws)


def worlds(
    candidates: Sequence[Candidate], scores: Sequence[TaskScores] = (), *, weights: Mapping[str, float] | None = None,
    wanted: Collection[str] | None = None, draws: int = DRAWS, seed: int = SEED,
) -> Worlds:  # fmt: skip
    """The figures of every candidate, drawn jointly: those that are wanted (all, where None), and the quality of every task.

    `weights` say what each task counts for in quality; without them all count alike. Raises: Invalid where a task that counts has no
    scores at all.
    """
    names = sorted({name for one in candidates for name in one.figures} | {QUALITY + one.task for one in scores})
    names = [name for name in names if wanted is None or name in wanted or name.startswith(QUALITY)]
    found = {name: _estimates(candidates, name, draws, [seed, n]) for n, name in enumerate(names)}
    found |= dict(_qualities(candidates, scores, draws, lambda n: [seed, len(names) + n]))
    found = _suites(found, scores)
    if tasks := sorted(name for name in found if name.startswith(QUALITY)):
        found["quality"] = _joined(found, _counted(tasks, weights))
    points = {name: point for name, (point, _) in found.items()}
    return Worlds(tuple(candidates), points, {name: drawn for name, (_, drawn) in found.items()}, draws)


def _suites(found: dict[str, tuple[Floats, Floats]], scores: Sequence[TaskScores]) -> dict[str, tuple[Floats, Floats]]:
    """The same, with each suite in the place of its tasks: what they come to together."""
    joined = dict[str, tuple[Floats, Floats]]()
    for one in scores:
        if one.part is not None:
            suite, (point, drawn) = QUALITY + one.part.suite, found.pop(QUALITY + one.task)
            before = joined.get(suite, (np.zeros_like(point), np.zeros_like(drawn)))
            joined[suite] = (
                before[0] + one.part.scale * point - one.part.guessed, before[1] + one.part.scale * drawn - one.part.guessed
            )  # fmt: skip
    return found | joined


def _counted(tasks: Sequence[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    wanted = weights or dict.fromkeys((name.removeprefix(QUALITY) for name in tasks), 1.0)
    if missing := sorted(task for task in wanted if QUALITY + task not in tasks):
        known = ", ".join(name.removeprefix(QUALITY) for name in tasks)
        raise Invalid(f"nobody has scores of {missing[0]}; there are scores of {known}", code="no-task")
    whole = sum(wanted.values())
    return {QUALITY + task: weight / whole for task, weight in wanted.items()}


def _joined(found: Mapping[str, tuple[Floats, Floats]], weights: Mapping[str, float]) -> tuple[Floats, Floats]:
    points = sum((weight * found[name][0] for name, weight in weights.items()), np.float64(0.0))
    drawn = sum((weight * found[name][1] for name, weight in weights.items()), np.float64(0.0))
    return np.asarray(points), np.asarray(drawn)


def _estimates(candidates: Sequence[Candidate], name: str, draws: int, seed: list[int]) -> tuple[Floats, Floats]:
    """One figure of all candidates; those that share a measurement share its draws."""
    own = [one.figures.get(name) for one in candidates]
    measured = {_measurement(one, n): one for n, one in enumerate(own) if one is not None}
    order = {key: place for place, key in enumerate(sorted(measured))}
    values = np.array([measured[key].value for key in order])
    errors = np.array([measured[key].stderr for key in order])
    drawn = _drawn(values, errors, np.random.default_rng(seed).standard_normal((draws, len(order))), ratio=name.startswith("quality"))
    places = np.array([-1 if one is None else order[_measurement(one, n)] for n, one in enumerate(own)], dtype=np.intp)
    return _placed(np.append(values, np.nan), places), _placed(np.column_stack([drawn, np.full(draws, np.nan)]), places)


def _placed(columns: Floats, places: NDArray[np.intp]) -> Floats:
    """The columns of those places; the last column is for who has none."""
    return np.asarray(np.take(columns, places, axis=-1))


def _measurement(one: Estimate, place: int) -> str:
    return one.measurement or f"\0{place}"


def _drawn(values: Floats, errors: Floats, chance: Floats, *, ratio: bool) -> Floats:
    """Draws of measurements: a ratio's on its scale within 0 and 1, others' in their logarithm; what has no error stays as it is."""
    if ratio:
        return np.clip(values + errors * chance, 0.0, 1.0)
    relative = np.divide(errors, values, out=np.zeros_like(values), where=values > 0)
    return np.asarray(values * np.exp(np.sqrt(np.log1p(relative**2)) * chance))


def _qualities(
    candidates: Sequence[Candidate], scores: Sequence[TaskScores], draws: int, seed: Callable[[int], list[int]]
) -> Iterator[tuple[str, tuple[Floats, Floats]]]:
    """The quality of every task, of which those over the same documents have the same weights. `seed`: that of the task of a place."""
    suits = _suits(scores, draws, [*seed(0), 2])
    for family in _families(scores):
        at = places([scores[n].places for n in family], [scores[n].clusters for n in family])
        size = 1 + max(int(one.max(initial=0)) for one in at)
        drawn = np.random.default_rng(seed(family[0])).standard_exponential((draws, size))
        for n, where in zip(family, at, strict=True):
            yield QUALITY + scores[n].task, _by_documents(candidates, scores[n], drawn[:, where], [*seed(n), 1], suits)


def _suits(scores: Sequence[TaskScores], draws: int, seed: list[int]) -> dict[str, Floats]:
    """How well the set-ups of each draw suit each model, [draws], in standard errors."""
    models = sorted({model for one in scores if one.over_setups is not None and one.over_setups.any() for model in one.models})
    return dict(zip(models, np.random.default_rng(seed).standard_normal((len(models), draws)), strict=True))


def _families(scores: Sequence[TaskScores]) -> list[list[int]]:
    """The places of tasks that ask about the same documents, together; each other task by itself."""
    found: dict[object, list[int]] = {}
    for place, task in enumerate(scores):
        found.setdefault(place if task.documents is None else task.documents, []).append(place)
    return list(found.values())


def _by_documents(
    candidates: Sequence[Candidate], task: TaskScores, weights: Floats, seed: list[int], suits: Mapping[str, Floats]
) -> tuple[Floats, Floats]:
    """Means of all models over documents with weights, [draws, documents], that are drawn once for all of them, then shrunk."""
    known = ~np.isnan(task.values)
    answered, draws = known.any(axis=1), len(weights)
    values, own = np.nan_to_num(task.values), _beside(task, known, draws, seed)
    points, means = np.full(len(values), np.nan), np.full((draws, len(values)), np.nan)
    counted = values.sum(axis=1)[answered] / known.sum(axis=1)[answered]
    drawn = _as_unsure((weights @ values.T + own[0]) / (weights @ known.T + own.sum(axis=0)), task, suits)
    points[answered], means[:, answered] = shrunk(counted, drawn[:, answered])
    column = {model: n for n, model in enumerate(task.models)}
    columns = np.array([column.get(one.model, -1) for one in candidates], dtype=np.intp)
    return _placed(np.append(points, np.nan), columns), _placed(np.column_stack([means, np.full(draws, np.nan)]), columns)


def _as_unsure(drawn: Floats, task: TaskScores, suits: Mapping[str, Floats]) -> Floats:
    """Draws of means, [draws, models], as far apart as the models' figures say, where documents do not say it all."""
    if task.beside is not None and task.beside.any():
        centre, variance = drawn.mean(axis=0), drawn.var(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            wider = np.where(variance > 0, np.sqrt(np.maximum(0.0, 1 + task.beside / variance)), 1.0)
        drawn = np.clip(centre + wider * (drawn - centre), 0.0, 1.0)
    if task.over_setups is not None and task.over_setups.any():
        drawn = np.clip(drawn + task.over_setups * np.column_stack([suits[model] for model in task.models]), 0.0, 1.0)
    return drawn


def _beside(task: TaskScores, known: NDArray[np.bool_], draws: int, seed: list[int]) -> Floats:
    """The weights of what each model has right, and wrong, beside its documents, [2, draws, models]: half a document each, or cluster."""
    halves = np.random.default_rng(seed).standard_gamma(0.5, (2, draws, len(task.models)))
    if task.clusters is None:
        return halves
    numbers = numbered(task.clusters)
    each: Floats = np.array([own.sum() / max(1, len(np.unique(numbers[own]))) for own in known])
    return np.multiply(halves, each)


def oriented(values: Mapping[str, Floats], figures: Sequence[str]) -> Floats:
    """Figures side by side on a last axis, turned so that more is better."""
    return np.stack([FIGURES[name].better * values[name] for name in figures], axis=-1)
