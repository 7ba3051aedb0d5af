"""A planted world of scores: families of models of several sizes on tasks, whose laws no fit is told.

A model has two capabilities, each rising with the logarithm of its size at its family's own slope and from its family's own level, and with
a part that is the model's alone. A task's logit is a mix of both less its hardness; what is measured of it has the noise of its documents.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.predicting.scores import Known

BY_FAMILY, BY_MODEL, SLOPE, SLOPES = 0.5, 0.25, 0.55, 0.12  # logits: standard deviations of a family's and a model's own, and a slope's
DOCUMENTS: Final = 500
LEAST, MOST = 1e8, 7e10  # parameters


@dataclass(frozen=True, slots=True)
class Scores:
    """A world: models that were scored, and the tasks."""

    known: tuple[Known, ...]
    tasks: tuple[str, ...]


def scores(seed: int, *, families: int, each: int, tasks: int) -> Scores:
    """A world of so many families of so many models each; the same seed gives the same."""
    chance = np.random.default_rng(seed)
    names = tuple(f"task-{n}" for n in range(tasks))
    mix, hardness = chance.dirichlet([2.0, 1.0], tasks), chance.normal(0.3, 0.8, tasks)
    found = []
    for family in range(families):
        level, slope = chance.normal(0, BY_FAMILY, 2), chance.normal(SLOPE, SLOPES, 2)
        for size in np.exp(chance.uniform(np.log(LEAST), np.log(MOST), each)):
            own = level + slope * np.log(size / 3e9) + chance.normal(0, BY_MODEL, 2)
            truth = 1 / (1 + np.exp(-(mix @ own - hardness)))
            told = chance.binomial(DOCUMENTS, truth) / DOCUMENTS
            found.append(
                Known(f"{family}/{size:.3g}", "", f"family-{family}", float(size), dict(zip(names, map(float, told), strict=True)), {})
            )
    return Scores(tuple(found), names)
