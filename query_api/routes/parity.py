"""Runs held to a reference: what the same weights lose and gain on another engine, or quantised."""

import math
from typing import Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.routes.comparing import NotCompared
from streams.boards.parity import MARGIN, MOST_OTHERS, Verdict


class ParityAsked(Shape):
    """Which run is the reference, and which are held to it."""

    reference: str = Field(description="the id of the run that the others are held to")
    run: tuple[str, ...] = Field(min_length=1, max_length=MOST_OTHERS, description="another run's id; several: each")
    margin: float = Field(default=MARGIN, gt=0, lt=math.inf, description="within this, in ratios, a run is as good as the reference")


class HeldTo(Shape):
    """The run that the others are held to."""

    run_id: str
    model: str


class RunningFact(Shape):
    """In what a run was run differently; null where nothing is told of it."""

    name: str
    reference: str | None
    other: str | None


class TaskParity(Shape):
    """A task's main metric in both, and the mean of other - reference over the documents of both, with its 95 % interval.

    `p_holm` and `p_equivalent` are after Holm's correction over all runs and tasks.
    """

    task: str
    metric: str
    filter: str
    higher_is_better: bool
    reference: float
    other: float
    difference: float
    low: float | None
    high: float | None
    n: int = Field(description="documents that both have")
    margin: float = Field(description="in the metric's unit")
    p_holm: float = Field(description="the p-value of no difference")
    p_equivalent: float | None = Field(description="of two one-sided tests: the p-value that both are the margin or more apart")
    verdict: Verdict
    needed: int | None = Field(description="of what is not known: how many documents would tell; null where no number does")
    changed: int = Field(description="documents that are scored differently")
    changed_ratio: float
    answered_differently_ratio: float | None = Field(
        description="samples with another text, or another choice; null where nobody can tell, as of private runs"
    )
    group: str | None
    words: str
    test: str = Field(description="what made p (docs/rigor.md)")
    method: str = Field(description="what made the interval (docs/rigor.md)")


class OverallParity(Shape):
    """The mean over tasks of other - reference, groups as one, in ratios, positive where the other is better. It is not tested."""

    difference: float
    low: float | None
    high: float | None
    units: int = Field(description="how many count: tasks, and groups as one")
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")


class FigureParity(Shape):
    """A figure of both runs, and how many times the reference's the other's is, with a 95 % interval where both figures have one."""

    name: Literal["capacity_tokens_per_s", "concurrent_tokens_per_s", "ttft_s", "memory_bytes", "joules_per_token", "usd_per_1m_tokens"]
    better: Literal["more", "less"] = Field(description="whether more or less of it is better")
    reference: float | None
    other: float | None
    ratio: float | None
    low: float | None
    high: float | None
    why: str | None = Field(description="why there is no ratio")
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")


class RunParity(Shape):
    """A run held to the reference: in what it was run differently, its quality, and its speed, memory, energy and cost.

    `verdict` is of its task, or of all joined where it shares several. `speed_run` and `reference_speed_run` are those whose speed is told.
    """

    run_id: str
    model: str
    verdict: Verdict
    words: str
    differs: tuple[RunningFact, ...]
    tasks: tuple[TaskParity, ...]
    overall: OverallParity
    skipped: tuple[NotCompared, ...]
    figures: tuple[FigureParity, ...]
    reference_speed_run: str | None
    speed_run: str | None
    warnings: tuple[str, ...]


class ParityTold(Shape):
    """Runs held to a reference at a margin. `tests`: over how many p is corrected, all runs times their shared tasks."""

    reference: HeldTo
    margin: float
    tests: int
    rows: tuple[RunParity, ...]
    warnings: tuple[str, ...]


async def parity(call: Call[ParityAsked, Nothing]) -> ParityTold:
    """Holds runs to a reference: what the same weights lose and gain on another engine, or quantised.

    Only completed runs of the same tasks on the same data are; others are refused with 422 and the reason. Speed, memory, energy and
    cost are compared where they were measured on one machine under one load.
    """
    asked = call.query
    return ParityTold.model_validate(await call.state.parities.of(asked.reference, asked.run, margin=asked.margin))


OPERATIONS = (Operation("GET", "/v1/parity", parity, tag="comparisons", refuses=(404, 422)),)
