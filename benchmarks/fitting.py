"""What a few measurements say of a whole: lines through the counts of a task, and seconds fitted to documents and operations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: a model answered so many documents of a task; `tokens` went through its layers, `outputs` of them were generated."""

    model: str
    task: str
    documents: int
    tokens: int
    outputs: int
    flop: float
    s: float


def whole(few: Point, many: Point, documents: int) -> dict[str, float]:
    """What all of a task's documents come to: the line through two measurements of it."""

    def at_all(name: str) -> float:
        least, most = float(getattr(few, name)), float(getattr(many, name))
        each = (most - least) / (many.documents - few.documents) if many.documents > few.documents else most / many.documents
        return least + each * (documents - few.documents)

    return {"documents": documents, **{name: at_all(name) for name in ("tokens", "outputs", "flop")}}


def fitted(points: Sequence[Point]) -> dict[str, float]:
    """Seconds a document, a generated token and a floating-point operation that explain the measured seconds best, none below zero.

    A text is generated token by token, and a step costs more than its operations. `unexplained_ratio` is what is left, as a part of the
    norm of the seconds.
    """
    from scipy.optimize import nnls  # half a second to import, which `whole` does not need

    given = np.array([[one.documents, one.outputs, one.flop] for one in points])
    seconds = np.array([one.s for one in points])
    scale = given.max(axis=0)
    scale[scale == 0] = 1.0
    found, rest = nnls(given / scale, seconds)
    each = found / scale
    return {
        "s_per_document": float(each[0]), "s_per_output": float(each[1]), "s_per_flop": float(each[2]),
        "unexplained_ratio": float(rest / np.linalg.norm(seconds)),
    }  # fmt: skip
