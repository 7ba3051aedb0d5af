"""Publishing prices: validated here, produced to Kafka, and no more."""

from collections.abc import Iterable, Mapping
from typing import Any

from infra.identity import now_us, producer
from infra.kafka import Log
from schemas.results import PricePublished
from streams.errors import Conflict, Invalid
from streams.money.price_lists import price_of
from streams.times import day
from streams.topics import PRICES

SAID = ("currency", "amount_nano", "unit", "valid_to_us", "source")


def prices_of(rows: Iterable[Mapping[str, Any]], *, organisation: str) -> list[PricePublished]:
    """The prices that a body tells. Raises: Invalid, naming the entry."""
    header = {"occurred_us": now_us(), "producer": producer("query_api"), "organisation_id": organisation}
    prices = []
    for number, row in enumerate(rows):
        try:
            prices.append(price_of(row, header))
        except Invalid as error:
            raise Invalid(f"prices.{number}: {error}", code=error.code) from error
    return prices


async def publish(log: Log, prices: Iterable[PricePublished]) -> int:
    """How many of the prices were new; the same again is the same price. All or none. Raises: Conflict where one is known otherwise."""
    known: dict[str, PricePublished] = {}
    async for record in log.read([PRICES]):
        if isinstance(record.event, PricePublished):
            known.setdefault(record.event.event_id, record.event)
    new = []
    for price in prices:
        first = known.setdefault(price.event_id, price)
        if any(getattr(first, name) != getattr(price, name) for name in SAID):
            told = f"{price.item} from {day(price.valid_from_us)} in region {price.region}"
            raise Conflict(
                f"version {price.version} has another price of {told} already; publish this one under a new version", code="price-known"
            )
        if first is price:
            new.append(price)
    await log.publish_all(new)
    return len(new)
