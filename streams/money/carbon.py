"""What serving emits: the software carbon intensity, SCI = (E · I + M) / R.

E is the energy of the software and its buildings, I the grid's grams a kWh, M the part of making the hardware that falls to it, and R the
functional unit (a token, a request, a right answer). Offsets and certificates do not count. Grids' figures differ by their source and year
(475, 481 and 590 g/kWh have been called the world's), so both travel with the figure.

Source: ISO/IEC 21031:2024, sections 5 and 6; M = TE · TS · RS, section 5.4; PUE, ISO/IEC 30134-2:2016.
"""

from streams.errors import Invalid
from streams.money.derivations import Derivation, Given
from streams.money.prices import Undefined
from streams.money.scenarios import Scenario, is_dated


def operational(scenario: Scenario) -> Derivation:
    """E · PUE · I, in grams. Raises: Invalid where the grid's source names no year."""
    energy, pue, grid = scenario.at("energy"), scenario.at("pue"), scenario.at("grid")
    if not is_dated(grid.source):
        raise Invalid(f"grid {float(grid.value):g} g/kWh has the source {grid.source!r}; say of which year it is", code="no-year")
    value = energy.value * pue.value * grid.value
    return Derivation("operational emissions", value, "g", "energy · PUE · grid", (energy, pue, grid), "ISO/IEC 21031:2024")


def embodied(made: Given, *, hours: Given, life_hours: Given, share: Given) -> Derivation:
    """The part of making a machine that falls to its use, in grams: TE · TS · RS, with TS = hours / lifetime and RS the share of it."""
    value = made.value * hours.value / life_hours.value * share.value
    return Derivation(
        "embodied emissions", value, "g", "made · hours / lifetime · share", (made, hours, life_hours, share), "ISO/IEC 21031:2024"
    )


def intensity(scenario: Scenario) -> Derivation:
    """The SCI, in grams a functional unit. Raises: Undefined where there is no unit."""
    used, made, units = operational(scenario), scenario.at("embodied"), scenario.at("units")
    if not units.value:
        raise Undefined("there is no functional unit, so emissions a unit have no value")
    value = (used.value + made.value) / units.value
    formula = "(operational emissions + embodied) / functional units"
    return Derivation("software carbon intensity", value, "g/unit", formula, (used, made, units), "ISO/IEC 21031:2024")
