"""Tasks that stop early, by the product's own fold, some of whose samples cannot be scored."""

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from schemas.event import Producer
from schemas.requests import Stopping
from schemas.results import Figure, SampleNotScored, SampleScored
from schemas.runs import ExpectedMetric, PlannedTask
from streams.quality import stopping
from streams.quality.scores import TaskScores
from streams.statistics.spreads import Floats

KEY, SIZE, HALF, SIMULATIONS = ("none", "acc"), 400, 0.05, 200
HEADER = {
    "occurred_us": 0,
    "producer": Producer(service="rigor", version="1"),
    "run_id": "01890a5d-ac96-774b-bcce-000000000001",
    "task": "t",
}
Find = Callable[[np.random.Generator, int], float]


def unscored() -> Iterator[tuple[str, float, Find, int]]:
    """Name, bound, share and simulations: of so many of 400 that cannot be scored, of p that are right."""
    for lacking, share in itertools.product((1, 4), (0.1, 0.5)):
        name = f"N = {SIZE}, ±{HALF:g}, p = {share:g}, {lacking} cannot be scored"
        find = functools.partial(_off, lacking=lacking, share=share)
        yield f"{name}: wrong, or more than 350 asked", 0.05, find, SIMULATIONS


def _off(draw: np.random.Generator, times: int, *, lacking: int, share: float) -> float:
    return float(np.mean([_is_off(draw, lacking=lacking, share=share) for _ in range(times)]))


def _is_off(draw: np.random.Generator, *, lacking: int, share: float) -> bool:
    """Whether the task ends late, or its interval does not hold what all of its samples that can be scored give."""
    values = (draw.random(SIZE) < share).astype(np.float64)
    values[draw.choice(SIZE, lacking, replace=False)] = np.nan
    asked, figure = stopped(draw, values, half=HALF)
    assert figure.low is not None and figure.high is not None
    return asked > 350 or not figure.low <= float(np.nanmean(values)) <= figure.high


def stopped(draw: np.random.Generator, values: Floats, *, half: float) -> tuple[int, Figure]:
    """How many were asked, and the figure; NaN: a sample that cannot be scored."""
    planned = PlannedTask(
        task="t", task_version="1", build_id=f"b{draw.integers(2**31)}", samples=len(values), repeats=1, main_metric=KEY[1],
        main_filter=KEY[0], expected=(ExpectedMetric(filter=KEY[0], metric=KEY[1]),), stopping=Stopping(half_width=half),
    )  # fmt: skip
    scores = TaskScores()
    for ordinal, value in enumerate(values.tolist()):
        scores.add(_event(ordinal, value))
    found = stopping.known(scores, planned)
    assert found is not None
    there = stopping.order(planned.build_id, len(values))[: found.samples]
    taken = scores.of(there)
    (figure,) = taken.figures(lambda _key, _parts: (None, None), means={KEY}, sequential=stopping.intervals(taken, planned, there))
    return found.samples, figure


def _event(ordinal: int, value: float) -> SampleScored | SampleNotScored:
    told = HEADER | {"ordinal": ordinal, "repeat": 0, "scorer_version": "1"}
    if np.isnan(value):
        return SampleNotScored.model_validate(told | {"reason": "no"})
    return SampleScored.model_validate(told | {"doc_id": ordinal, "filter": KEY[0], "metric": KEY[1], "value": value, "parts_json": "1"})
