"""Own or rent: after how many hours, at how much use, and above how many tokens a month owning is the cheaper."""

from streams.money.derivations import Derivation, Given
from streams.money.hosting import blended
from streams.money.owning import capital, owned_hour, running_hour
from streams.money.prices import Undefined
from streams.money.scenarios import DAYS_PER_YEAR, MILLION, Scenario


def hours_to_break_even(scenario: Scenario) -> Derivation:
    """After how many hours of use what was bought is paid for: capital / (rent - running). Raises: Undefined where it never is.

    Source: Lenovo Press LP2225 (2025) and LP2368 (2026).
    """
    bought, rent, running = capital(scenario), scenario.at("rent"), running_hour(scenario)
    if rent.value <= running.value:
        raise Undefined("owning never pays for itself: an hour of running costs as much as an hour of renting, or more")
    hours = bought.value / (rent.value - running.value)
    return Derivation("break-even", hours, "hours", "capital / (rent - running an hour)", (bought, rent, running))


def utilisation_to_break_even(scenario: Scenario) -> Derivation:
    """The share of `hours` that must be used for owning to cost what renting by the hour would: owning an hour / rent.

    Above 1 owning is never the cheaper. Raises: Undefined where renting is free.
    """
    own, rent = owned_hour(scenario), scenario.at("rent")
    if not rent.value:
        raise Undefined("renting costs nothing, so owning is never the cheaper")
    return Derivation("break-even utilisation", own.value / rent.value, "1", "owning an hour / rent", (own, rent))


def daily_hours_to_break_even(scenario: Scenario) -> Derivation:
    """The same as hours of use a day."""
    share, hours = utilisation_to_break_even(scenario), scenario.at("hours")
    formula = f"break-even utilisation · hours / {DAYS_PER_YEAR}"
    return Derivation("break-even use", share.value * hours.value / DAYS_PER_YEAR, "hours/day", formula, (share, hours))


def months_against_hosted(scenario: Scenario, *, hours_per_month: Given) -> Derivation:
    """After how many months a machine that serves so many hours each has saved its price on a hosted API's bill. Raises: Undefined.

    Source: Pan and Wang, arXiv 2509.18101 (2025), section III.
    """
    bought, running, price, speed = capital(scenario), running_hour(scenario), blended(scenario), scenario.at("tokens_per_s")
    hour = price.value * speed.value * 3600 / MILLION - running.value
    if hour <= 0:
        raise Undefined("owning never pays for itself: the hosted API costs less than running the machine")
    formula = "capital / (hours a month · (tokens a second · 3600 / 10⁶ · hosted price - running an hour))"
    months = bought.value / (hour * hours_per_month.value)
    return Derivation("break-even", months, "months", formula, (bought, hours_per_month, speed, price, running))


def tokens_against_hosted(month: Derivation | Given, scenario: Scenario) -> Derivation:
    """Above how many tokens a month a fixed bill is less than a hosted API's. Raises: Undefined where the API is free."""
    price = blended(scenario)
    if not price.value:
        raise Undefined("the hosted API is free, so nothing is cheaper")
    return Derivation(
        "break-even load", month.value / price.value * MILLION, "tokens/month", "a month / hosted price · 10⁶", (month, price)
    )
