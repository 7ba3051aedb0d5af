"""A day's load: how many requests a second come in each of equal stretches of the day."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from streams.errors import Invalid

S_PER_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Curve:
    """Requests a second in each stretch, from midnight on; all stretches are equally long."""

    per_s: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if not self.per_s or min(self.per_s) < 0 or max(self.per_s) == 0:
            raise Invalid("a day's curve needs rates of 0 or more requests a second, and one above 0", code="curve")

    @property
    def peak(self) -> Fraction:
        """The most requests a second."""
        return max(self.per_s)

    @property
    def mean(self) -> Fraction:
        """The requests a second over the day."""
        return sum(self.per_s, Fraction(0)) / len(self.per_s)

    @property
    def requests(self) -> Fraction:
        """All requests of the day."""
        return self.mean * S_PER_DAY


def flat(per_s: Fraction) -> Curve:
    """The same rate all day."""
    return Curve((per_s,))
