"""How good predictions have been: each beside the first measurement of the same that came after it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from schemas.predictions import PredictionMade
from streams.predicting.subjects import FIGURES, Row
from streams.statistics.intervals import wilson

ALIKE: Final = 0.1  # a load is the same whose sizes differ by no more


@dataclass(frozen=True, slots=True)
class Came:
    """A figure that was measured after it was predicted. Errors are predicted over measured, less 1; `within`: its interval has it."""

    prediction_id: str
    figure: str
    run_id: str
    measured: float
    within: bool
    error_ratio: float
    roofline_error_ratio: float


@dataclass(frozen=True, slots=True)
class Kept:
    """All of a figure's predictions that were measured since: the share of their intervals that held, with its 95 % interval, beside the
    share that was promised, and the median size of their errors (MdAPE) beside the roofline's."""

    figure: str
    n: int
    within: float
    low: float
    high: float
    promised: float
    median_error_ratio: float
    median_roofline_error_ratio: float


def came_of(made: PredictionMade, rows: Sequence[Row]) -> list[Came]:
    """What came of a prediction, figure by figure, from the first run behind it that measured the figure. `rows`: the oldest first."""
    alike = [row for row in rows if row.source is None and row.ended_us > made.occurred_us and _is_of(row, made)]
    found = []
    for told in made.figures:
        if row := next((row for row in alike if told.figure in row.figures), None):
            value = row.figures[told.figure]
            errors = (told.value / value - 1, told.roofline / value - 1)
            found.append(Came(made.prediction_id, told.figure, row.run_id, value, told.low <= value <= told.high, *errors))
    return found


def _is_of(row: Row, made: PredictionMade) -> bool:
    one = row.subject
    sizes = ((one.load.in_flight, made.in_flight), (one.load.input_tokens, made.input_tokens), (one.load.output_tokens, made.output_tokens))
    same = (one.model.name, one.engine, one.machine.name) == (made.model_sha or made.model, made.engine, made.hardware)
    return same and all(abs(math.log(measured / asked)) <= ALIKE for measured, asked in sizes)


def kept_of(made: Sequence[PredictionMade], came: Sequence[Came]) -> list[Kept]:
    """The record of each figure that was measured after a prediction, in the order of FIGURES."""
    promised: Mapping[tuple[str, str], float] = {(one.prediction_id, told.figure): told.level for one in made for told in one.figures}
    by_figure: dict[str, list[Came]] = defaultdict(list)
    for one in came:
        by_figure[one.figure].append(one)
    return [_kept(figure, own, promised) for figure in FIGURES if (own := by_figure[figure])]


def _kept(figure: str, own: Sequence[Came], promised: Mapping[tuple[str, str], float]) -> Kept:
    share = sum(one.within for one in own) / len(own)
    low, high = wilson(share, len(own)) or (0.0, 1.0)
    levels = [promised[one.prediction_id, one.figure] for one in own]
    errors, best = ([abs(getattr(one, name)) for one in own] for name in ("error_ratio", "roofline_error_ratio"))
    return Kept(figure, len(own), share, low, high, sum(levels) / len(levels), median(errors), median(best))
