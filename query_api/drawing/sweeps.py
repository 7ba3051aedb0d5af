"""A sweep as a plot: latency over what was served, with the service level drawn in. Positions in percent, for inline SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from query_api.drawing.charts import Tick, number, seconds

NAMES: Final = {"ttft": "Time to first token", "itl": "Between tokens", "e2e": "Whole request"}
USUAL: Final = ("ttft", "e2e")
PERCENTILES: Final = {0.5: "p50", 0.95: "p95", 0.99: "p99"}
STEPS: Final = (1, 2, 5)
TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """A step: its place, from the left and from above, whether it was kept, its number, and what it says."""

    x: float
    y: float
    kept: bool
    number: int
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A latency over requests/s, one mark a step, those of a rate joined. `limit`: the level's height from above, and its words."""

    name: str
    marks: Sequence[Mark]
    joined: Sequence[tuple[Mark, Mark]]
    limit: tuple[float, str] | None
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]


def level(slo: Mapping[str, Any]) -> str:
    """A service level in words: TTFT p95 of at most 500 ms."""
    limits = {name: limit for name in NAMES if (limit := slo[f"{name}_s"]) is not None}
    return " and ".join(f"{name.upper()} p{100 * slo['ratio']:g} of at most {seconds(limit)}" for name, limit in limits.items())


def plots(sweep: Mapping[str, Any], slo: Mapping[str, Any] | None) -> list[Plot]:
    """A plot of each latency that the service level limits; without one, of the first token and of whole requests."""
    names = [name for name in NAMES if slo and slo[f"{name}_s"] is not None] or USUAL
    return [plot for name in names if (plot := _plot(name, sweep["steps"], slo)) is not None]


def _plot(name: str, steps: Sequence[Mapping[str, Any]], slo: Mapping[str, Any] | None) -> Plot | None:
    limit, part = slo[f"{name}_s"] if slo else None, PERCENTILES.get(slo["ratio"], "p95") if slo else "mean"
    found = [(step, step["requests_per_s"], step[f"{name}_s"][part]) for step in steps]
    told = sorted(((step, x, y) for step, x, y in found if x and y), key=lambda one: one[0]["rate_per_s"] or 0.0)
    if len(told) < 2:
        return None
    most, values = max(x for _, x, _ in told), [*(y for _, _, y in told), *([limit] if limit else [])]
    across, (low, high) = _rounded(most), _decades(values)

    def height(value: float) -> float:
        return 100 * (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))

    marks = [Mark(100 * x / across, 100 - height(y), step["verdict"] == "kept", step["step"], _label(step, x, y)) for step, x, y in told]
    level = (100 - height(limit), f"{100 * slo['ratio']:g} % within {seconds(limit)}") if slo and limit else None
    return Plot(
        f"{NAMES[name]}, {part}", marks, list(pairwise(marks[told[0][0]["rate_per_s"] is None :])), level,
        [Tick(100 * n / TICKS, number(across * n / TICKS, 1)) for n in range(TICKS + 1)],
        [Tick(height(value), seconds(value)) for value in _marked(low, high)],
    )  # fmt: skip


def _label(step: Mapping[str, Any], served: float, latency: float) -> str:
    asked = f"{number(step['rate_per_s'], 1)} requests/s" if step["rate_per_s"] is not None else "one stream alone"
    return f"step {step['step']}, {asked}: {number(served, 1)} served a second, {seconds(latency)}; {step['why'] or 'kept'}"


def _rounded(most: float) -> float:
    """The least of 1, 2, 5 and 10 times a power of ten that holds it."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (*STEPS, 10) if step * power >= most * (1 - 1e-9))


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a logarithmic scale, each 1, 2 or 5 times a power of ten, around the values."""
    marks = [step * 10.0**power for power in range(-7, 6) for step in STEPS]
    low = max((mark for mark in marks if mark < min(values) * 0.95), default=marks[0])
    return low, min((mark for mark in marks if mark > max(values) * 1.05), default=marks[-1])


def _marked(low: float, high: float) -> Iterator[float]:
    """The scale's ticks: its 1, 2 and 5; of a long one its powers of ten and its ends."""
    powers = range(math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9) + 1)
    steps = STEPS if len(powers) <= 3 else (1,)
    yield from (step * 10.0**power for power in powers for step in steps if low * 0.999 <= step * 10.0**power <= high * 1.001)
