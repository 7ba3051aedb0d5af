"""What renting machines costs: on demand by the hours used, spot with the work that is done again, reserved whether used or not.

Each way has a price of its own: `rent`, `spot_rent`, `reserved_rent`.
"""

from streams.money.derivations import Derivation
from streams.money.prices import Undefined
from streams.money.scenarios import HOURS_PER_DAY, HOURS_PER_YEAR, Scenario


def on_demand_year(scenario: Scenario) -> Derivation:
    """A year on demand, in nUSD: the hours that are used. `utilisation` is the share of `hours` that is."""
    return _used(scenario, "rent", "renting a year, on demand")


def _used(scenario: Scenario, price: str, name: str) -> Derivation:
    rent, hours, used = scenario.at(price), scenario.at("hours"), scenario.at("utilisation")
    cost = rent.value * hours.value * used.value
    return Derivation(name, cost, "nUSD/year", f"{price} · hours · utilisation", (rent, hours, used))


def on_demand_day(scenario: Scenario) -> Derivation:
    """A day on demand that is paid whole, in nUSD."""
    rent = scenario.at("rent")
    return Derivation("renting a day", rent.value * HOURS_PER_DAY, "nUSD/day", f"rent · {HOURS_PER_DAY}", (rent,))


def spot_year(scenario: Scenario) -> Derivation:
    """A year on spot machines, in nUSD; `redone` is the work that interruptions make be done again, as a share of the work."""
    once, redone = _used(scenario, "spot_rent", "the work done once"), scenario.at("redone")
    return Derivation("renting a year, spot", once.value * (1 + redone.value), "nUSD/year", "work done once · (1 + redone)", (once, redone))


def reserved_year(scenario: Scenario) -> Derivation:
    """A year of a reservation, in nUSD: every hour is paid, used or not, and what was paid up front is spread over the term."""
    rent, upfront, term = scenario.at("reserved_rent"), scenario.at("upfront"), scenario.at("term")
    cost = rent.value * HOURS_PER_YEAR + upfront.value / term.value
    return Derivation(
        "renting a year, reserved", cost, "nUSD/year", f"reserved_rent · {HOURS_PER_YEAR} + upfront / term", (rent, upfront, term)
    )


def reserved_hour_used(scenario: Scenario) -> Derivation:
    """What an hour that is used costs under a reservation, in nUSD: the fewer are, the dearer each. Raises: Undefined for none."""
    year, hours, used = reserved_year(scenario), scenario.at("hours"), scenario.at("utilisation")
    if not used.value:
        raise Undefined("no hour is used, so a used one has no price: utilisation must be above 0")
    value = year.value / (hours.value * used.value)
    return Derivation("an hour used, reserved", value, "nUSD/hour", "renting a year / (hours · utilisation)", (year, hours, used))
