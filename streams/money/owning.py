"""What owning machines costs: their purchase, what they are worth at the end, and what they take each year; discounted.

The purchase is paid at the beginning, each year's running costs at that year's end, and the residual value comes back at the end of the
last. PV = purchase + installation + Σ running/(1 + d)^t - residual · purchase/(1 + d)^N; spread evenly over the years it is
PV · d/(1 - (1 + d)^-N), the capital recovery factor, and PV/N where d is 0.

Source: equivalent annual cost, Brealey, Myers and Allen, Principles of Corporate Finance, ch. 6; PUE, ISO/IEC 30134-2:2016.
"""

from fractions import Fraction
from typing import Final

from streams.errors import Invalid
from streams.money.derivations import Derivation, total
from streams.money.scenarios import DAYS_PER_YEAR, MONTHS_PER_YEAR, Scenario

YEARLY: Final = ("maintenance", "colocation", "staff", "network", "storage", "licences")


def power_cost(scenario: Scenario) -> Derivation:
    """Power and cooling a year, in nUSD: (idle + (power - idle) · utilisation)/1000 · hours · PUE · price of a kWh."""
    names = ("idle_power", "power", "utilisation", "hours", "pue", "kwh")
    idle, power, used, hours, pue, kwh = parts = tuple(scenario.at(name) for name in names)
    watts = idle.value + max(Fraction(0), power.value - idle.value) * used.value
    cost = watts / 1000 * hours.value * pue.value * kwh.value
    formula = "(idle power + (power - idle power) · utilisation) / 1000 · hours · PUE · kWh price"
    return Derivation("power and cooling", cost, "nUSD/year", formula, parts)


def running_year(scenario: Scenario) -> Derivation:
    """All that machines take each year, in nUSD; `running` is what is told by the hour."""
    hourly, hours = scenario.at("running"), scenario.at("hours")
    by_hour = Derivation("running costs by the hour", hourly.value * hours.value, "nUSD/year", "running · hours", (hourly, hours))
    return total("running", (*(scenario.at(name) for name in YEARLY), power_cost(scenario), by_hour), unit="nUSD/year")


def running_hour(scenario: Scenario) -> Derivation:
    """What an hour of running takes, in nUSD, the capital left out."""
    year, hours = running_year(scenario), scenario.at("hours")
    return Derivation("running an hour", year.value / hours.value, "nUSD/hour", "running / hours", (year, hours))


def capital(scenario: Scenario) -> Derivation:
    """What is paid at the beginning, in nUSD."""
    return total("capital", (scenario.at("purchase"), scenario.at("installation")), unit="nUSD")


def present_value(scenario: Scenario) -> Derivation:
    """What owning costs over the years, in today's nUSD. Raises: Invalid for years that are not whole."""
    bought, year = capital(scenario), running_year(scenario)
    years, discount, residual = scenario.at("years"), scenario.at("discount"), scenario.at("residual")
    count, step = whole_years(scenario), 1 / (1 + discount.value)
    flow = sum((year.value * step**t for t in range(1, count + 1)), Fraction(0))
    back = residual.value * scenario.at("purchase").value * step**count
    formula = "capital + Σ running / (1 + discount)^t, t = 1 … years, - residual · purchase / (1 + discount)^years"
    inputs = (bought, year, years, discount, residual)
    return Derivation("total cost of owning", bought.value + flow - back, "nUSD", formula, inputs, "net present value")


def owned_year(scenario: Scenario) -> Derivation:
    """The total spread evenly over the years, in nUSD."""
    whole, years, discount = present_value(scenario), scenario.at("years"), scenario.at("discount")
    factor = recovery(discount.value, whole_years(scenario))
    formula = "total cost of owning · discount / (1 - (1 + discount)^-years); without a discount, / years"
    return Derivation("owning a year", whole.value * factor, "nUSD/year", formula, (whole, years, discount), "capital recovery factor")


def owned_month(scenario: Scenario) -> Derivation:
    """What a month of owning costs, in nUSD, however many of its hours the machine is on."""
    year = owned_year(scenario)
    return Derivation("owning a month", year.value / MONTHS_PER_YEAR, "nUSD/month", f"owning a year / {MONTHS_PER_YEAR}", (year,))


def owned_day(scenario: Scenario) -> Derivation:
    """What a day of owning costs, in nUSD, however many of its hours the machine is on."""
    year = owned_year(scenario)
    return Derivation("owning a day", year.value / DAYS_PER_YEAR, "nUSD/day", f"owning a year / {DAYS_PER_YEAR}", (year,))


def owned_hour(scenario: Scenario) -> Derivation:
    """What an hour costs in which the machine is on, in nUSD, used or not."""
    year, hours = owned_year(scenario), scenario.at("hours")
    return Derivation("owning an hour", year.value / hours.value, "nUSD/hour", "owning a year / hours", (year, hours))


def recovery(discount: Fraction, years: int) -> Fraction:
    """The capital recovery factor: what each of so many equal yearly payments is of the sum that they pay off."""
    return discount / (1 - (1 + discount) ** -years) if discount else Fraction(1, years)


def whole_years(scenario: Scenario) -> int:
    """The years as a count. Raises: Invalid."""
    years = scenario.at("years").value
    if years.denominator != 1:
        raise Invalid(f"years is {float(years):g}; discounting counts whole years", code="input-value")
    return int(years)
