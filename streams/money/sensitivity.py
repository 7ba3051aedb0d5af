"""On which assumptions a figure hangs: each moved alone (a tornado), and all drawn at once from stated distributions (Monte Carlo).

Draws are seeded: the same scenario and seed give the same figures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.errors import Invalid
from streams.money.derivations import Derivation, Number
from streams.money.prices import Undefined
from streams.money.scenarios import KNOWN, Known, Scenario
from streams.numbers import LARGEST, LEAST
from streams.statistics.spreads import Floats

DRAWS: Final = 1000
SEED: Final = 20261128
Z90: Final = 1.6448536269514722  # the standard normal's 95 % quantile
DIGITS: Final = 9  # of a draw: more would only make the fractions long
Formula = Callable[[Scenario], Derivation]
Shape = Literal["uniform", "triangular", "normal", "lognormal"]


@dataclass(frozen=True, slots=True)
class Spread:
    """How an input may lie, as people write it (USD, ratios).

    uniform and triangular: from `low` to `high`, the latter most likely at the stated value. normal and lognormal: `low` and `high` are
    the 5th and 95th percentiles. What falls out of the input's range is cut to it, and a count is a whole number.
    """

    low: float
    high: float
    shape: Shape = "triangular"

    def __post_init__(self) -> None:
        if not self.low <= self.high or (self.shape == "lognormal" and self.low <= 0):
            raise Invalid(f"a spread from {self.low:g} to {self.high:g} is none; write the lower end first", code="spread")


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure is at both ends of one input."""

    name: str
    low: float | None
    high: float | None

    @property
    def swing(self) -> float:
        """How far the ends are apart; infinite where the figure is undefined at one."""
        return abs(self.high - self.low) if self.low is not None and self.high is not None else float("inf")


@dataclass(frozen=True, slots=True)
class Band:
    """A figure over draws: its 5th, 50th and 95th percentiles, and the share of draws in which it has no value."""

    low: float
    middle: float
    high: float
    undefined_ratio: float
    draws: int
    seed: int


def tornado(formula: Formula, scenario: Scenario, spreads: Mapping[str, Spread]) -> tuple[Bar, ...]:
    """Each input moved to both ends with the others as stated; what moves the figure most comes first."""
    bars = [Bar(name, _at(formula, scenario, name, one.low), _at(formula, scenario, name, one.high)) for name, one in spreads.items()]
    return tuple(sorted(bars, key=lambda bar: (-bar.swing, bar.name)))


def _at(formula: Formula, scenario: Scenario, name: str, value: float) -> float | None:
    return _value(formula, scenario.but("moved", **{name: value}))


def _value(formula: Formula, scenario: Scenario) -> float | None:
    try:
        return float(formula(scenario).value)
    except Undefined:
        return None


def monte_carlo(formula: Formula, scenario: Scenario, spreads: Mapping[str, Spread], *, draws: int = DRAWS, seed: int = SEED) -> Band:
    """The figure where all inputs are drawn at once, each by its own stream of the seed. Raises: Undefined where no draw has a value."""
    names = sorted(spreads)
    columns = [_within(KNOWN[name], _drawn(spreads[name], float(scenario.written(name)), draws, [seed, n])) for n, name in enumerate(names)]
    found = [_value(formula, scenario.but("drawn", **_row(names, columns, n))) for n in range(draws)]
    known = [value for value in found if value is not None]
    if not known:
        raise Undefined("the figure has no value in any draw; look at the stated spreads")
    low, middle, high = (float(one) for one in np.percentile(known, [5, 50, 95]))
    return Band(low, middle, high, 1 - len(known) / draws, draws, seed)


def _row(names: Sequence[str], columns: Sequence[Floats], n: int) -> dict[str, Number]:
    return {name: f"{column[n]:.{DIGITS}g}" for name, column in zip(names, columns, strict=True)}


def _within(known: Known, drawn: Floats) -> Floats:
    """What was drawn, within what the input may be and a number can be."""
    most = float(known.most if known.most is not None else LARGEST)
    cut = np.clip(np.round(drawn) if known.whole else drawn, float(known.least), most)
    return np.where(cut < float(LEAST), 0.0, cut)


def _drawn(spread: Spread, stated: float, draws: int, seed: list[int]) -> Floats:
    chance = np.random.default_rng(seed)
    low, high = spread.low, spread.high
    if low == high:
        return np.full(draws, low)
    match spread.shape:
        case "uniform":
            return chance.uniform(low, high, draws)
        case "triangular":
            return chance.triangular(low, min(max(stated, low), high), high, draws)
        case "normal":
            return chance.normal((low + high) / 2, (high - low) / (2 * Z90), draws)
        case "lognormal":
            return chance.lognormal((np.log(low) + np.log(high)) / 2, np.log(high / low) / (2 * Z90), draws)
