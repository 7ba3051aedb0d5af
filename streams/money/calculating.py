"""A calculation of cost carried out: every figure with its formula and inputs opened, and on which inputs the main ones hang."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streams.money.derivations import NANO, Derivation, Given
from streams.money.ownership import Reckoned, formulas_of, reckoned
from streams.money.reading import Calculation
from streams.money.sensitivity import Band, Bar, monte_carlo, tornado

MAIN: Final = ("per_1m_tokens", "per_1m_tokens_at_full_load", "per_hour", "rent_per_year_on_demand")
BREAK_EVEN: Final = ("break_even_hours", "break_even_utilisation", "net_present_value")
DRAWS: Final = 400


@dataclass(frozen=True, slots=True)
class Hanging:
    """A figure over its inputs' spreads: moved one by one, and drawn all at once."""

    figure: str
    unit: str
    bars: tuple[Bar, ...]
    band: Band


@dataclass(frozen=True, slots=True)
class Calculated:
    """All of it."""

    reckoned: Reckoned
    sensitivity: tuple[Hanging, ...]


def calculated(asked: Calculation) -> Calculated:
    """The figures; and of the main ones, where spreads are told, on what they hang."""
    found, formulas = reckoned(asked.scenario, asked.curve), formulas_of(asked.curve)
    main = next((name for name in MAIN if name in found.figures), None)
    names = [name for name in (main, *BREAK_EVEN) if name in found.figures] if asked.spreads else []
    return Calculated(found, tuple(
        Hanging(
            name, found.figures[name].unit, tornado(formulas[name], asked.scenario, asked.spreads),
            monte_carlo(formulas[name], asked.scenario, asked.spreads, draws=DRAWS),
        )
        for name in names if name
    ))  # fmt: skip


def written_value(one: Derivation | Given) -> float:
    """A figure's value as people write it: money in USD."""
    return written_number(float(one.value), one.unit)


def written_number(value: float, unit: str) -> float:
    """A number of that unit as people write it: money in USD."""
    return value / NANO if unit.startswith("nUSD") else value


def written_unit(unit: str) -> str:
    """Its unit then."""
    return unit.replace("nUSD", "USD")


def values(found: Reckoned, names: Mapping[str, str]) -> dict[str, float | None]:
    """Some figures by other names, in USD; None where one has no value."""
    return {name: written_value(found.figures[figure]) if figure in found.figures else None for name, figure in names.items()}
