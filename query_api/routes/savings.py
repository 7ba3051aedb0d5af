"""What would save: measured alternatives to what runs now, under a load, and what of quality each costs."""

import math
from dataclasses import asdict
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.routes.recommendations import EXAMPLE
from streams.deciding import measured
from streams.deciding.reading import requirement_of
from streams.deciding.savings import MARGIN, Savings
from streams.money.prices import STALE_DAYS

MOST_TOLD = 50
OLD: Final = f"prices that these figures rest on, and nobody has said for {STALE_DAYS} days to hold: look them up again"


class SavingsAsked(Shape):
    """What runs now, told by a run of it, and the requirement that it serves."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"run": "01890a5d-ac96-774b-bcce-b302099a8057", "requirement": EXAMPLE}]})

    run: str = Field(description="the id of a completed run of what runs now: its weights, on its engine and hardware")
    requirement: dict[str, Any] = Field(description="tasks and traffic; latency, allowed and the rest where they count")
    margin: float = Field(default=MARGIN, ge=0, lt=math.inf, description="by so much the quality may be lower, in ratios")


class Span(Shape):
    """A figure as measured, and its 95 % interval over joint draws."""

    value: float
    low: float
    high: float
    method: Literal["joint draws"] = Field(default="joint draws", description="what made the interval (docs/deciding.md)")


class Saving(Shape):
    """An alternative that was measured, and what it saves. `runs`: those that it rests on, by what each says of it."""

    model: str
    engine: str
    hardware: str
    changes: tuple[Literal["model", "engine", "hardware"], ...] = Field(description="nothing: how the engine runs")
    saved_usd_per_month: Span
    saved_ratio: float = Field(description="of a month of what runs now")
    quality_difference: Span = Field(description="its quality less that of what runs now")
    replicas: int
    chance: float = Field(description="of being cheaper, keeping all constraints, and losing no more than the margin: a share of draws")
    runs: dict[str, str]


class PaidOtherwise(Shape):
    """A month of what runs now on spot machines or under a reservation; nothing of it was measured anew."""

    way: str = Field(description="spot, reserved for 1 year, reserved for 3 years")
    usd_per_month: float
    redone_ratio: float = Field(description="of the work, by interruptions: an assumption of the price book (`spot_redone`)")
    sources: tuple[str, ...]


class SavingsTold(Shape):
    """What runs now, a month of it under the load, and what would save, the most first. `unlikely`: cheaper ones that are not listed."""

    model: str
    engine: str
    hardware: str
    usd_per_month: Span
    quality: Span
    replicas: int
    margin: float
    savings: tuple[Saving, ...] = Field(description=f"the first {MOST_TOLD}")
    otherwise: tuple[PaidOtherwise, ...] = Field(
        description="what runs now, paid in another way that the price book knows, the cheapest first"
    )
    more: int = Field(description="how many more would save")
    stale_prices: tuple[str, ...] = Field(description=OLD)
    unlikely: int = Field(description="cheaper ones that probably break a constraint, or lose more quality than the margin")


async def save(call: Call[Nothing, SavingsAsked]) -> SavingsTold:
    """Says what would save against what runs now: alternatives that were measured, each with its saving a month and its quality.

    Listed is what is cheaper, keeps all constraints and is within the margin in at least half of the draws.
    """
    asked = call.body
    found = await call.state.deciding.savings(requirement_of(asked.requirement), asked.run, margin=asked.margin)
    return told(*found, margin=asked.margin)


def told(found: Savings, own: measured.Field, stale: tuple[str, ...], *, margin: float) -> SavingsTold:
    """What would save, as the API tells it."""
    now, first = found.now, found.found[:MOST_TOLD]
    return SavingsTold.model_validate({
        "model": now.model, "engine": now.engine, "hardware": now.hardware, "usd_per_month": asdict(found.usd_per_month),
        "quality": asdict(found.quality), "replicas": found.replicas, "margin": margin, "stale_prices": stale,
        "more": len(found.found) - len(first),
        "unlikely": found.unlikely, "otherwise": [asdict(one) for one in found.otherwise], "savings": [
            {
                "model": one.candidate.model, "engine": one.candidate.engine, "hardware": one.candidate.hardware, "changes": one.changes,
                "saved_usd_per_month": asdict(one.saved_usd_per_month), "saved_ratio": one.saved_ratio,
                "quality_difference": asdict(one.quality_difference), "replicas": one.replicas, "chance": one.chance,
                "runs": dict(own.origins[one.candidate.key].runs),
            }
            for one in first
        ],
    })  # fmt: skip


OPERATIONS = (Operation("POST", "/v1/savings", save, tag="decisions", role="reader", refuses=(404, 422)),)
