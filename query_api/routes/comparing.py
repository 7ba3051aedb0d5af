"""Comparing two runs on the samples that both have."""

import math
from typing import Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.comparing import MOST_DIFFERING
from streams.boards.comparison import Asking


class CompareAsked(Shape):
    """Which two runs."""

    a: str = Field(description="the one run's id")
    b: str = Field(description="the other's")
    task: str | None = Field(default=None, description="only this task, or the tasks of this group")
    limit: int = Field(default=50, ge=1, le=MOST_DIFFERING, description="how many differing samples of each task at most")
    difference: float | None = Field(
        default=None, gt=0, lt=math.inf, description="say how many samples would find a true difference of this size"
    )
    margin: float | None = Field(default=None, gt=0, lt=math.inf, description="test whether the runs are within this of one another")


class Side(Shape):
    """A run that is compared. While it is not completed, its figures are provisional."""

    run_id: str
    model: str
    state: str


class Overall(Shape):
    """The mean over tasks of the differences, positive where a is better, with its 95 % interval.

    Tasks of a group count as one, each by its share of the group's samples or alike, as in rankings; metrics of 0 to 100 count as ratios.
    """

    difference: float
    low: float | None
    high: float | None
    tasks: int
    units: int = Field(description="how many count: tasks, and groups as one")
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")


class PairedDifference(Shape):
    """The mean of a - b over paired samples, with its 95 % interval and the p-value of no difference.

    `test` and `method` name what made the p-value and the interval (docs/rigor.md).
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    p: float
    test: str
    n: int
    method: str
    clusters: int = Field(description="samples that share a passage count as one")
    differ: float | None = Field(description="of answers that are right or wrong, the share of samples that differ; null for other values")
    effect: float = Field(description="the design effect: how many times the variance is that of as many samples that share nothing")
    variance: float = Field(description="the mean difference's, as its interval has it, with nothing added to the samples")
    width: float | None = Field(description="how far two values of the metric can be apart; null where that is not known")
    freedom: float = Field(description="the variance's degrees of freedom: few where clusters are few, or unlike in size; 0 without one")
    lean: float = Field(description="skewness/√clusters, for which the test of values without a range is corrected; 0 for other values")


class DifferingSample(Shape):
    """A sample on which the runs differ, with its value in each."""

    ordinal: int
    doc_id: int
    a: float
    b: float


class TaskDifference(Shape):
    """A task's main metric in both runs. `better` is null where no difference is shown."""

    task: str
    metric: str
    filter: str
    higher_is_better: bool
    a: float
    b: float
    difference: PairedDifference
    p_holm: float = Field(description="p after Holm's correction over all tasks that are compared")
    better: Literal["a", "b"] | None
    words: str
    differing: int = Field(description="samples on which the runs differ")
    samples: tuple[DifferingSample, ...] = Field(description="those that differ most")
    only_a: int
    only_b: int
    group: str | None = Field(description="tasks of one group count as one")
    by_size: bool = Field(description="in its group it counts by its samples; else as the others")
    weight: float = Field(description="its part of the overall difference; all parts are 1")
    detectable: float | None = Field(
        description="the smallest true difference that these samples find with power 0.8 under Holm's correction; null where none is"
    )
    needed: int | None = Field(
        description="how many samples find the `difference` that was asked for, with power 0.8 under Holm's correction"
    )
    p_equivalent: float | None = Field(description="of two one-sided tests: the p-value that the runs are the `margin` or more apart")


class JoinedDifference(Shape):
    """The mean of a - b over a group's tasks, with its 95 % interval."""

    value: float
    low: float | None
    high: float | None
    n: int = Field(description="paired samples")
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")


class GroupDifference(Shape):
    """A group's tasks joined. It is not tested; `ahead` is null where the interval, which is corrected for nothing, holds 0."""

    group: str
    tasks: int
    metric: str
    filter: str
    higher_is_better: bool
    a: float
    b: float
    difference: JoinedDifference
    ahead: Literal["a", "b"] | None
    words: str
    differing: int
    by_size: bool = Field(description="its tasks count by their samples; else each alike")


class NotCompared(Shape):
    """A task that cannot be compared, and why."""

    task: str
    reason: str


class Compared(Shape):
    """Two runs compared, task by task."""

    a: Side
    b: Side
    summary: str
    overall: Overall
    tasks: tuple[TaskDifference, ...]
    groups: tuple[GroupDifference, ...]
    skipped: tuple[NotCompared, ...]


async def compare(call: Call[CompareAsked, Nothing]) -> Compared:
    """Compares two runs on the samples that both have, with intervals, and says whether the difference is real.

    Samples are the same where their build and ordinal are. Two runs that share none are refused with 422 and the reason.
    """
    asked = call.query
    return Compared.model_validate(
        await call.state.comparisons.of(asked.a, asked.b, task=asked.task, limit=asked.limit, asking=Asking(asked.difference, asked.margin))
    )


OPERATIONS = (Operation("GET", "/v1/compare", compare, tag="comparisons", refuses=(404, 422)),)
