"""The price book: what is in it, and putting prices into it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from infra.identity import now_us
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.pricing import prices_of, publish
from query_api.reading.paging import Listing, Paged
from streams.money.prices import STALE_DAYS, is_stale

LIST: dict[str, JsonValue] = {
    "item": "cpu_hour", "amount": "0.0425", "unit": "core-hour", "valid_from": "2026-01-01", "source": "my provider's list of 2026-11-24",
    "version": "2026-11-24",
}  # fmt: skip


LISTING: Final = Listing(
    "price_list",
    sorts={"published_us": "Int64", "item": "String"},
    key={"version": "String", "item": "String", "region": "String", "valid_from_us": "Int64"},
)


class PricesAsked(Paged):
    """Which prices."""

    item: str = Field(default="", description="only this item's")
    version: str = Field(default="", description="only those of this version of the book")
    sort: Literal["-published_us", "published_us", "item", "-item"] = Field(default="-published_us", description="by when, or by what")


class PriceRow(Shape):
    """A price. Money and other amounts are integers of billionths; `valid_to_us` is null where no end is known."""

    item: str
    region: str
    currency: str
    amount_nano: int
    unit: str
    valid_from_us: int
    valid_to_us: int | None
    source: str
    version: str
    published_us: int
    stale: bool = Field(description=f"published, or of a list, more than {STALE_DAYS} days ago, with no end told: look it up again")


class PricePage(Shape):
    """Prices, in the order asked for."""

    prices: tuple[PriceRow, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class PriceTold(Shape):
    """A price as people write it: a decimal amount of the item's unit, and dates (UTC) or times with their zone."""

    item: str = Field(
        description="cpu_hour, gpu_hour:<device>, device:<device>, kwh, gco2_per_kwh, pue, api_input_token:<model> or api_output_token:…"
    )
    amount: str | int | float = Field(description="as text it keeps all of its digits, nine behind the point at most")
    unit: str = Field(description="the item's own: core-hour, device-hour, device, kWh, g/kWh, 1, 1M tokens")
    valid_from: str
    source: str = Field(description="who says so, and when")
    version: str = Field(description="the book's version; of several the one published last wins")
    region: str | None = Field(default=None, description="any, where it is left out")
    currency: str | None = Field(default=None, description="USD, or nothing for what is no money")
    valid_to: str | None = None


class PricesTold(Shape):
    """Prices to publish, all or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prices": [LIST]}]})

    prices: tuple[PriceTold, ...] = Field(min_length=1, max_length=1000)


class Published(Shape):
    """How many prices were new; the others had been published before, alike."""

    published: int


async def prices(call: Call[PricesAsked, Nothing]) -> PricePage:
    """Lists the price book, what was published last first."""
    found, next_page = await call.state.reading.page(LISTING, **call.query.model_dump())
    at_us = now_us()
    rows = [row | {"stale": is_stale(_said(row), at_us=at_us)} for row in found]
    return PricePage.model_validate({"prices": rows, "next": next_page})


def _said(row: Mapping[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(version=row["version"], occurred_us=row["published_us"], valid_to_us=row["valid_to_us"])


async def publish_prices(call: Call[Nothing, PricesTold]) -> Published:
    """Publishes prices.

    Every run that they concern is reckoned anew under their version; what it cost under older versions stays. Another amount under a
    version, item, region and begin that are known is refused with 409.
    """
    rows = [price.model_dump() for price in call.body.prices]
    told = prices_of(rows, organisation=call.state.settings.organisation)
    return Published(published=await publish(call.state.log, told))


OPERATIONS = (
    Operation("GET", "/v1/prices", prices, tag="costs"),
    Operation("POST", "/v1/prices", publish_prices, tag="costs", status=202, refuses=(409,), role="operator"),
)
