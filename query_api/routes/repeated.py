"""Several runs of one load: how much figures differ from run to run."""

from typing import Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.repeated import repeated_load

Metric = Literal[
    "capacity_tokens_per_s", "concurrent_tokens_per_s", "ttft_p50_s", "ttft_p95_s", "itl_p50_s", "itl_p95_s", "joules_per_token"
]


class OwnFigure(Shape):
    """What one run says of a figure, with its own 95 % interval where it has one."""

    run_id: str
    value: float
    low: float | None
    high: float | None
    method: str | None = Field(default=None, description="what made the interval; null without one")


class RepeatedFigure(Shape):
    """A figure over runs of one load: the mean, with its 95 % interval between runs (Student's, n - 1 degrees of freedom)."""

    metric: Metric
    unit: str
    n: int = Field(description="runs that tell it")
    value: float = Field(description="the mean over them")
    low: float | None
    high: float | None
    between: float | None = Field(description="the standard deviation from run to run; null for one run alone")
    within: float | None = Field(description="the standard error of one run by its own interval: the root of their mean square")
    p: float | None = Field(description="how likely runs that are equal differ so much: Cochran's Q")
    untested: str | None = Field(description="why there is no p")
    differs: bool | None = Field(description="whether runs differ more than their own intervals: p is below 0.01")
    runs: tuple[OwnFigure, ...]
    method: str | None = Field(default=None, description="what made the mean's interval; null without one")


class RepeatedLoad(Shape):
    """Runs of one load: of the same model, engine, options, workload, service level and environment, reckoned by the same formula."""

    runs: tuple[str, ...] = Field(description="completed and not retracted, the newest first, at most 100; none where the run has no load")
    figures: tuple[RepeatedFigure, ...] = Field(description="of the main figures those that a run tells")
    differ: str | None = Field(description="in words, which figures differ more from run to run than runs' own intervals say")


async def repeated_runs(call: Call[Nothing, Nothing]) -> RepeatedLoad:
    """Tells how much a run's speed differs from that of other runs of the same load."""
    return RepeatedLoad.model_validate(await repeated_load(call.state.reading, call.path["run_id"]))


OPERATIONS = (Operation("GET", "/v1/runs/{run_id}/repeated", repeated_runs, tag="runs"),)
