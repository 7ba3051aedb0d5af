"""A calculation of cost as people write it: inputs with their sources, a day's curve, and how far each input may be off.

    source: my quotes of 2026-11-20
    inputs: {purchase: 250141.80, running: 6.37, rent: {value: 98.32, source: "price list, 2026-11"}, years: 5}
    curve: {0-8: 2/s, 8-24: 20/s}
    spreads: {rent: [60, 120], purchase: {low: 200000, high: 300000, shape: normal}}

Amounts of money are in USD, or in a currency of `rates`; who states an amount of money must say as of when.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, get_args

from streams.deciding.curves import curve as rates_of
from streams.deciding.quantities import rate, share, usd, written
from streams.errors import Invalid
from streams.money.curves import Curve
from streams.money.scenarios import KNOWN, Scenario, is_dated
from streams.money.sensitivity import Shape, Spread
from streams.numbers import shown

Told = Mapping[str, Any]
PARTS: Final = ("source", "inputs", "curve", "rates", "spreads", "spread")
SHAPES: Final = get_args(Shape)


@dataclass(frozen=True, slots=True)
class Calculation:
    """What is to be reckoned."""

    scenario: Scenario
    curve: Curve | None
    spreads: Mapping[str, Spread]


def calculation_of(told: Told) -> Calculation:
    """The calculation that a file's mapping tells. Raises: Invalid, naming the field."""
    if unknown := next((name for name in told if name not in PARTS), None):
        raise Invalid(f"there is no field {unknown!r}; the fields are {', '.join(PARTS)}", code="calculation")
    inputs, rates = _part(told, "inputs"), {name: rate(value, name) for name, value in _part(told, "rates").items()}
    if not inputs:
        raise Invalid(f"there are no inputs; state at least purchase or rent. There are {', '.join(KNOWN)}", code="calculation")
    scenario = Scenario({})
    for name, one in inputs.items():
        value, source = _stated(one, str(told.get("source") or ""))
        scenario = scenario.but(_dated(name, source), **{name: _number(name, value, rates)})
    spreads = {name: _spread(name, one, rates) for name, one in _part(told, "spreads").items()}
    return Calculation(scenario, _curve(told.get("curve")), _around(scenario, told.get("spread")) | spreads)


def _part(told: Told, name: str) -> Told:
    part = told.get(name) or {}
    if not isinstance(part, Mapping):
        raise Invalid(f"{name} is {shown(part)}; it must be a mapping of names to values", code="calculation")
    return part


def _stated(one: Any, source: str) -> tuple[Any, str]:
    """An input's value and who states it: its own source, else that of all."""
    if not isinstance(one, Mapping):
        return one, source
    if "value" not in one or set(one) - {"value", "source"}:
        raise Invalid(f"an input is {shown(one)}; write a value, or {{value: 2.5, source: who says so, and when}}", code="calculation")
    return one["value"], str(one.get("source") or source)


def _dated(name: str, source: str) -> str:
    if name in KNOWN and KNOWN[name].usd and source.strip() and not is_dated(source):
        raise Invalid(f"{name} is of {source!r}, without a date; prices change: say as of when, as {source} of 2026-11", code="no-date")
    return source


def _number(name: str, value: Any, rates: Mapping[str, Decimal]) -> Fraction:
    """The number in the input's unit, money in USD. Raises: Invalid for a unit that is none of the input's, and not told in it."""
    number, unit = written(value, name)
    known = KNOWN.get(name)
    if known is None or not unit or unit == known.unit:
        return Fraction(number)
    if known.usd:
        return Fraction(number) * usd(unit, name, rates, per=known.unit.partition("/")[2])
    if unit == "%" and known.unit in ("1", "1/year"):
        return Fraction(number / 100)
    raise Invalid(f"{name} has the unit {unit!r}; its unit is {known.unit}", code="unit")


def _curve(told: Any) -> Curve | None:
    return None if told is None else Curve(tuple(Fraction(str(rate)) for rate in rates_of(told)))


def _spread(name: str, told: Any, rates: Mapping[str, Decimal]) -> Spread:
    """Two ends in the input's unit, or ends with a shape. Raises: Invalid."""
    ends = {"low": told[0], "high": told[1]} if isinstance(told, list | tuple) and len(told) == 2 else told
    if not isinstance(ends, Mapping) or not {"low", "high"} <= set(ends) <= {"low", "high", "shape"} or name not in KNOWN:
        raise Invalid(f"the spread of {name} is {shown(told)}; write [low, high] of an input, or {{low, high, shape}}", code="spread")
    if (shape := ends.get("shape", "triangular")) not in SHAPES:
        raise Invalid(f"the spread of {name} has the shape {shape!r}; there are {', '.join(SHAPES)}", code="spread")
    low, high = (float(_number(name, ends[end], rates)) for end in ("low", "high"))
    return Spread(low, high, shape)


def _around(scenario: Scenario, told: Any) -> dict[str, Spread]:
    """Every stated input up and down by the same share, where one is told, within what it may be; counts of years stay."""
    if told in (None, ""):
        return {}
    if not 0 < (off := share(told, "spread")) < 1:
        raise Invalid(f"spread is {shown(told)}; it is a share between 0 % and 100 %, by which every input may be off", code="spread")
    return dict(_each(scenario, off, (name for name in scenario.stated if not KNOWN[name].whole)))


def _each(scenario: Scenario, off: float, names: Iterable[str]) -> Iterable[tuple[str, Spread]]:
    for name in names:
        value, known = float(scenario.written(name)), KNOWN[name]
        most = float(known.most) if known.most is not None else float("inf")
        low, high = max(float(known.least), value * (1 - off)), min(most, value * (1 + off))
        if low < high:
            yield name, Spread(low, high)
