"""Amounts as people write them, with their unit: 500 ms, 20/s, 3000 EUR, 48 GB, 20 %. A number without its unit is refused."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from streams.errors import Invalid
from streams.money.derivations import NANO
from streams.numbers import LONGEST, MOST_LONG, decimal, shown, text_of

Units = Mapping[str, Decimal]


def _units(**factors: str) -> Units:
    return MappingProxyType({name: Decimal(factor) for name, factor in factors.items()})


SECONDS: Final = _units(s="1", ms="0.001", min="60")
RATES: Final[Units] = MappingProxyType({"/s": Decimal(1), "/min": Decimal(1) / 60, "/h": Decimal(1) / 3600})
BYTES: Final = _units(B="1", MB="1e6", GB="1e9", MiB="1048576", GiB="1073741824")
TOKENS: Final = _units(tokens="1", k="1000")
JOULES: Final = _units(J="1", mJ="0.001")
GRAMS: Final = _units(g="1", kg="1000", mg="0.001")
SHARES: Final[Units] = MappingProxyType({"%": Decimal("0.01")})
DOLLAR: Final = "USD"
# What a price may be for: those of one line are told in each other. Hours are no part of a calendar: a machine is not on in all of them.
PRICED: Final[tuple[Units, ...]] = (
    _units(year="8760", month="730", week="168", day="24"), _units(hour="1", h="1"), _units(kWh="1", MWh="1000", Wh="0.001"),
    MappingProxyType({f"{count}{word}": Decimal(size) for count, size in (("1M", "1e6"), ("1k", "1000")) for word in (" tokens", "")}
                     | {"token": Decimal(1)}),
)  # fmt: skip
_WRITTEN: Final = re.compile(r"([-+]?[0-9_.,]+(?:[eE][-+]?[0-9]+)?)\s*(\S*(?: tokens)?)")


def amount(told: Any, name: str, units: Units) -> float:
    """An amount in the first of the units. Raises: Invalid, saying which unit is missing or unknown."""
    number, unit = written(told, name)
    if unit not in units:
        first = next(iter(units))
        wanted = f"{number}{'' if first.startswith('/') else ' '}{first}"
        what = f"has the unit {unit!r}" if unit else "has no unit"
        raise Invalid(f"{name} {what}; write it as {wanted}. There are {', '.join(units)}", code="unit")
    return float(number * units[unit])


def share(told: Any, name: str) -> float:
    """A share from 0 to 1, written as 0.2 or as 20 %. Raises: Invalid."""
    number, unit = written(told, name)
    value = float(number * SHARES[unit]) if unit in SHARES else float(number)
    if (unit and unit not in SHARES) or not 0 <= value <= 1:
        raise Invalid(f"{name} is {shown(told)}; it is a share, from 0 to 1 or 0 % to 100 %", code="share")
    return value


def money(told: Any, name: str, rates: Mapping[str, Decimal], *, per: str) -> int:
    """An amount of money above 0 as billionths of a USD each `per` (empty: once), its currency perhaps with what it is for (USD/year).

    `rates` are USD for one of another currency. Raises: Invalid.
    """
    number, unit = written(told, name)
    if not unit.partition("/")[0]:
        raise Invalid(f"{name} has no currency; write it as {number} USD", code="currency")
    factor = usd(unit, name, rates, per=per)
    if number <= 0:
        raise Invalid(f"{name} is {shown(told)}: nothing can be had for that. Leave it out where there is no limit", code="budget")
    if not 1 <= (nano := round(Fraction(number) * factor * NANO)) <= MOST_LONG:
        raise Invalid(f"{name} is {shown(told)}; write at least a billionth of a USD, and at most 9 billion", code="budget")
    return nano


def usd(unit: str, name: str, rates: Mapping[str, Decimal], *, per: str) -> Fraction:
    """By what an amount of that unit (EUR, USD/year) is multiplied to be USD each `per`; a currency alone is each `per` too.

    Raises: Invalid for a currency without a rate, and for what is not told each `per`.
    """
    currency, _, each = unit.partition("/")
    if currency != DOLLAR and currency not in rates:
        raise Invalid(f"{name} is in {currency}, which has no rate; state rates: {{{currency}: USD for one}}, or write USD", code="rate")
    return Fraction(1 if currency == DOLLAR else rates[currency]) * _each(per, each, name)


def _each(wanted: str, told: str, name: str) -> Fraction:
    """By what a price each `told` is multiplied to be one each `wanted`."""
    sizes = next((one for one in PRICED if wanted in one), {})
    if told in ("", wanted):
        return Fraction(1)
    if told not in sizes:
        known = " or ".join(f"USD/{one}" for one in sizes) or "USD, once"
        raise Invalid(f"{name} is an amount each {told}; write it in {known}", code="unit")
    return Fraction(sizes[wanted]) / Fraction(sizes[told])


def rate(told: Any, currency: str) -> Decimal:
    """The USD that one of another currency is worth. Raises: Invalid."""
    number, unit = written(told, f"rates.{currency}")
    if currency == DOLLAR and number != 1:
        raise Invalid("rates.USD is told, and amounts are in USD; state the rates of other currencies", code="rate")
    if unit not in ("", DOLLAR) or number <= 0:
        raise Invalid(f"rates.{currency} is {shown(told)}; write the USD that one {currency} is worth, as 1.08", code="rate")
    return number


def written(told: Any, name: str) -> tuple[Decimal, str]:
    """The number and the unit of what is written. Raises: Invalid where there is no number."""
    text = text_of(told)
    found = None if isinstance(told, bool) or len(text) > LONGEST else _WRITTEN.fullmatch(text)
    if found is None:
        raise Invalid(
            f"{name} is {shown(told)}, which is no amount; write a number with a point, and its unit, in {LONGEST} characters",
            code="amount",
        )
    try:
        number = decimal(found[1])
    except ValueError as error:
        raise Invalid(f"{name} is {shown(told)}, which is no amount: {shown(found[1])} {error}", code="amount") from error
    if number < 0:
        raise Invalid(f"{name} is {shown(told)}; it cannot be below 0", code="amount")
    return number, found[2]
