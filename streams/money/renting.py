"""What renting machines costs: on demand by the hours used, spot with the work that is done again, reserved whether used or not."""

from fractions import Fraction

from streams.money.derivations import Derivation
from streams.money.scenarios import HOURS_PER_YEAR, Scenario


def on_demand_year(scenario: Scenario) -> Derivation:
    """A year on demand, in nUSD: the hours that are used. `utilisation` is the share of `hours` that is."""
    rent, hours, used = scenario.at("rent"), scenario.at("hours"), scenario.at("utilisation")
    cost = rent.value * hours.value * used.value
    return Derivation("renting a year, on demand", cost, "nUSD/year", "rent · hours · utilisation", (rent, hours, used))


def spot_year(scenario: Scenario) -> Derivation:
    """A year on spot machines, in nUSD; `redone` is the work that interruptions make be done again, as a share of the work."""
    plain, redone = on_demand_year(scenario), scenario.at("redone")
    return Derivation("renting a year, spot", plain.value * (1 + redone.value), "nUSD/year", "on demand · (1 + redone)", (plain, redone))


def reserved_year(scenario: Scenario) -> Derivation:
    """A year of a reservation, in nUSD: every hour is paid, used or not, and what was paid up front is spread over the term."""
    rent, upfront, term = scenario.at("rent"), scenario.at("upfront"), scenario.at("term")
    cost = rent.value * HOURS_PER_YEAR + upfront.value / term.value
    return Derivation("renting a year, reserved", cost, "nUSD/year", f"rent · {HOURS_PER_YEAR} + upfront / term", (rent, upfront, term))


def reserved_hour_used(scenario: Scenario) -> Derivation:
    """What an hour that is used costs under a reservation, in nUSD: the fewer are, the dearer each. Raises: ZeroDivisionError for none."""
    year, hours, used = reserved_year(scenario), scenario.at("hours"), scenario.at("utilisation")
    value = year.value / Fraction(hours.value * used.value)
    return Derivation("an hour used, reserved", value, "nUSD/hour", "renting a year / (hours · utilisation)", (year, hours, used))
