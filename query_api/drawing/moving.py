"""Sliders of a calculation's inputs: each reaches from nothing, or the least that the input may be, to twice what is stated.

A browser moves a slider to the nearest of its steps before anybody touches it, and would state another value than was stated: so steps are
counted from the stated value, and the ends are the last of them within the range.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from streams.money.calculating import written_unit
from streams.money.scenarios import KNOWN, Scenario

STEPS: Final = 50  # at least, from one end to the other, where the input is no count


@dataclass(frozen=True, slots=True)
class Slider:
    """An input's slider; numbers are texts as a form writes them, money in USD."""

    name: str
    label: str
    low: str
    high: str
    step: str
    value: str
    unit: str


def sliders(scenario: Scenario, labels: Iterable[tuple[str, str]]) -> list[Slider]:
    """A slider for each stated input that can be moved, in the order of the labels."""
    made = (_slider(name, label, scenario.written(name)) for name, label in labels if name in scenario.stated)
    return [one for one in made if one]


def _slider(name: str, label: str, stated: Fraction) -> Slider | None:
    known = KNOWN[name]
    value = Decimal(stated.numerator) / Decimal(stated.denominator)
    least, most = Decimal(float(known.least)), Decimal(float(known.most)) if known.most is not None else 2 * value
    high = min(most, 2 * value) if value else most
    if least >= high:
        return None
    step = Decimal(1) if known.whole else _below((high - least) / STEPS)
    first, last = value - step * ((value - least) // step), value + step * ((high - value) // step)
    low, highest, steps, at = (f"{one.normalize():f}" for one in (first, last, step, value))
    return Slider(name, label, low, highest, steps, at, written_unit(known.unit))


def _below(size: Decimal) -> Decimal:
    """The largest of 1, 2 and 5 times a power of ten that is no more."""
    power = Decimal(1).scaleb(size.adjusted())
    return power * max(factor for factor in (1, 2, 5) if factor * power <= size)


def others(asked: Mapping[str, str], moved: Iterable[Slider]) -> dict[str, str]:
    """What the form states beside the sliders."""
    names = {one.name for one in moved}
    return {name: value for name, value in asked.items() if value.strip() and name not in names}
