"""Prices as people write them: rows of texts with decimal amounts and dates, read into the fields of `PricePublished`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from schemas.results import PricePublished
from streams.errors import Invalid
from streams.money.prices import ANYWHERE, CURRENCY, NANO, check, kind_of
from streams.numbers import MOST_LONG, decimal, shown

NEEDED: Final = ("item", "amount", "unit", "valid_from", "source", "version")
FIELDS: Final = (*NEEDED, "region", "currency", "valid_to")


def price_of(row: Mapping[str, Any], header: Mapping[str, Any]) -> PricePublished:
    """The price that a row tells, as an event with this header. Raises: Invalid, saying what is wrong, its value and what to write."""
    price = PricePublished.model_validate({**header, **price_fields(row)})
    check(price)
    return price


def price_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the price that a row tells; region and currency are `any` and USD where they are left out.

    Raises: Invalid, saying which field is wrong, its value and what to write.
    """
    told = {name: str(value).strip() for name, value in row.items() if value is not None}
    if unknown := sorted(told.keys() - set(FIELDS)):
        raise Invalid(f"unknown field {unknown[0]!r}; the fields are {', '.join(FIELDS)}", code="price-field")
    if missing := next((name for name in NEEDED if not told.get(name)), None):
        raise Invalid(f"{told.get('item') or 'the price'} has no {missing}", code="price-field")
    kind, until = kind_of(told["item"]), told.get("valid_to")
    return {
        "item": told["item"], "unit": told["unit"], "source": told["source"], "version": told["version"],
        "region": told.get("region") or ANYWHERE, "currency": told.get("currency") or (CURRENCY if kind.money else ""),
        "amount_nano": _nano(told["amount"]), "valid_from_us": _time_us(told["valid_from"], "valid_from"),
        "valid_to_us": _time_us(until, "valid_to") if until else None,
    }  # fmt: skip


def _nano(text: str) -> int:
    """A decimal amount as billionths."""
    try:
        nano = Fraction(decimal(text)) * NANO
    except ValueError as error:
        raise Invalid(f"amount {shown(text)} {error}", code="price-amount") from error
    if nano.denominator != 1 or abs(nano) > MOST_LONG:
        raise Invalid(f"amount {shown(text)}: nine digits behind the point are the most, and 9 billion", code="price-amount")
    return int(nano)


def _time_us(text: str, name: str) -> int:
    """A date, or a time with its zone, as UTC microseconds; a date is its first moment in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{name} {text!r} is no date; write it as 2026-11-30", code="price-dates") from error
    if moment.tzinfo is None and len(text) > len("2026-11-30"):
        raise Invalid(f"{name} {text!r} has no zone; write it as 2026-11-30T12:00:00Z", code="price-dates")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
