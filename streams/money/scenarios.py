"""What a reckoning of cost assumes: named inputs, each with its unit, its value and its source. Nothing is assumed silently.

An input that nobody states has the default that stands here, and says so; one that has no default must be stated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Self

from streams.errors import Invalid
from streams.money.derivations import NANO, Given, Number, exact
from streams.money.prices import Undefined
from streams.numbers import shown

HOURS_PER_YEAR: Final = 8760
HOURS_PER_MONTH: Final = 730
MONTHS_PER_YEAR: Final = 12
DAYS_PER_YEAR: Final = 365
HOURS_PER_DAY: Final = 24
S_PER_HOUR: Final = 3600
MILLION: Final = 10**6


# A year that says as of when: a number of a device, of a quotation or of money is none.
YEAR: Final = re.compile(
    r"(?<![\w.,-])(?<!RTX )(?<!GTX )(?<!no )(?<!no\. )(?<!nr\. )(?<!number )(?<![#$€])(?<!USD )(?<!EUR )(?:199\d|20[0-4]\d)"
    r"(?=-\d\d(?!\d)|(?![\w-]|[.,]\d|\s*(?:[$€]|USD|EUR|GBP|CHF|dollars?\b|euros?\b)))", re.IGNORECASE
)  # fmt: skip


def is_dated(source: str) -> bool:
    """A source names the year of which it is."""
    return YEAR.search(source) is not None


@dataclass(frozen=True, slots=True)
class Known:
    """An input that formulas know: its unit, default (None: must be stated) and range; whether it is money in USD, and whether a count."""

    unit: str
    default: Fraction | None = None
    least: Fraction = Fraction(0)
    most: Fraction | None = None
    usd: bool = False
    whole: bool = False


def _usd(per: str = "", default: int | None = 0) -> Known:
    return Known(f"nUSD{per}", None if default is None else Fraction(default), usd=True)


def _number(unit: str, default: Number | None = None, *, least: Number = 0, most: Number | None = None) -> Known:
    return Known(unit, None if default is None else exact(default), exact(least), None if most is None else exact(most))


def _years(default: int) -> Known:
    return Known("years", Fraction(default), Fraction(1), Fraction(30), whole=True)


KNOWN: Final[Mapping[str, Known]] = MappingProxyType({
    # owning
    "purchase": _usd(default=None), "installation": _usd(), "maintenance": _usd("/year"), "colocation": _usd("/year"),
    "staff": _usd("/year"), "network": _usd("/year"), "storage": _usd("/year"), "licences": _usd("/year"),
    "running": _usd("/hour"), "years": _years(5), "residual": _number("1", 0, most=1),
    "discount": _number("1/year", 0, most=1), "hours": _number("hours/year", HOURS_PER_YEAR, least=1, most=HOURS_PER_YEAR),
    # power
    "power": _number("W", 0), "idle_power": _number("W", 0), "utilisation": _number("1", 1, most=1), "pue": _number("1", 1, least=1),
    "kwh": _usd("/kWh"),
    # renting
    "rent": _usd("/hour", None), "redone": _number("1", 0), "upfront": _usd(), "term": _years(1),
    # a hosted API
    "input_price": _usd("/1M tokens", None), "output_price": _usd("/1M tokens", None), "output_share": _number("1", "0.5", most=1),
    # speed and quality
    "tokens_per_s": _number("tokens/s"), "goodput": _number("requests/s"), "tokens_per_request": _number("tokens"),
    "headroom": _number("1", 0), "tokens_per_answer": _number("tokens"), "right": _number("1", most=1),
    # carbon
    "energy": _number("kWh"), "grid": _number("g/kWh"), "embodied": _number("g", 0), "units": _number("functional units"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """Stated inputs by name."""

    stated: Mapping[str, Given]

    @classmethod
    def of(cls, source: str, /, **values: Number) -> Self:
        """Inputs of one source; amounts of money in USD. Raises: Invalid, naming the input and what it may be."""
        return cls({name: _given(name, value, source) for name, value in values.items()})

    def but(self, source: str, /, **values: Number) -> "Scenario":
        """The same with other values for some inputs, amounts in USD."""
        return Scenario({**self.stated, **Scenario.of(source, **values).stated})

    def at(self, name: str) -> Given:
        """An input. Raises: Undefined where it must be stated and is not."""
        if found := self.stated.get(name):
            return found
        known = KNOWN[name]
        if known.default is None:
            raise Undefined(f"{name} ({known.unit.replace('nUSD', 'USD')}) is not stated; state it with its source")
        return Given(name, known.default, known.unit, "default")

    def written(self, name: str) -> Fraction:
        """An input as people write it: money in USD."""
        return self.at(name).value / (NANO if KNOWN[name].usd else 1)


def _given(name: str, value: Number, source: str) -> Given:
    known = KNOWN.get(name)
    if known is None:
        raise Invalid(f"there is no input {name!r}; the inputs are {', '.join(sorted(KNOWN))}", code="unknown-input")
    if not source.strip():
        raise Invalid(f"{name} has no source; say who states it, and as of when", code="no-source")
    try:
        number = exact(value)
    except (ValueError, OverflowError) as error:  # the second for an infinite one
        raise Invalid(f"{name} {shown(value)} {error}", code="input-value") from error
    if number < known.least or (known.most is not None and number > known.most):
        most = f" and at most {float(known.most):g}" if known.most is not None else ""
        raise Invalid(f"{name} is {float(number):g}; it must be at least {float(known.least):g}{most}", code="input-value")
    return Given(name, number * NANO if known.usd else number, known.unit, source)
