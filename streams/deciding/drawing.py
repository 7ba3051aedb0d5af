"""Worlds that the measurements allow: joint draws of every candidate's figures, seeded.

What was measured once is drawn once: a model's quality is the same on each device, a run's speed the same in each figure that follows from
it. Documents are drawn for all models of a task together (the Bayesian bootstrap), so that what makes a task hard is shared.

Source: D. B. Rubin, The Bayesian Bootstrap, Ann. Statist. 9 (1981) 130-134.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.deciding.candidates import FIGURES, Candidate, Estimate, TaskScores
from streams.deciding.shrinking import shrunk
from streams.errors import Invalid
from streams.statistics.spreads import Floats

DRAWS: Final = 500
SEED: Final = 20261128
QUALITY: Final = "quality:"


@dataclass(frozen=True, slots=True)
class Worlds:
    """Figures by name: as measured, shape [candidates], and drawn, shape [draws, candidates]. NaN: the candidate has none.

    Single tasks are among them as `quality:<task>`.
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
    for n, task in enumerate(scores):
        found[QUALITY + task.task] = _by_documents(candidates, task, draws, [seed, len(names) + n])
    if tasks := [name for name in names if name.startswith(QUALITY)]:
        found["quality"] = _joined(found, _counted(tasks, weights))
    points = {name: point for name, (point, _) in found.items()}
    return Worlds(tuple(candidates), points, {name: drawn for name, (_, drawn) in found.items()}, draws)


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
    for key, place in order.items():
        if (given := measured[key].draws) is not None:
            drawn[:, place] = np.resize(given, draws)
    places = np.array([-1 if one is None else order[_measurement(one, n)] for n, one in enumerate(own)])
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


def _by_documents(candidates: Sequence[Candidate], task: TaskScores, draws: int, seed: list[int]) -> tuple[Floats, Floats]:
    """Means of all models over documents with weights that are drawn once for all of them, then shrunk."""
    known = ~np.isnan(task.values)
    answered = known.any(axis=1)
    values, weights = np.nan_to_num(task.values), np.random.default_rng(seed).standard_exponential((draws, task.values.shape[1]))
    whole = weights.sum(axis=1, keepdims=True) if known.all() else weights @ known.T
    points, means = np.full(len(values), np.nan), np.full((draws, len(values)), np.nan)
    counted = values.sum(axis=1)[answered] / known.sum(axis=1)[answered]
    drawn = (weights @ values.T / np.where(whole > 0, whole, 1.0))[:, answered]
    points[answered], means[:, answered] = shrunk(counted, drawn)
    places = {model: n for n, model in enumerate(task.models)}
    own = np.array([places.get(one.model, -1) for one in candidates])
    return _placed(np.append(points, np.nan), own), _placed(np.column_stack([means, np.full(draws, np.nan)]), own)


def oriented(values: Mapping[str, Floats], figures: Sequence[str]) -> Floats:
    """Figures side by side on a last axis, turned so that more is better."""
    return np.stack([FIGURES[name].better * values[name] for name in figures], axis=-1)
