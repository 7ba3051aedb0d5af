"""Amounts as people write them, with their unit: 500 ms, 20/s, 3000 EUR, 48 GB, 20 %. A number without its unit is refused."""

import re
from collections.abc import Mapping
from decimal import Decimal
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
_WRITTEN: Final = re.compile(r"([-+]?[0-9_.,]+(?:[eE][-+]?[0-9]+)?)\s*(\S*)")


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


def money(told: Any, name: str, rates: Mapping[str, Decimal]) -> int:
    """An amount of money above 0 as billionths of a USD, its currency perhaps with what it is for (USD/month).

    `rates` are USD for one of another currency. Raises: Invalid.
    """
    number, unit = written(told, name)
    currency = unit.partition("/")[0]
    if not currency:
        raise Invalid(f"{name} has no currency; write it as {number} USD", code="currency")
    if currency != "USD" and currency not in rates:
        raise Invalid(f"{name} is in {currency}, which has no rate; state rates: {{{currency}: USD for one}}, or write USD", code="rate")
    if number <= 0:
        raise Invalid(f"{name} is {number} {currency}: nothing can be had for that. Leave it out where there is no limit", code="budget")
    if not 1 <= (nano := round(number * rates.get(currency, Decimal(1)) * NANO)) <= MOST_LONG:
        raise Invalid(f"{name} is {shown(told)}; write at least a billionth of a USD, and at most 9 billion", code="budget")
    return nano


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
