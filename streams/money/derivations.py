"""A figure that can be opened: its value, the formula in words, and what went in, down to what somebody stated with its source.

Values are exact fractions, money in billionths of a USD (nUSD), and are rounded where they become a record, once, half to even.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from streams.numbers import decimal

NANO: Final = 10**9
Number = int | float | str | Fraction


def exact(value: Number) -> Fraction:
    """The number as it is written: 0.15 is 15/100, and not the double next to it. Raises: ValueError for what is no number in bounds."""
    return Fraction(decimal(value)) if isinstance(value, float | str) else Fraction(value)


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody states: a value, its unit, and who says so and when."""

    name: str
    value: Fraction
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Derivation:
    """What follows from other values by a formula; `source` is the formula's."""

    name: str
    value: Fraction
    unit: str
    formula: str
    inputs: "tuple[Given | Derivation, ...]" = ()
    source: str = ""

    @property
    def nano(self) -> int:
        """The value as a record keeps it: a whole number of its unit, rounded half to even."""
        return round(self.value)

    @property
    def usd(self) -> float:
        """An amount of nUSD in USD, for people."""
        return float(self.value / NANO)

    def opened(self, depth: int = 0) -> "Iterator[tuple[int, Given | Derivation]]":
        """The figure and all that it rests on, each with its depth; what comes twice is opened the first time only."""
        yield from self._opened(depth, set())

    def _opened(self, depth: int, seen: set[int]) -> "Iterator[tuple[int, Given | Derivation]]":
        yield depth, self
        if id(self) in seen:
            return
        seen.add(id(self))
        for one in self.inputs:
            if isinstance(one, Derivation):
                yield from one._opened(depth + 1, seen)
            else:
                yield depth + 1, one


def total(name: str, parts: "tuple[Given | Derivation, ...]", *, unit: str) -> Derivation:
    """The sum of parts of one unit."""
    return Derivation(name, sum((one.value for one in parts), Fraction(0)), unit, " + ".join(one.name for one in parts), parts)
