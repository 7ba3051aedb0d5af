"""Costs of a service from stated assumptions: owning against renting and hosted APIs, with every formula opened. Nothing is kept."""

import asyncio
from collections.abc import Iterator
from typing import Any

from pydantic import ConfigDict, Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from streams.money.calculating import Calculated, Hanging, calculated, values, written_number, written_unit, written_value
from streams.money.derivations import Derivation, Given
from streams.money.reading import calculation_of
from streams.money.sensitivity import Shape as SpreadShape

EXAMPLE: dict[str, Any] = {
    "source": "my quotes of 2026-11-20",
    "inputs": {"purchase": "250141.80 USD", "running": 6.37, "rent": {"value": 98.32, "source": "price list, 2026-11"}, "years": 5},
    "spread": "20 %",
}  # fmt: skip
SUMMED = {
    "usd_per_hour": "per_hour", "usd_per_month": "per_month", "usd_per_1m_tokens": "per_1m_tokens", "break_even_hours": "break_even_hours",
}  # fmt: skip


class SpreadTold(Shape):
    """How far an input may be off: its ends, and the distribution between them."""

    low: float | str
    high: float | str
    shape: SpreadShape = Field(default="triangular", description="of normal and lognormal the ends are the 5th and 95th percentiles")


class StatedInput(Shape):
    """An input with a source of its own."""

    value: float | str
    source: str


class CalculationAsked(Shape):
    """Assumptions, each with who states it and as of when; docs/costs.md lists the inputs with their units and defaults."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    source: str = Field(default="", description="who states the inputs that name no source of their own, and as of when")
    inputs: dict[str, float | str | StatedInput] = Field(description="numbers, money in USD; or texts with a unit, as 30 % or 8000 EUR")
    curve: Any = Field(
        default=None, description="a day's requests a second: one rate, 24 rates, or rates by hours, as {0-8: 2/s, 8-24: 9/s}"
    )
    rates: dict[str, float | str] = Field(default_factory=dict, description="USD for one of another currency")
    spreads: dict[str, tuple[float | str, ...] | SpreadTold] = Field(
        default_factory=dict, description="how far inputs may be off, by name: [low, high] in the input's unit, or with a shape"
    )
    spread: float | str | None = Field(default=None, description="the share by which all others may be off, as 20 %")


class OpenedInput(Shape):
    """A figure or an input that another rests on, at its depth below it; `formula` is empty of what somebody states."""

    depth: int
    name: str
    value: float
    unit: str
    formula: str
    source: str


class ReckonedFigure(Shape):
    """A figure: its formula in words, and all that went in, down to what was stated by whom, or is a default."""

    figure: str
    name: str
    value: float
    unit: str
    formula: str
    source: str
    opened: tuple[OpenedInput, ...]


class Component(Shape):
    """A part of what a year of owning costs."""

    name: str
    usd: float
    formula: str
    inputs: tuple[str, ...]


class TornadoBar(Shape):
    """What a figure is at both ends of one input, the others as stated; null where it has no value there."""

    input: str
    low: float | None
    high: float | None


class Sensitivity(Shape):
    """On what a figure hangs: its inputs moved one by one, what moves it most first; and its band where all are drawn at once."""

    figure: str
    unit: str
    tornado: tuple[TornadoBar, ...]
    low: float
    middle: float
    high: float
    undefined_ratio: float = Field(description="the share of draws in which it has no value, such as no break-even at all")
    draws: int
    seed: int


class Calculation(Shape):
    """What the assumptions come to. Undefined is null, with the reason in `undefined`."""

    usd_per_hour: float | None
    usd_per_month: float | None
    usd_per_1m_tokens: float | None = Field(description="under the day's curve; without one at full load")
    break_even_hours: float | None
    components: tuple[Component, ...]
    figures: tuple[ReckonedFigure, ...]
    undefined: dict[str, str]
    sensitivity: tuple[Sensitivity, ...]


def told(found: Calculated) -> Calculation:
    """A calculation as the API tells it."""
    load = "per_1m_tokens" in {*found.reckoned.figures, *found.reckoned.undefined}
    names = SUMMED | ({} if load else {"usd_per_1m_tokens": "per_1m_tokens_at_full_load"})
    return Calculation.model_validate({
        **values(found.reckoned, names), "undefined": dict(found.reckoned.undefined),
        "components": [_component(one) for one in found.reckoned.components],
        "figures": [_figure(figure, one) for figure, one in found.reckoned.figures.items()],
        "sensitivity": [_sensitivity(one) for one in found.sensitivity],
    })  # fmt: skip


def _component(one: Given | Derivation) -> Component:
    rests_on = one.inputs if isinstance(one, Derivation) else ()
    formula = one.formula if isinstance(one, Derivation) else f"stated: {one.source}"
    return Component(name=one.name, usd=written_value(one), formula=formula, inputs=tuple(_in_words(each) for each in rests_on))


def _in_words(one: Given | Derivation) -> str:
    source = one.formula if isinstance(one, Derivation) else one.source
    return f"{one.name} = {written_value(one):,.6g} {written_unit(one.unit)} ({source})"


def _figure(figure: str, one: Derivation) -> ReckonedFigure:
    opened = tuple(_opened(one))
    return ReckonedFigure(figure=figure, opened=opened[1:], **opened[0].model_dump(exclude={"depth"}))


def _opened(one: Derivation) -> Iterator[OpenedInput]:
    for depth, part in one.opened():
        formula = part.formula if isinstance(part, Derivation) else ""
        yield OpenedInput(
            depth=depth, name=part.name, value=written_value(part), unit=written_unit(part.unit), formula=formula, source=part.source
        )


def _sensitivity(one: Hanging) -> Sensitivity:
    def usd(value: float | None) -> float | None:
        return None if value is None else written_number(value, one.unit)

    return Sensitivity.model_validate({
        "figure": one.figure, "unit": written_unit(one.unit), "undefined_ratio": one.band.undefined_ratio, "draws": one.band.draws,
        "seed": one.band.seed, "tornado": [TornadoBar(input=bar.name, low=usd(bar.low), high=usd(bar.high)) for bar in one.bars],
        **{end: usd(getattr(one.band, end)) for end in ("low", "middle", "high")},
    })  # fmt: skip


async def calculate(call: Call[Nothing, CalculationAsked]) -> Calculation:
    """Reckons the total cost of ownership, and owning against renting and hosted APIs, from stated assumptions.

    Each figure is told with its formula and inputs, and where inputs have spreads with the inputs that it hangs on most. Nothing is kept.
    """
    asked = call.body.model_dump(exclude_defaults=True)
    return told(await asyncio.to_thread(lambda: calculated(calculation_of(asked))))


OPERATIONS = (Operation("POST", "/v1/costs/tco", calculate, tag="costs", role="reader"),)
