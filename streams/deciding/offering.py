"""What could be measured to decide between those who contend: documents of a task, or a speed run; with its price and its noise."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from streams.deciding.candidates import TaskScores
from streams.deciding.drawing import QUALITY
from streams.deciding.measuring_next import Offer
from streams.deciding.screening import Decision
from streams.errors import Invalid
from streams.statistics.spreads import Floats

CONTENDERS: Final = 6
LEAST_CHANCE: Final = 0.02
BY_SPEED: Final = ("goodput_per_s", "ttft_p95_s", "itl_p95_s", "e2e_p95_s")


def contenders(made: Decision) -> tuple[int, ...]:
    """The places of those who may be right, the likeliest first: six at most, each right in 2 % of the draws or more."""
    sure = made.confidence
    return tuple(int(n) for n in sure.order[:CONTENDERS] if sure.chosen[n] >= LEAST_CHANCE)


def models_of(made: Decision, places: Sequence[int]) -> dict[str, int]:
    """The models of those at the places, each with its first place: a model's quality is the same on each device."""
    found: dict[str, int] = {}
    for place in places:
        found.setdefault(made.worlds.candidates[place].model, place)
    return found


def documents(made: Decision, scores: TaskScores, count: int, *, usd_per_document: float, places: Sequence[int]) -> Offer:
    """So many more documents of a task, answered by the models of those at the places.

    The noise is the covariance of the models' scores over the documents that all of them have answered, divided by the count.
    Raises: Invalid where they share fewer than two.
    """
    models = models_of(made, places)
    truths = made.worlds.drawn[QUALITY + scores.task][:, list(models.values())]
    return Offer(f"{count:,} documents of {scores.task}", usd_per_document * count * len(models), truths, _noise(scores, models, count))


def as_many_again(made: Decision, parts: Sequence[TaskScores], *, usd_per_document: float, places: Sequence[int]) -> Offer:
    """As many documents again of every task of a suite; its noise is its tasks', joined as their scores are. Raises: as `documents`."""
    models, counts = models_of(made, places), [one.values.shape[1] for one in parts]
    scales = [one.part.scale if one.part else 1.0 for one in parts]
    each = (scale**2 * _noise(one, models, count) for scale, one, count in zip(scales, parts, counts, strict=True))
    truths = made.worlds.drawn[QUALITY + parts[0].asked][:, list(models.values())]
    name = f"{sum(counts):,} documents of {parts[0].asked}"
    return Offer(name, usd_per_document * sum(counts) * len(models), truths, np.sum(list(each), axis=0))


def _noise(scores: TaskScores, models: Mapping[str, int], count: int) -> Floats:
    """The covariance of the models' means over so many more documents, [models, models]."""
    known = scores.values[[scores.models.index(model) for model in models]]
    shared = known[:, ~np.isnan(known).any(axis=0)]
    if shared.shape[1] < 2:
        raise Invalid(f"{', '.join(models)} share fewer than two documents of {scores.task}; ask them the same ones first", code="offer")
    noise = np.atleast_2d(np.cov(shared)) / count
    # Models that agree everywhere still may differ on the next documents: as if they had on one.
    return np.asarray(noise + np.eye(len(models)) / (shared.shape[1] * count))


def speed_run(made: Decision, place: int, *, usd: float, relative_error: float) -> Offer:
    """One more speed run of the candidate at that place; `relative_error` is that of each of its figures. Raises: Invalid for none."""
    figures = [name for name in BY_SPEED if name in made.worlds.drawn and not np.isnan(made.worlds.points[name][place])]
    if not figures:
        raise Invalid(f"{made.worlds.candidates[place].name} has no figure of speed that counts; a run would decide nothing", code="offer")
    truths = np.log(np.stack([made.worlds.drawn[name][:, place] for name in figures], axis=1))
    return Offer(f"a speed run of {made.worlds.candidates[place].name}", usd, truths, relative_error**2 * np.eye(len(figures)))
