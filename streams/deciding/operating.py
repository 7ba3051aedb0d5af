"""At which load a candidate would run: of the loads that it was measured under, the fastest that keeps the service level.

A load counts where its requests were at least as long as those that are asked for, to a tenth: longer ones are served more slowly, so that
what was measured is then no less than a bound. Where the client was the bottleneck the load says nothing of the model. The rate that was
served is the goodput: of a load below capacity a lower bound of it, too.

A rate rests on n requests; its relative error is taken as 1/√n, as of a Poisson count. Latencies have their percentile's interval.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.requirements import Latency, Traffic
from schemas.results import Figure
from streams.boards.results import Result
from streams.deciding.candidates import Estimate

SHORTER: Final = 0.9  # of the length asked for: what a load's requests may have at least
Z95: Final = 1.959963984540054
LATENCIES: Final[Mapping[str, str]] = {"ttft_p95_s": "ttft_p95", "itl_p95_s": "itl_p95", "e2e_p95_s": "e2e_p95"}
NS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Point:
    """A load that a candidate was measured under: its run, what a request was long, and how much was served how fast."""

    run_id: str
    figures: Mapping[str, Figure]

    def value(self, metric: str) -> float | None:
        """A figure's value; None where it is undefined or not finite."""
        found = self.figures.get(metric)
        return found.value if found is not None and found.value is not None and math.isfinite(found.value) else None

    @property
    def rate_per_s(self) -> float:
        """The requests a second that it answered; 0 where that is not known."""
        return self.value("requests_per_s") or 0.0

    @property
    def places(self) -> int:
        """How many requests it had under way at a time."""
        return max(1, round(self.value("in_flight_mean") or 1.0))

    def tokens(self, side: str) -> float | None:
        """The mean tokens of a request's `input` or `output`."""
        found = self.figures.get(f"{side}_tokens")
        return found.value / found.n if found is not None and found.value is not None and found.n else None

    def estimate(self, metric: str, *, by: float = 1.0) -> Estimate | None:
        """A figure over `by`, with its standard error: of its interval, else of a count of n."""
        value, figure = self.value(metric), self.figures.get(metric)
        if value is None or figure is None or value <= 0:
            return None
        known = figure.low is not None and figure.high is not None and math.isfinite(figure.high - figure.low)
        error = (figure.high - figure.low) / (2 * Z95) if known else value / math.sqrt(max(1, figure.n))  # type: ignore[operator]
        return Estimate(value / by, max(0.0, error) / by, self.run_id, figure.n)


def points_of(runs: Iterable[Result]) -> tuple[Point, ...]:
    """The loads of these runs that say something of the model."""
    found = (Point(run.run_id, run.speed) for run in runs if run.speed)
    return tuple(one for one in found if one.rate_per_s > 0 and not one.value("client_overloaded"))


def fitting(points: Sequence[Point], traffic: Traffic | None) -> tuple[Point, ...]:
    """Those whose requests are as long as the traffic's, or longer; all, where no traffic is stated."""
    if traffic is None:
        return tuple(points)
    asked = {"input": traffic.input_tokens, "output": traffic.output_tokens}
    return tuple(one for one in points if all((one.tokens(side) or 0.0) >= SHORTER * least for side, least in asked.items()))


def operating_point(points: Sequence[Point], latency: Latency) -> Point | None:
    """The fastest of those that keep the service level as measured; where none does, the one that is nearest to it."""
    if not points:
        return None
    excess = {one.run_id: _excess(one, latency) for one in points}
    keeping = [one for one in points if excess[one.run_id] <= 1]
    if keeping:
        return max(keeping, key=lambda one: (one.rate_per_s, one.run_id))
    return min(points, key=lambda one: (excess[one.run_id], one.run_id))


def _excess(point: Point, latency: Latency) -> float:
    """The worst latency over its bound; infinite where one that is bounded is not known, 0 without bounds."""
    told = [(point.value(metric), getattr(latency, name)) for name, metric in LATENCIES.items()]
    return max((math.inf if value is None else value / NS / bound for value, bound in told if bound is not None), default=0.0)
