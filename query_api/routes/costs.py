"""What a run cost."""

from typing import Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import PagedWhole


class CostAsked(PagedWhole):
    """Under which versions of the price book."""

    version: str = Field(default="", description="only under this version")
    sort: Literal["-published_us", "published_us"] = Field(default="-published_us", description="by when the version was published")


class VersionCost(Shape):
    """A run's cost under one version of the price book. Undefined is null; `why_undefined` has the reason by the field's name.

    `prices` names what each figure rests on; `newest` is true of the version to go by.
    """

    price_version: str
    formula_version: str
    published_us: int
    newest: bool
    run_usd: float | None
    per_1m_input_tokens_usd: float | None
    per_1m_output_tokens_usd: float | None
    per_1m_tokens_usd: float | None
    per_correct_answer_usd: float | None
    per_correct_answer_j: float | None = Field(default=None, description="what the meters counted for a correct answer")
    energy_j: float | None
    energy_usd: float | None
    co2e_g: float | None
    per_1k_output_tokens_wh: float | None = Field(default=None, description="what the chips took for a thousand output tokens")
    per_1k_output_tokens_water_l: float | None = Field(default=None, description="by WUE")
    per_1k_output_tokens_co2e_g: float | None = Field(default=None, description="operational: that energy by PUE and the grid")
    per_1k_output_tokens_embodied_co2e_g: float | None = Field(default=None, description="of making the devices, by the time they took")
    per_1k_output_tokens_sci_g: float | None = Field(default=None, description="both: the software carbon intensity, ISO/IEC 21031")
    energy_grade: str | None
    prices: dict[str, str]
    why_undefined: dict[str, str]


class RunCost(Shape):
    """A run's cost, under every version of the price book that makes a difference to it, the newest first; without any, `why`."""

    run_id: str
    versions: tuple[VersionCost, ...]
    why: str | None
    next: str | None = Field(description="the next page's cursor; null at the end")


async def cost(call: Call[CostAsked, Nothing]) -> RunCost:
    """Shows what a run cost."""
    return RunCost.model_validate(await call.state.costs.run(call.path["run_id"], **call.query.model_dump()))


OPERATIONS = (Operation("GET", "/v1/runs/{run_id}/cost", cost, tag="costs"),)
