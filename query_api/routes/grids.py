"""Grids: loads of one campaign by concurrency and length."""

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.grids import grid


class GridAsked(Shape):
    """Which grid."""

    campaign: str = Field(min_length=1, max_length=200, description="the campaign that its runs share")


class GridFigure(Shape):
    """A load's figure with its interval, where it has one."""

    value: float
    low: float | None
    high: float | None
    method: str | None = Field(default=None, description="what made the interval; null without one")


class GridFigures(Shape):
    """A load's figures; null for what it has none of."""

    output_tokens_per_s: GridFigure | None
    ttft_p50_s: GridFigure | None
    itl_p50_s: GridFigure | None
    joules_per_token: GridFigure | None


class GridCell(Shape):
    """A load of the grid."""

    run_id: str
    model: str
    engine: str
    state: str
    concurrency: int | None
    input_tokens: int
    output_tokens: int
    figures: GridFigures


class Grid(Shape):
    """A campaign's loads, the shortest requests first, at most 400."""

    campaign: str
    cells: tuple[GridCell, ...]


async def loads_grid(call: Call[GridAsked, Nothing]) -> Grid:
    """Shows the loads of a campaign by concurrency and lengths, with their figures."""
    return Grid.model_validate(await grid(call.state.reading, call.query.campaign))


OPERATIONS = (Operation("GET", "/v1/grids", loads_grid, tag="runs", refuses=(404,)),)
