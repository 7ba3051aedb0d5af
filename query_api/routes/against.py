"""Comparing the loads of two runs."""

from typing import Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.against import loads_compared
from query_api.routes.comparing import Side


class LoadsAsked(Shape):
    """Which two runs."""

    a: str = Field(description="the one run's id")
    b: str = Field(description="the other's")


class LoadFigure(Shape):
    """A run's own figure, with its 95 % interval where it has one; `method` names what made it."""

    run_id: str
    value: float
    low: float | None
    high: float | None
    method: str | None


class FigureDifference(Shape):
    """A figure of both loads, and a - b with its 95 % interval, in the figure's unit; null where one of the two has none of its own."""

    metric: str
    unit: str
    a: LoadFigure
    b: LoadFigure
    value: float = Field(description="a - b")
    low: float | None
    high: float | None
    method: str | None = Field(description="what made the interval (docs/speed.md); null without one")
    ratio: float | None = Field(description="a / b")
    ahead: Literal["a", "b"] | None = Field(description="which is better, where the interval leaves out 0")


class LoadsCompared(Shape):
    """Two loads compared. What changes from one start of a server to the next is in no interval of one run, and so in none of these."""

    a: Side
    b: Side
    figures: tuple[FigureDifference, ...]
    unlike: tuple[str, ...] = Field(description="in what the two were asked for differently, in words")


async def compare_loads(call: Call[LoadsAsked, Nothing]) -> LoadsCompared:
    """Compares the loads of two runs, figure by figure, with intervals."""
    return LoadsCompared.model_validate(await loads_compared(call.state.reading, call.query.a, call.query.b))


OPERATIONS = (Operation("GET", "/v1/compare-loads", compare_loads, tag="comparisons", refuses=(404, 422)),)
